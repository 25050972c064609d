package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"jm-directory-server/server/wire"
)

// standIn writes a shell script that stands in for the server.
func standIn(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// The beginning and the end of a stand-in that runs until SIGTERM.
const (
	stopsInOrder = `trap 'exit 0' TERM`
	untilStopped = `while :; do sleep 0.05; done`
)

func startStandIn(t *testing.T, lines ...string) *directory {
	t.Helper()
	d, err := startDirectory(standIn(t, lines...), t.TempDir(), nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAddressIsReadAndTheServerStopped(t *testing.T) {
	location, err := newLocation()
	if err != nil {
		t.Fatal(err)
	}
	d := startStandIn(t, stopsInOrder, "echo first", "echo 'directory is up: "+location.String()+"'", untilStopped)
	if got, err := d.waitUp(t.Context()); err != nil || got != location {
		t.Errorf("got %v, %v", got, err)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
}

func TestServerThatDoesNotComeUpIsSaidAndItsLogKept(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"ends", "echo 'no key, no service' >&2; exit 3", "got its end (exit status 3)"},
		{"says no address", "echo 'no key, no service' >&2; echo 'directory is up: here'; " + untilStopped, `got the address "here"`},
		{"serves nothing", "echo 'no key, no service' >&2; echo 'directory is up: " + wire.NotServing + "'; " + untilStopped, "got the address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := startStandIn(t, tt.script)
			if _, err := d.waitUp(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			awaitLog(t, d)
			if log := d.log.last(); len(log) != 1 || log[0] != "no key, no service" {
				t.Errorf("the log is %q", log)
			}
			d.stop()
		})
	}
}

func TestWaitingForTheServerEndsWithTheDemo(t *testing.T) {
	d := startStandIn(t, untilStopped)
	defer d.stop()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := d.waitUp(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestServerThatDoesNotStopInOrderIsSaid(t *testing.T) {
	failing := startStandIn(t, `trap 'exit 4' TERM; echo ready >&2; while :; do sleep 0.05; done`)
	awaitLog(t, failing)
	if err := failing.stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("exit code 4: got %v", err)
	}
	gone := startStandIn(t, "exit 0")
	<-gone.ended
	if err := gone.stop(); err == nil || !strings.Contains(err.Error(), "it ended: exit status 0") {
		t.Errorf("ended before: got %v", err)
	}
}

// awaitLog waits for the first line of the log.
func awaitLog(t *testing.T, d *directory) {
	t.Helper()
	for range 500 {
		if len(d.log.last()) > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the stand-in says nothing")
}

func TestServerGetsItsConfigurationAndNothingElse(t *testing.T) {
	t.Setenv("NETWORK", "mainnet") // a setting of the server's
	dir := t.TempDir()
	torrc := []string{"TestingTorNetwork 1", `Quoted "a b"`}
	d, err := startDirectory(standIn(t, `echo "$NETWORK$MAX_PEERS|$1 $2 $3" >&2`), dir, torrc, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-d.ended
	file := filepath.Join(dir, "config", "config.toml")
	if log := d.log.last(); len(log) != 1 || log[0] != "|run --config "+file {
		t.Errorf("it was started with %q", log)
	}
	var got directoryConfig
	meta, err := toml.DecodeFile(file, &got)
	if err != nil || len(meta.Undecoded()) > 0 {
		t.Fatal(err, meta.Undecoded())
	}
	if got.Network != bitcoinNetwork || got.MOTD != motd || strings.Join(got.Tor.Torrc, "\n") != strings.Join(torrc, "\n") {
		t.Errorf("configured with %+v", got)
	}
}

// ownerOf names the stand-in for a process of this test that starts it and is then killed.
const ownerOf = "JM_DEMO_TEST_OWNER"

// own is that process.
func own(script string) {
	d, err := startDirectory(script, filepath.Dir(script), nil, "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.cmd.Process.Pid)
	select {}
}

func TestServerEndsWithTheDemoEvenByKill(t *testing.T) {
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerOf+"="+standIn(t, "exec sleep 60"))
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	owner.Process.Kill()
	owner.Wait()
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the owner says %q", line)
	}
	for range 100 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Error("the server outlived the demo")
}

// zombie says that a process has ended, and that whoever inherited it has not asked how.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(state, "Z")
}
