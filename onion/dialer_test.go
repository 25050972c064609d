package onion

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A testPort is a SOCKS port that accepts streams to any onion service, and says back what is said on them.
type testPort struct {
	socksPort
	asked chan string // the hosts
}

// echoPort opens one; with plain, streams begin without SOCKS.
func echoPort(t *testing.T, network string, plain bool) *testPort {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "socks")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &testPort{socksPort{network, l.Addr().String()}, make(chan string, 1000)}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				if plain || p.open(c) {
					io.Copy(c, c)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return p
}

// open is SOCKS 5 without a user, to a host by name.
func (p *testPort) open(c net.Conn) bool {
	head := make([]byte, 3+5)
	if _, err := io.ReadFull(c, head[:3]); err != nil {
		return false
	}
	c.Write([]byte{5, 0})
	if _, err := io.ReadFull(c, head[3:]); err != nil {
		return false
	}
	host := make([]byte, int(head[7])+2)
	if _, err := io.ReadFull(c, host); err != nil {
		return false
	}
	p.asked <- string(host[:len(host)-2])
	_, err := c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return err == nil
}

// says fails the test if what is said on c does not come back.
func says(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	} else if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Errorf("%q came back as %q, %v", text, got, err)
	}
}

// confinedService is a service, without a Tor, that has nothing but a dialer to these ports.
func confinedService(t *testing.T, ports ...socksPort) *Service {
	t.Helper()
	s := &Service{config: Config{Mode: Embedded, Confine: ConfineRequire}}
	var err error
	if s.runtime, err = openRuntimeDir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if s.caller, err = s.startDialer(ports); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.caller.close(); s.runtime.close() })
	return s
}

// dialerPID is the process of s's dialer.
func dialerPID(t *testing.T) int {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, _ := os.ReadFile(list) // the thread may have ended
		for _, f := range strings.Fields(string(b)) {
			if name, _ := os.ReadFile("/proc/" + f + "/cmdline"); bytes.HasPrefix(name, []byte(becomingDialer)) {
				pid, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				return pid
			}
		}
	}
	t.Fatal("there is no dialer")
	return 0
}

// TestDialGoesOverTheDialer: to a SOCKS port on a unix socket, or on TCP.
func TestDialGoesOverTheDialer(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			port := echoPort(t, network, false)
			s := confinedService(t, port.socksPort)
			pid := dialerPID(t)
			if n := s.Needs(t.Context()); len(n.Sockets)+len(n.Ports) > 0 {
				t.Errorf("this process still connects: %+v", n)
			}
			for range 3 {
				c, err := s.Dial(t.Context(), ourID+".onion", 5222, "")
				if err != nil {
					t.Fatal(err)
				}
				if host := <-port.asked; host != ourID+".onion" {
					t.Errorf("asked for %q", host)
				}
				says(t, c, strings.Repeat("much ", 20_000))
				c.Close()
			}
			for field, want := range map[string]string{"Seccomp": "2", "NoNewPrivs": "1"} {
				for _, got := range statusOf(t, pid, field) {
					if got != want {
						t.Errorf("%s is %s, want %s", field, got, want)
					}
				}
			}
			// A service manager may signal all processes of a service: the server ends it.
			for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
				if err := syscall.Kill(pid, signal); err != nil {
					t.Fatal(err)
				}
			}
			c, err := s.Dial(t.Context(), ourID+".onion", 5222, "")
			if err != nil {
				t.Fatalf("after signals: %v", err)
			}
			if err := s.caller.close(); err != nil {
				t.Error(err)
			}
			if running(pid) {
				t.Error("it is there after close")
			}
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("a stream goes on after close: %d bytes", n)
			}
			c.Close()
		})
	}
}

