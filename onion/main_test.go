package onion

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jm-directory-server/onion/tornet"
)

// TestMain checks for goroutines that outlive the tests, once the shared
// network is closed. As a child of a test it is that child instead.
func TestMain(m *testing.M) {
	Become()
	if os.Getenv("ONION_TEST_OWNER") != "" {
		ownerMain()
		return
	}
	if what := os.Getenv(deathVariable); what != "" {
		deathMain(what)
		return
	}
	if dir := os.Getenv("ONION_TEST_KEY"); dir != "" {
		if _, err := CreateKey(dir); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(runner{m})
}

type runner struct{ *testing.M }

func (r runner) Run() int {
	code := r.M.Run()
	network.Lock()
	defer network.Unlock()
	if network.net != nil {
		if err := network.net.Close(); err != nil {
			panic(err)
		}
	}
	return code
}

// network is shared by all tests that need one.
var network struct {
	sync.Mutex
	net    *tornet.Network
	client *tornet.Node
	err    error
}

// sharedNetwork returns the private Tor network and a client on it.
func sharedNetwork(t *testing.T) (*tornet.Network, *tornet.Node) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: no private Tor network")
	}
	tor := tornet.Tor(t)
	network.Lock()
	defer network.Unlock()
	if network.net == nil && network.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		if network.net, network.err = tornet.Start(ctx, tornet.Options{Tor: tor}); network.err == nil {
			if network.err = network.net.WaitConsensus(ctx); network.err == nil {
				network.client, network.err = network.net.Client(ctx, "c0")
			}
		}
	}
	if network.err != nil {
		t.Fatal(network.err)
	}
	return network.net, network.client
}

// offline are torrc lines of a network that does not exist: its only authority
// is a loopback port where nobody listens.
var offline = []string{
	"TestingTorNetwork 1",
	"DirAuthority nobody orport=1 no-v2 v3ident=0000000000000000000000000000000000000001 127.0.0.1:1 0000000000000000000000000000000000000002",
}

// usualConfine is what the tests start their Tor with. With the race detector our own program takes seconds to become Tor.
var usualConfine = map[bool]Confine{false: ConfineAuto, true: Unconfined}[raced]

var compressed struct {
	sync.Once
	gz  []byte
	err error
}

// testConfig is mode Embedded with the test's Tor, offline.
func testConfig(t *testing.T) Config {
	t.Helper()
	path := tornet.Tor(t)
	compressed.Do(func() {
		var exe []byte
		if exe, compressed.err = os.ReadFile(path); compressed.err != nil {
			return
		}
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a valid level
		z.Write(exe)                                    // to memory
		compressed.err = z.Close()
		compressed.gz = b.Bytes()
	})
	if compressed.err != nil {
		t.Fatal(compressed.err)
	}
	return Config{
		Mode: Embedded, StateDir: t.TempDir(), ExtraTorrc: offline, Confine: usualConfine,
		from: &source{version: MinVersion, pow: true, exe: memfile{gz: compressed.gz}},
		Log:  func(level, msg string) { t.Logf("[%s] %s", level, msg) },
	}
}

// mustStart starts a service that the test's end closes.
func mustStart(t *testing.T, c Config) *Service {
	t.Helper()
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// await fails the test if c is not closed within d.
func await(t *testing.T, c <-chan struct{}, d time.Duration, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(d):
		t.Fatalf("%s: not within %v", what, d)
	}
}
