package tornet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBadTorrcLineIsShownFromTheLog(t *testing.T) {
	n, err := Start(t.Context(), Options{Tor: Tor(t), Dir: t.TempDir(), Extra: []string{"NoSuchOption 1"}})
	if err == nil {
		n.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "NoSuchOption") {
		t.Errorf("err does not show the log: %v", err)
	}
}

func TestPathsTooLongForASocketAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	n, err := Start(t.Context(), Options{Tor: "/nonexistent", Dir: dir})
	if err == nil {
		n.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "too long for a socket") {
		t.Error(err)
	}
}

// loseRace makes the first choice of ports contain one that is taken.
func loseRace(t *testing.T) (tries *int) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tries = new(int)
	pickPorts = func(n int) ([]int, error) {
		ports, err := freePorts(n)
		if *tries++; err == nil && *tries == 1 {
			ports[n-1] = taken.Addr().(*net.TCPAddr).Port
		}
		return ports, err
	}
	t.Cleanup(func() { pickPorts = freePorts; taken.Close() })
	return tries
}

func TestLostRaceForAPortIsRunAgain(t *testing.T) {
	tor := Tor(t)
	tries := loseRace(t)
	n, err := Start(t.Context(), Options{Tor: tor})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if *tries != 2 {
		t.Errorf("%d tries, want 2", *tries)
	}
	pids := n.PIDs()
	if len(pids) != 1+relays {
		t.Fatalf("nodes %v", pids)
	}
	// A node that dies is named, with its log.
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = n.WaitConsensus(t.Context())
	if err == nil || !strings.Contains(err.Error(), "r0 ended: signal: killed") || !strings.Contains(err.Error(), "[notice]") {
		t.Errorf("err %v", err)
	}
	// Nothing is left.
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after Close: %v", pid, err)
		}
	}
	if _, err := os.Stat(n.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary directory after Close: %v", err)
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	n, err := Start(t.Context(), Options{Tor: Tor(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.WaitConsensus(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("consensus: %v", err)
	}
	tries := loseRace(t)
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if c, err := n.Client(ctx, "early"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("client without a consensus: %v, %v", c, err)
	}
	if *tries != 2 {
		t.Errorf("%d tries for the client's port, want 2", *tries)
	}
}

// recorder is a TB that notes how a test would end.
type recorder struct{ said string }

func (r *recorder) Helper()                      {}
func (r *recorder) Skipf(f string, args ...any)  { r.said += "skip: " + fmt.Sprintf(f, args...) }
func (r *recorder) Fatalf(f string, args ...any) { r.said += "fatal: " + fmt.Sprintf(f, args...) }

func TestMissingTorSkipsUnlessRequired(t *testing.T) {
	t.Setenv("JM_TEST_TOR", filepath.Join(t.TempDir(), "none"))
	t.Setenv("JM_REQUIRE_TOR", "")
	r := &recorder{}
	if Tor(r); !strings.HasPrefix(r.said, "skip: no tor at ") {
		t.Errorf("said %q", r.said)
	}
	t.Setenv("JM_REQUIRE_TOR", "1")
	r = &recorder{}
	if Tor(r); !strings.HasPrefix(r.said, "fatal: no tor at ") {
		t.Errorf("said %q", r.said)
	}
	here := filepath.Join(t.TempDir(), "tor")
	if err := os.WriteFile(here, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JM_TEST_TOR", here)
	if got := Tor(t); got != here {
		t.Errorf("got %s", got)
	}
}