// TestServiceOfARunningTorDialsOverTheDialer: to the SOCKS ports that this Tor has at the start.
func TestServiceOfARunningTorDialsOverTheDialer(t *testing.T) {
	host, c := runningTor(t)
	socket := filepath.Join(filepath.Dir(strings.TrimPrefix(c.Control, "unix:")), "socks")
	if _, err := host.control.request(t.Context(), "SETCONF SocksPort="+quote("unix:"+quote(socket))); err != nil {
		t.Fatal(err)
	}
	s, _ := guardedService(t, c)
	if n := s.Needs(t.Context()); !s.State().Dialer || len(n.Sockets)+len(n.Ports) > 0 {
		t.Errorf("dialer %v, and this process needs %+v", s.State().Dialer, n)
	}
	// That Tor has no network: what it says shows that it is the one that was reached.
	conn, err := s.caller.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "\x05\x01\x00")
	answer := make([]byte, 2)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "\x05\x00" {
		t.Errorf("its SOCKS port answers %x, %v", answer, err)
	}
}

// TestDialerThatEndedIsSaid: the directory goes on, and its operator hears why it does not reach itself.
func TestDialerThatEndedIsSaid(t *testing.T) {
	s := confinedService(t, echoPort(t, "unix", false).socksPort)
	if err := syscall.Kill(dialerPID(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Dial(t.Context(), ourID+".onion", 5222, ""); err == nil || !strings.Contains(err.Error(), "the dialer has ended") || !strings.Contains(err.Error(), "killed") {
			t.Errorf("err %v", err)
		}
	}
}

// TestEndOfTheDialerIsSaidBeforeItIsWaitedFor: its pipe is closed a moment earlier.
func TestEndOfTheDialerIsSaidBeforeItIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		c, r := unansweredCaller(t, ended)
		defer func() { c.requests.Close(); c.brought.Close() }()
		c.whyEnded = func() error { return errors.New("killed") }
		r.Close()
		time.AfterFunc(time.Second, func() { close(ended) })
		if _, err := c.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "the dialer has ended") || !strings.Contains(err.Error(), "killed") {
			t.Errorf("err %v", err)
		}
	})
}

// TestMissingDialerIsSaidOrFatal: as the isolation is configured.
func TestMissingDialerIsSaidOrFatal(t *testing.T) {
	for confine, goesOn := range map[Confine]bool{ConfineAuto: true, ConfineRequire: false} {
		warned := false
		s := &Service{bootstrap: newBootstrap(time.Now(), func(Progress) {}), socks: "/nonexistent", runtime: &runtimeDir{path: "/nonexistent"},
			config: Config{Mode: Embedded, Confine: confine, Log: func(level, msg string) { warned = level == "warn" && strings.Contains(msg, "no dialer") }}}
		err := s.callDialer(t.Context())
		if (err == nil) != goesOn || warned != goesOn || s.State().Dialer || len(s.Needs(t.Context()).Sockets) != 1 {
			t.Errorf("%s: error %v, warned %v", confine, err, warned)
		}
	}
}

// TestWithoutASocksPortNobodyConnects: neither this process nor a dialer.
func TestWithoutASocksPortNobodyConnects(t *testing.T) {
	s := &Service{runtime: &runtimeDir{path: t.TempDir()}, config: Config{Mode: Embedded, Confine: ConfineRequire}}
	if err := s.callDialer(t.Context()); err != nil || s.caller != nil {
		t.Errorf("dialer %v, %v", s.caller, err)
	}
	if _, err := s.Dial(t.Context(), ourID+".onion", 5222, ""); !errors.Is(err, ErrNoDial) {
		t.Error(err)
	}
	if n := s.Needs(t.Context()); len(n.Sockets)+len(n.Ports) > 0 {
		t.Errorf("needs %+v", n)
	}
}

// unansweredCaller is a caller whose requests nobody answers yet; they come from the file.
func unansweredCaller(t *testing.T, ended <-chan struct{}) (*caller, *os.File) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return newCaller(w, l, ended), r
}

// testCaller is the caller of a dialer in this process.
func testCaller(t *testing.T, ports ...socksPort) *caller {
	t.Helper()
	ended := make(chan struct{})
	c, r := unansweredCaller(t, ended)
	c.whyEnded, c.stop = func() error { return nil }, func() { <-ended }
	go func() {
		defer close(ended)
		defer r.Close()
		newDialer(dialing{Ports: ports, Caller: c.brought.Addr().String()}).run(r)
	}()
	t.Cleanup(func() { c.close() })
	return c
}

