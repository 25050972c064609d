package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
)

const testOnion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

// fakeTor is an onion service without Tor.
type fakeTor struct {
	l               net.Listener
	published, done chan struct{}
	err             error
	missing         []string
	guarded         bool
	dialer          bool
	sockets         []string
	closed          atomic.Bool
	start           context.Context
	atClose         func()
}

func newFakeTor(t *testing.T) *fakeTor {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return &fakeTor{l: l, published: make(chan struct{}), done: make(chan struct{})}
}

func (f *fakeTor) Address() string            { return testOnion }
func (f *fakeTor) Listener() net.Listener     { return f.l }
func (f *fakeTor) Published() <-chan struct{} { return f.published }
func (f *fakeTor) Done() <-chan struct{}      { return f.done }
func (f *fakeTor) Err() error                 { return f.err }
func (f *fakeTor) TorVersion() string         { return "0.4.9.9" }
func (f *fakeTor) PoW() bool                  { return true }

func (f *fakeTor) State() onion.State {
	return onion.State{Effort: -1, Circuits: -1, Missing: f.missing, Guarded: f.guarded, Dialer: f.dialer}
}
func (f *fakeTor) CircuitIDs() bool                       { return true }
func (f *fakeTor) SetPoW(context.Context, int, int) error { return nil }
func (f *fakeTor) CloseCircuit(context.Context, uint64) error {
	return nil
}
func (f *fakeTor) Dial(context.Context, string, int, string) (net.Conn, error) {
	return nil, onion.ErrNoDial
}

func (f *fakeTor) Needs(context.Context) onion.Needs {
	return onion.Needs{PID: 17, Sockets: f.sockets}
}

func (f *fakeTor) Close() error {
	f.closed.Store(true)
	if f.atClose != nil {
		f.atClose()
	}
	return f.l.Close()
}

// lockedBuffer may be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// testDaemon returns a daemon with that Tor, a server for it, and what it writes.
func testDaemon(t *testing.T, start func(context.Context, onion.Config) (onionService, error)) (d *daemon, srv *server.Server, stdout, log *lockedBuffer) {
	t.Helper()
	stdout, log = new(lockedBuffer), new(lockedBuffer)
	logger, err := newLogger(LogConfig{Level: "debug", Format: "text"}, log, false, true)
	if err != nil {
		t.Fatal(err)
	}
	e := &effective{Config: DefaultConfig()}
	e.StateDir = t.TempDir()
	e.RuntimeDir = filepath.Join(e.StateDir, "run")
	d = &daemon{effective: e, log: logger, stdout: stdout, startOnion: start, notify: &notifier{log: logger},
		formatter: func(c LogConfig) logrus.Formatter { return newFormatter(c, false, true) }}
	srv, err = server.New(d.options(), logger)
	if err != nil {
		t.Fatal(err)
	}
	return d, srv, stdout, log
}

func awaitText(t *testing.T, b *lockedBuffer, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(b.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q in %q", text, b.String())
		}
	}
}

func TestAddressIsPrintedOnceWhenPublishedAndNeverLogged(t *testing.T) {
	tor := newFakeTor(t)
	d, srv, stdout, log := testDaemon(t, func(context.Context, onion.Config) (onionService, error) { return tor, nil })
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	awaitText(t, log, "Tor runs")
	if stdout.String() != "" {
		t.Errorf("printed before the descriptor was up: %q", stdout)
	}
	close(tor.published)
	awaitText(t, log, "directory is up")
	awaitText(t, stdout, "\n")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("a stopped server failed: %v", err)
	}
	if want := "directory is up: " + testOnion + ":5222\n"; stdout.String() != want {
		t.Errorf("printed %q, want %q", stdout, want)
	}
	if strings.Contains(log.String(), testOnion[:10]) {
		t.Errorf("the address is in the log: %s", log)
	}
	if !tor.closed.Load() {
		t.Error("Tor was not stopped")
	}
}

func TestWhatTorLacksIsToldOnceAtTheStart(t *testing.T) {
	tor := newFakeTor(t)
	tor.missing = []string{"proof of work", "circuit ids"}
	d, srv, _, log := testDaemon(t, func(context.Context, onion.Config) (onionService, error) { return tor, nil })
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	close(tor.published)
	awaitText(t, log, "directory is up")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "proof of work, circuit ids"); n != 1 {
		t.Errorf("told %d times: %s", n, log)
	}
}

func TestTorsEndIsAnErrorThatNamesTor(t *testing.T) {
	tor := newFakeTor(t)
	tor.err = fmt.Errorf("%w: exit status 7", onion.ErrTorEnded)
	d, srv, _, _ := testDaemon(t, func(context.Context, onion.Config) (onionService, error) { return tor, nil })
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(context.Background(), srv) }()
	tor.l.Close() // the listener fails first, and is not what gets blamed
	time.AfterFunc(20*time.Millisecond, func() { close(tor.done) })
	if err := <-ended; err == nil || err.Error() != "onion service: tor ended: exit status 7" {
		t.Errorf("got %v", err)
	}
	if !tor.closed.Load() {
		t.Error("what is left of Tor was not closed")
	}
}

func TestStopInterruptsTheStartOfTor(t *testing.T) {
	started := make(chan struct{})
	d, srv, _, _ := testDaemon(t, func(ctx context.Context, _ onion.Config) (onionService, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	<-started
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTorOutlivesTheFlushAtShutdown(t *testing.T) {
	tor := newFakeTor(t)
	d, srv, _, log := testDaemon(t, func(ctx context.Context, _ onion.Config) (onionService, error) {
		tor.start = ctx
		return tor, nil
	})
	tor.atClose = func() {
		if !strings.Contains(log.String(), "msg=stopped") {
			t.Error("Tor was stopped before the server")
		}
		if tor.start.Err() != nil {
			t.Error("the stop ended the context that Tor was started with")
		}
	}
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.runUntil(stop, srv) }()
	awaitText(t, log, "Tor runs")
	cancel()
	if err := <-ended; err != nil || !tor.closed.Load() {
		t.Errorf("got %v, closed %v", err, tor.closed.Load())
	}
	if tor.start.Err() == nil {
		t.Error("the context of the start is never released")
	}
}

func TestAFailedStartOfTorIsTheError(t *testing.T) {
	d, srv, _, _ := testDaemon(t, func(context.Context, onion.Config) (onionService, error) {
		return nil, errors.New("onion: key: wrong tag")
	})
	if err := d.runUntil(context.Background(), srv); err == nil || err.Error() != "onion: key: wrong tag" {
		t.Errorf("got %v", err)
	}
}
