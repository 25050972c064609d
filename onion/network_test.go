package onion

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jm-directory-server/onion/internal/socks"
	"jm-directory-server/onion/tornet"
)

const (
	publishWait = 60 * time.Second
	reachWait   = 90 * time.Second
)

// serveIDs answers each stream with its circuit id, then echoes.
func serveIDs(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			id, ok := c.(Circuit).CircuitID()
			fmt.Fprintf(c, "%d %v\n", id, ok)
			io.Copy(c, c)
		}()
	}
}

// stream is a client's view: the id it was told and the connection.
type stream struct {
	net.Conn
	r  *bufio.Reader
	id uint64
	ok bool
}

// open reaches the service and returns the first line.
func open(t *testing.T, client *tornet.Node, user string, s *Service) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), reachWait)
	defer cancel()
	c, err := client.Reach(ctx, user, s.Address(), 5222)
	if err != nil {
		t.Fatal(err)
	}
	return greet(t, c)
}

// greet reads the first line of a stream and tries it; the test's end closes it.
func greet(t *testing.T, c net.Conn) *stream {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(reachWait))
	st := &stream{Conn: c, r: bufio.NewReader(c)}
	line, err := st.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "%d %v\n", &st.id, &st.ok); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	st.echo(t, "hello")
	return st
}

// echo fails the test if a line does not come back.
func (st *stream) echo(t *testing.T, line string) {
	t.Helper()
	fmt.Fprintf(st, "%s\n", line)
	if back, err := st.r.ReadString('\n'); err != nil || back != line+"\n" {
		t.Fatalf("echo of %q: %q, %v", line, back, err)
	}
}

// networkConfig is testConfig on the private network.
func networkConfig(t *testing.T, n *tornet.Network) Config {
	c := testConfig(t)
	c.ExtraTorrc = n.Torrc()
	c.PoW, c.IntroDoSDefense, c.MaxStreams = true, true, 20
	return c
}