// TestDialerRefusesAboveItsBoundAndRecovers: who has taken over the server cannot have it hold more.
func TestDialerRefusesAboveItsBoundAndRecovers(t *testing.T) {
	c := testCaller(t, echoPort(t, "unix", true).socksPort)
	for range 2 {
		var open []net.Conn
		for len(open) < maxDialed {
			conn, err := c.connect(t.Context())
			if err != nil {
				if len(open) == 0 || strings.Contains(err.Error(), "streams are open") { // those of before are ending
					continue
				}
				t.Fatal(err)
			}
			open = append(open, conn)
		}
		for range 3 {
			if conn, err := c.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "64 streams are open") {
				t.Errorf("%v, %v, want a refusal", conn, err)
			}
		}
		for _, conn := range open {
			says(t, conn, "here")
			conn.Close()
		}
	}
}

// TestDialerConnectsToNothingButItsPorts: whatever it is asked. What it gets on its pipe are numbers to it.
func TestDialerConnectsToNothingButItsPorts(t *testing.T) {
	elsewhere := echoPort(t, "unix", false)
	s := confinedService(t, echoPort(t, "unix", false).socksPort)
	said := []byte(elsewhere.Address + "\n" + `{"Ports":[{"Network":"unix","Address":"` + elsewhere.Address + `"}]}` + "\nGUARD {}\n")
	said = append(said, bytes.Repeat([]byte{0, 0xff}, 100)...)
	if _, err := s.caller.requests.Write(append(said, make([]byte, 16-len(said)%16)...)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(t.Context(), ourID+".onion", 5222, "") // behind all of that
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if len(elsewhere.asked) > 0 {
		t.Error("it connected elsewhere")
	}
	// Its kernel keeps it from that as well, where Landlock is new enough, and it can open no files.
	d := dialing{Ports: []socksPort{{"unix", "/a"}, {"tcp", "127.0.0.1:9050"}}, Caller: "/b"}
	if r := d.rules(); strings.Join(r.Sockets, " ") != "/b /a" || len(r.Ports) != 1 || r.Ports[0] != 9050 ||
		len(r.Read)+len(r.Write)+len(r.Devices)+len(r.Remove)+len(r.Bind)+len(r.Execute) > 0 || r.Internet || r.Code || r.Signal != 0 || r.Program != 0 {
		t.Errorf("rules %+v", r)
	}
}

// TestDialTellsWhyThereIsNoConnection: the first port that accepts is taken.
func TestDialTellsWhyThereIsNoConnection(t *testing.T) {
	nobody := socksPort{"unix", filepath.Join(t.TempDir(), "nobody")}
	c := testCaller(t, nobody)
	if _, err := c.connect(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("err %v", err)
	}
	c = testCaller(t, nobody, echoPort(t, "tcp", true).socksPort)
	conn, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says(t, conn, "here")
	conn.Close()
}

// TestConnectionOfAnotherRequestIsClosed: it was given up, or somebody else brought it.
func TestConnectionOfAnotherRequestIsClosed(t *testing.T) {
	c := testCaller(t, echoPort(t, "unix", true).socksPort)
	var others []net.Conn
	for _, text := range []string{"", "x", strings.Repeat("x", 17)} {
		conn, err := net.Dial("unix", c.brought.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, text)
		if len(text) < 17 {
			conn.(*net.UnixConn).CloseWrite()
		}
		others = append(others, conn)
	}
	given := newTicket()
	c.requests.Write(given[:])
	conn, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says(t, conn, "here")
	conn.Close()
	for i, other := range others {
		if n, err := other.Read(make([]byte, 1)); err == nil {
			t.Errorf("connection %d is answered with %d bytes", i, n)
		}
		other.Close()
	}
}

// TestDialOverADialerEndsWithItsContext: also while it waits for its turn, or for a dialer that does not answer.
func TestDialOverADialerEndsWithItsContext(t *testing.T) {
	c, r := unansweredCaller(t, nil)
	defer func() { r.Close(); c.requests.Close(); c.brought.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range 2 {
		go func() { _, err := c.connect(ctx); errs <- err }()
	}
	io.ReadFull(r, make([]byte, 16)) // one has asked
	cancel()
	for range 2 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
