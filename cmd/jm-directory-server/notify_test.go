package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"jm-directory-server/onion"
	"jm-directory-server/server/wire"
)

// listenNotify is a service manager; what it is told comes from the channel, one message at a time.
func listenNotify(t *testing.T) <-chan string {
	t.Helper()
	return listenNotifyAt(t, filepath.Join(t.TempDir(), "notify"))
}

// listenNotifyAt listens on a path, or on an abstract socket ("@…").
func listenNotifyAt(t *testing.T, path string) <-chan string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	told := make(chan string, 64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			told <- string(b[:n])
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
	return told
}

// wantTold waits for a message with all these lines and returns it.
func wantTold(t *testing.T, told <-chan string, lines ...string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case m := <-told:
			all := true
			for _, line := range lines {
				all = all && strings.Contains("\n"+m+"\n", "\n"+line+"\n")
			}
			if all {
				return m
			}
			if strings.Contains(m, "READY=1") || strings.Contains(m, "STOPPING=1") || strings.Contains(m, "RELOADING=1") {
				t.Fatalf("told %q, want %q", m, lines)
			}
		case <-timeout:
			t.Fatalf("not told: %q", lines)
		}
	}
}

func TestReadyComesAfterTheDescriptorAndStopIsTold(t *testing.T) {
	told := listenNotify(t)
	tor := newFakeTor(t)
	d, srv, _, log := testDaemon(t, func(_ context.Context, c onion.Config) (onionService, error) {
		c.Progress(onion.Progress{Percent: 45, Tag: "x", Summary: "Asking for\x1b things"})
		c.Progress(onion.Progress{Percent: 45, Tag: "x", Advice: "set the clock"})
		return tor, nil
	})
	d.load = func() (*effective, error) { return d.effective, nil }
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	wantTold(t, told, `STATUS=Tor: 45 %: Asking for\x1b things`)
	wantTold(t, told, "STATUS=Tor: 45 %: set the clock")
	awaitText(t, log, "Tor runs")
	d.sighup(srv) // not RELOADING, not READY
	close(tor.published)
	wantTold(t, told, "READY=1", "STATUS=directory is up")

	d.sighup(srv)
	if m := wantTold(t, told, "RELOADING=1"); !strings.Contains(m, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q without the time", m)
	}
	wantTold(t, told, "READY=1", "STATUS=configuration is read anew and in force")
	d.load = func() (*effective, error) { return nil, errors.New("motd: bad\nmore") }
	d.sighup(srv)
	wantTold(t, told, "RELOADING=1")
	wantTold(t, told, "READY=1", "STATUS=configuration is not reloaded: motd: bad")
	cancel()
	wantTold(t, told, "STOPPING=1", "EXTEND_TIMEOUT_USEC=25000000")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReadyWithoutTorComesWithTheListener(t *testing.T) {
	told := listenNotify(t)
	d, srv, _, _ := testDaemon(t, nil)
	d.Tor.Mode, d.Listen.Address = "off", "unix:"+filepath.Join(t.TempDir(), "s")
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	wantTold(t, told, "READY=1")
	conn, err := net.Dial("unix", strings.TrimPrefix(d.Listen.Address, "unix:"))
	if err != nil {
		t.Error("nobody listens: ", err)
	} else {
		conn.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAFailedStartIsNeverReady(t *testing.T) {
	told := listenNotify(t)
	d, srv, _, _ := testDaemon(t, func(context.Context, onion.Config) (onionService, error) { return nil, errors.New("no") })
	if err := d.runUntil(context.Background(), srv); err == nil {
		t.Error("no error")
	}
	wantTold(t, told, "STOPPING=1")
	if len(told) != 0 {
		t.Errorf("told %q", <-told)
	}
}

func TestAServiceManagerThatIsGoneIsLoggedOnce(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	d, srv, _, log := testDaemon(t, nil)
	defer srv.Shutdown(t.Context())
	d.notify.up()
	d.notify.stopping(time.Second)
	if n := strings.Count(log.String(), "cannot be told"); n != 1 {
		t.Errorf("%d lines, want 1: %s", n, log)
	}
}

// TestOneConnectionToTheServiceManagerIsKept: an isolated server can make no other. Where it can, it finds a new one.
func TestOneConnectionToTheServiceManagerIsKept(t *testing.T) {
	told := listenNotify(t)
	log, hook := logtest.NewNullLogger()
	n := &notifier{log: log}
	if conn, err := n.connect(); conn == nil || err != nil {
		t.Fatal(conn, err)
	}
	n.tell("A=1")
	wantTold(t, told, "A=1")
	if err := os.Remove(os.Getenv("NOTIFY_SOCKET")); err != nil {
		t.Fatal(err)
	}
	n.tell("B=1")
	wantTold(t, told, "B=1")
	n.conn.Close()
	told = listenNotify(t)
	n.tell("C=1")
	wantTold(t, told, "C=1")
	if entries := hook.AllEntries(); len(entries) > 0 {
		t.Errorf("logged %v", entries[0].Message)
	}
}

// TestIsolatedServerTellsItsServiceManager: over the connection from before. That the service manager goes away ends nothing.
func TestIsolatedServerTellsItsServiceManager(t *testing.T) {
	dir := newDir(t)
	for _, address := range []string{filepath.Join(dir, "notify"), "@" + filepath.Base(dir)} {
		told := listenNotifyAt(t, address)
		w := startProgram(t, dir, "1024", "NOTIFY_SOCKET="+address)
		wantTold(t, told, "READY=1")
		if !strings.Contains(w.log(), `msg="isolated`) {
			t.Errorf("it is not isolated\n%s", w.log())
		}
		w.cmd.Process.Signal(syscall.SIGHUP)
		wantTold(t, told, "RELOADING=1")
		wantTold(t, told, "READY=1")
		if code := w.signal(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		wantTold(t, told, "STOPPING=1")
		if strings.Contains(w.log(), "cannot be told") {
			t.Errorf("log:\n%s", w.log())
		}
	}
	gone, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "gone"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	w := startProgram(t, dir, "1024", "NOTIFY_SOCKET="+filepath.Join(dir, "gone"))
	gone.Close()
	w.cmd.Process.Signal(syscall.SIGHUP)
	w.eventually("it says that nobody hears it", func() bool { return strings.Contains(w.log(), "cannot be told") })
	w.join(1, wire.Location{}).conn.Close()
	if code := w.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