func TestServiceKeepsAddressAndTellsCircuitsApart(t *testing.T) {
	n, client := sharedNetwork(t)
	c := networkConfig(t, n)
	s := mustStart(t, c)
	if !s.PoW() || !s.CircuitIDs() {
		t.Errorf("proof of work %v, circuit ids %v: want both", s.PoW(), s.CircuitIDs())
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish")
	alice, again, bob := open(t, client, "alice", s), open(t, client, "alice", s), open(t, client, "bob", s)
	if !alice.ok || alice.id != again.id || alice.id == bob.id {
		t.Errorf("circuit ids: alice %d and %d, bob %d (known %v)", alice.id, again.id, bob.id, alice.ok)
	}

	// The abuser's circuit ends, with all its streams, and nobody else's.
	if err := s.CloseCircuit(t.Context(), alice.id); err != nil {
		t.Fatal(err)
	}
	for _, st := range []*stream{alice, again} {
		if b, err := st.r.ReadByte(); err != io.EOF {
			t.Errorf("after CloseCircuit: read %q, %v, want the end", b, err)
		}
	}
	bob.echo(t, "still here")
	if err := s.CloseCircuit(t.Context(), alice.id); err != nil {
		t.Errorf("a circuit that is gone already: %v", err)
	}

	address := s.Address()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Err(); err != nil {
		t.Errorf("Err after Close: %v", err)
	}
	s = mustStart(t, c)
	if s.Address() != address {
		t.Fatalf("address %s after a restart, was %s", s.Address(), address)
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish again")
	open(t, client, "carol", s)
}

// states waits until the state is as it should be.
func states(t *testing.T, s *Service, what string, good func(State) bool) State {
	t.Helper()
	for end := time.Now().Add(publishWait); ; time.Sleep(20 * time.Millisecond) {
		st := s.State()
		if good(st) {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v: %+v", what, publishWait, st)
		}
	}
}

// reach dials a service through its own Tor until it answers.
func reach(t *testing.T, s *Service, isolation string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), reachWait)
	defer cancel()
	for {
		c, err := s.Dial(ctx, s.Address(), 5222, isolation)
		if err == nil {
			return greet(t, c)
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// confValue is one option of our service in force, in the quotes that it may have.
func confValue(t *testing.T, s *Service, key string) string {
	t.Helper()
	for _, l := range servicesOf(t, s) {
		if v, ok := strings.CutPrefix(l, key+"="); ok {
			return v
		}
	}
	return ""
}

func TestRunningServiceTellsItsStateDialsAndChangesProofOfWork(t *testing.T) {
	n, client := sharedNetwork(t)
	c := networkConfig(t, n)
	c.Socks, c.askEvery = true, 200*time.Millisecond
	c.IntroPoints, c.IntroDoSRate, c.IntroDoSBurst = 4, 50, 500
	s := mustStart(t, c)
	if st := s.State(); st.Published || st.Uploads != 0 || !st.FirstUpload.IsZero() || st.Effort != -1 || st.SocksReady {
		t.Errorf("at first: %+v", st)
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish")

	// The descriptor is asked for once it is published, and says what Tor made
	// of our configuration.
	st := states(t, s, "effort", func(st State) bool { return st.Effort >= 0 && st.IntroPoints > 0 })
	if st.Mode != Embedded || st.TorVersion == "" || st.Percent != 100 || st.Tag != "done" || !st.Published || st.Uploads == 0 || st.FirstUpload.IsZero() || st.LastUpload.Before(st.FirstUpload) {
		t.Errorf("published: %+v", st)
	}
	if !st.PoW || !st.CircuitIDs || !st.IntroDoS || len(st.Missing) > 0 || st.PoWQueueRate != 250 || st.PoWQueueBurst != 2500 {
		t.Errorf("features: %+v", st)
	}
	if st.Effort != 0 || st.EffortAt.IsZero() || !st.SeedExpires.After(st.EffortAt) || st.Circuits != 0 || st.CircuitsAt.IsZero() {
		t.Errorf("asked for: %+v", st)
	}
	if st.TorPID != s.PID() || st.TorPID == 0 || st.TorRSS < 1<<20 || st.TorCPU <= 0 || !st.SocksReady {
		t.Errorf("the child: %+v", st)
	}
	for key, want := range map[string]string{
		"HiddenServiceNumIntroductionPoints": "4", "HiddenServiceEnableIntroDoSRatePerSec": "50", "HiddenServiceEnableIntroDoSBurstPerSec": "500",
	} {
		if got := confValue(t, s, key); got != want {
			t.Errorf("%s is %q, want %s", key, got, want)
		}
	}
	if listens := listeners(t, s.PID()); len(listens) > 0 {
		t.Errorf("tor listens: %v", listens)
	}

	// Circuits follow connections.
	alice, again, bob := open(t, client, "alice", s), open(t, client, "alice", s), open(t, client, "bob", s)
	states(t, s, "two circuits", func(st State) bool { return st.Circuits == 2 })
	if err := s.CloseCircuit(t.Context(), alice.id); err != nil {
		t.Fatal(err)
	}
	again.r.ReadByte() // its end
	states(t, s, "one circuit", func(st State) bool { return st.Circuits == 1 })

	// Our own Tor reaches our own service, and nothing else.
	self := reach(t, s, "self")
	fi, err := os.Stat(s.socks)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("SOCKS socket: %v, %v", fi, err)
	}
	for _, host := range []string{"example.org", "127.0.0.1", "192.0.2.1", "::1", "localhost"} {
		var refused *Refusal
		if c, err := socks.Dial(t.Context(), "unix", s.socks, "u", host, 80); !errors.As(err, &refused) || refused.Code != 2 {
			t.Errorf("%s: %v, %v, want not allowed", host, c, err)
		}
	}
	var refused *Refusal
	if c, err := s.Dial(t.Context(), ourID+".onion", 80, "u"); !errors.As(err, &refused) || refused.Code != 0xf0 {
		t.Errorf("a service that is not there: %v, %v", c, err)
	}

	// Proof of work changes while circuits stay, and others still come in.
	before := states(t, s, "two circuits again", func(st State) bool { return st.Circuits == 2 && st.IntroPoints >= 3 })
	if err := s.SetPoW(t.Context(), 250, 2500); err != nil {
		t.Errorf("the values in force: %v", err)
	}
	if err := s.SetPoW(t.Context(), 40, 400); err != nil {
		t.Fatal(err)
	}
	// A new seed is the sign that Tor made its queue anew, by the new values.
	// And all introduction points are back before carol comes: a Tor that is refused at each of them does not try
	// them again for two minutes at least.
	st = states(t, s, "new queue", func(st State) bool {
		return st.Effort >= 0 && st.SeedExpires != before.SeedExpires && st.IntroPoints >= before.IntroPoints
	})
	if st.PoWQueueRate != 40 || st.PoWQueueBurst != 400 || confValue(t, s, "HiddenServicePoWQueueRate") != "40" || confValue(t, s, "HiddenServicePoWQueueBurst") != "400" {
		t.Errorf("after SetPoW: %+v", st)
	}
	for name, st := range map[string]*stream{"bob": bob, "self": self} {
		st.echo(t, name+" is still here")
	}
	carol := open(t, client, "carol", s)
	states(t, s, "three circuits", func(st State) bool { return st.Circuits == 3 && st.IntroPoints > 0 })
	if carol.id == bob.id || carol.id == self.id {
		t.Errorf("circuit ids: carol %d, bob %d, self %d", carol.id, bob.id, self.id)
	}
	if err := s.SetPoW(t.Context(), 50, 400); !errors.Is(err, ErrTooSoon) {
		t.Errorf("at once again: %v", err)
	}
	if err := s.SetPoW(t.Context(), 50, 49); err == nil || errors.Is(err, ErrTooSoon) {
		t.Errorf("burst below the rate: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.socks); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SOCKS socket after Close: %v", err)
	}
	if st := s.State(); st.TorPID != 0 || st.TorRSS != 0 || st.SocksReady {
		t.Errorf("after Close: %+v", st)
	}
}

func TestExternalTorGetsAHiddenServiceDir(t *testing.T) {
	n, client := sharedNetwork(t)
	other := filepath.Join(t.TempDir(), "other")
	ctx, cancel := context.WithTimeout(t.Context(), publishWait)
	defer cancel()
	host, err := n.Client(ctx, "hostdir", "HiddenServiceDir "+other, "HiddenServicePort 80 127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	c := networkConfig(t, n)
	c.Mode, c.Control, c.askEvery = External, "unix:"+host.ControlSocket(), 200*time.Millisecond
	s := mustStart(t, c)
	if !s.PoW() || !s.CircuitIDs() || s.PID() != 0 {
		t.Errorf("proof of work %v, circuit ids %v, pid %d", s.PoW(), s.CircuitIDs(), s.PID())
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish")
	if st := open(t, client, "dave", s); !st.ok {
		t.Error("no circuit id")
	}
	services := func() string {
		return strings.Join(servicesOf(t, s), "\n")
	}
	if now := services(); !strings.Contains(now, other) || !strings.Contains(now, c.StateDir) {
		t.Errorf("services of the running Tor: %s", now)
	}
	// It tells what one of our own tells, except what we do not know of its
	// process, and has a SOCKS port on loopback.
	st := states(t, s, "effort", func(st State) bool { return st.Effort >= 0 && st.Circuits == 1 })
	if st.Percent != 100 || st.Uploads == 0 || st.TorPID != 0 || st.TorRSS != 0 || st.SocksReady || len(st.Missing) > 0 {
		t.Errorf("state: %+v", st)
	}
	reach(t, s, "self")
	if err := s.SetPoW(t.Context(), 40, 400); err != nil {
		t.Fatal(err)
	}
	if now := services(); !strings.Contains(now, other) || !strings.Contains(now, "HiddenServicePoWQueueRate=40") {
		t.Errorf("services of the running Tor after SetPoW: %s", now)
	}
	if err := s.retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := services(); !strings.Contains(now, other) || strings.Contains(now, c.StateDir) {
		t.Errorf("services of the running Tor after ours was taken off: %s", now)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The running Tor goes on.
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(host.PID()))); err != nil {
		t.Error(err)
	}
	// And without other services, too.
	empty, err := n.Client(ctx, "hostdir2")
	if err != nil {
		t.Fatal(err)
	}
	c.Control = "unix:" + empty.ControlSocket()
	s = mustStart(t, c)
	if err := s.retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := services(); now != "HiddenServiceOptions" {
		t.Errorf("services: %q, want none", now)
	}
	// It ends under us.
	empty.Close()
	await(t, s.Done(), 10*time.Second, "Done")
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "control channel") {
		t.Errorf("Err: %v", err)
	}
}

func TestExternalTorOfAnotherUserGetsTheKeyOverTheControlPort(t *testing.T) {
	n, client := sharedNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), publishWait)
	defer cancel()
	host, err := n.Client(ctx, "hostadd")
	if err != nil {
		t.Fatal(err)
	}
	c := networkConfig(t, n)
	c.Mode, c.Control, c.addOnion, c.IntroPoints = External, "unix:"+host.ControlSocket(), true, 4
	s := mustStart(t, c)
	if !s.PoW() || s.CircuitIDs() {
		t.Errorf("proof of work %v, circuit ids %v: want the first only", s.PoW(), s.CircuitIDs())
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish")
	if st := open(t, client, "erin", s); st.ok {
		t.Errorf("circuit id %d, want none", st.id)
	}
	if lacks := s.State().Missing; !slices.Equal(lacks, []string{"circuit ids", "introduction DoS defence", "number of introduction points"}) {
		t.Errorf("missing: %q", lacks)
	}
	if err := s.SetPoW(ctx, 40, 400); !errors.Is(err, ErrNotLive) {
		t.Errorf("SetPoW: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The same key can be added again: it was taken off.
	s = mustStart(t, c)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSystemTorServesLikeTheEmbeddedOne(t *testing.T) {
	n, client := sharedNetwork(t)
	c := networkConfig(t, n)
	c.Mode, c.TorPath = System, tornet.Tor(t)
	s := mustStart(t, c)
	if !s.PoW() || !s.CircuitIDs() || s.PID() == 0 || s.TorVersion() == "" {
		t.Errorf("proof of work %v, circuit ids %v, pid %d, version %q", s.PoW(), s.CircuitIDs(), s.PID(), s.TorVersion())
	}
	go serveIDs(s.Listener())
	await(t, s.Published(), publishWait, "publish")
	open(t, client, "frank", s)
}
