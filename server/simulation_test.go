package server

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

var (
	simRuns = flag.Int("sim.runs", 0, "`number` of runs of the simulation; 0: as many as fit into a test run")
	simSeed = flag.Uint64("sim.seed", 0, "first `seed` of the simulation; with -sim.runs a failed run is played again and again")
)

// TestSimulation plays many peers at once, on a clock that moves only when all wait: they join, with and without
// proofs, send, stop reading, take nicks over and leave, many in the same instant. Afterwards a model that knows nothing of
// the server's code judges what each of them has seen (simmodel_test.go).
//
// A seed fixes what every peer does and when. What comes first of the things of one instant is up to the scheduler, so a
// seed that failed is played several times:
//
//	go test ./server -run TestSimulation -sim.seed 17 -sim.runs 200
//
// With -sim.seed all runs have that seed; otherwise run i has the seed i. A panic of the server itself ends the tests before they can
// say more: then the seed is the last argument of simulate, in the goroutine that is in it.
func TestSimulation(t *testing.T) {
	runs := *simRuns
	if runs == 0 {
		switch runs = 2000; {
		case raceDetector:
			runs = 30
		case testing.Short():
			runs = 100
		}
	}
	debug.SetTraceback("all")
	var all simCount
	for i := range runs {
		seed := uint64(i + 1)
		if *simSeed != 0 {
			seed = *simSeed
		}
		func() {
			ended := false
			defer func() {
				if !ended || t.Failed() { // also when it panics, as it does when all wait for each other
					fmt.Fprintf(os.Stderr, "replay: go test ./server -run TestSimulation -sim.seed %d -sim.runs 200\n", seed)
				}
			}()
			synctest.Test(t, func(t *testing.T) { all.add(simulate(t, seed)) })
			ended = true
		}()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d runs: %+v", runs, all)
	if runs >= 300 && *simSeed == 0 {
		all.nonzero(t)
	}
}

// A sim is one run.
type sim struct {
	t     *testing.T
	s     *Server
	seed  uint64
	begin time.Time
	nicks int // that somebody has, some time
	conns []*simConn
	end   time.Duration // of the run, since its begin
	over  chan struct{} // closed at the end: whoever does not read is waited for no more
}

// simTick is the grain of the clock: coarse, so that much happens in the same instant.
const simTick = 5 * time.Millisecond

// now is the time since the run began.
func (m *sim) now() time.Duration { return time.Since(m.begin) }

// A simConn is one connection: what its client did, and what it saw.
type simConn struct {
	*sim
	id       int
	r        *rand.Rand
	owner    prover
	location wire.Location
	features []string
	proves   bool // announces that it proves its nick
	cheats   bool // with another's key
	answers  bool // probes
	deaf     bool // stops to read for good, some time
	quiet    bool // says little to all
	late     bool // reads nothing at first, not even the answer to its handshake
	room     int  // of its socket, while it does not read
	m        *memTransport
	c        *conn
	turn     chan struct{} // one writes at a time
	answer   chan bool     // accepted; closed when the connection ends first
	stalled  bool          // was, once
	busy     bool          // had to finish a line before it could answer, once, and read nothing meanwhile
	refused  bool          // was told so
	spoke    bool          // a message without a number
	left     atomic.Bool   // by the client's own will
	resumes  atomic.Int64  // ns since the start of the run, when it reads on
	hello    string

	// Times since the start of the run; -1: never.
	helloAt, answeredAt, acceptedAt, leftAt, endedAt time.Duration

	sent  []simMessage
	lines []simLine
	asked int // for the list of peers
}

// A simMessage is what a client sent, when its last byte was written.
type simMessage struct {
	at time.Duration
	to string // a nick, or wire.Public
}

// A simLine is what a client got.
type simLine struct {
	at time.Duration
	rawMessage
}

// simCircuit is where a connection says its circuit.
type simCircuit uint64

func (c simCircuit) CircuitID() (uint64, bool) { return uint64(c), c != 0 }

// simulate plays and judges one run.
func simulate(t *testing.T, seed uint64) simCount {
	r := rand.New(rand.NewPCG(seed, 0))
	o := DefaultOptions()
	o.Flushers = 1 + r.IntN(3)
	o.DirectoryID = testID
	o.Location = testLocation(1000)
	o.OutboxShare, o.PublicBytes = 0, Rate{} // they may be used up
	s, err := New(o, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	m := &sim{t: t, s: s, seed: seed, begin: time.Now(), over: make(chan struct{})}
	m.nicks = 2 + r.IntN(7)
	var clients, readers sync.WaitGroup
	for i := range 4 + r.IntN(24) {
		c := m.newConn(i)
		m.conns = append(m.conns, c)
		clients.Go(func() { c.live(&readers) })
	}
	clients.Wait()
	time.Sleep(o.WriteTimeout + 3*o.DepartureDelay) // the deaf are closed, and all have heard of it, mostly
	synctest.Wait()
	if err := s.consistent(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	for _, c := range m.conns {
		if c.leftAt < 0 && c.m.isClosed() {
			c.endedAt = c.m.ended().Sub(m.begin)
		}
	}
	count := m.count()
	m.end = m.now()
	close(m.over)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	readers.Wait()
	if err := s.leftovers(); err != nil {
		t.Errorf("seed %d: after the end: %v", seed, err)
	}
	m.judge()
	return count
}

// newConn draws a connection.
func (m *sim) newConn(i int) *simConn {
	r := rand.New(rand.NewPCG(m.seed, uint64(i)+1))
	k := r.IntN(m.nicks)
	c := &simConn{
		sim: m, id: i, r: r, owner: modelProvers()[k],
		proves: r.IntN(3) == 0, answers: r.IntN(4) > 0, deaf: r.IntN(10) == 0,
		turn: make(chan struct{}, 1), answer: make(chan bool, 1),
		helloAt: -1, answeredAt: -1, acceptedAt: -1, leftAt: -1, endedAt: -1,
	}
	c.quiet = r.IntN(3) == 0
	c.late = !c.proves && !c.deaf && r.IntN(6) == 0
	c.cheats = c.proves && r.IntN(6) == 0
	if r.IntN(2) == 0 {
		c.location = testLocation(k)
	}
	for _, f := range []string{wire.FeaturePeerlist, wire.FeaturePing} {
		if r.IntN(2) == 0 {
			c.features = append(c.features, f)
		}
	}
	if c.hello = handshakeOf(c.owner.nick, c.location, c.features...); c.proves {
		c.hello = c.owner.handshake(c.location, c.features...)
	}
	return c
}

// pause lets time pass, or none, so that others do something in the same instant.
func (c *simConn) pause(most int) {
	if n := c.r.IntN(3 * most); n < most {
		time.Sleep(time.Duration(n) * simTick)
	}
}

// live is what the client does.
func (c *simConn) live(readers *sync.WaitGroup) {
	time.Sleep(time.Duration(c.r.IntN(40)) * simTick)
	c.room = []int{70, 3000, 1 << 20}[c.r.IntN(3)]
	switch {
	case c.deaf:
		c.room = 300
	case c.late:
		c.room, c.stalled = 0, true
		c.resumes.Store(int64(c.now() + time.Duration(1+c.r.IntN(10))*time.Second))
	}
	c.m = newMemTransport(c.room)
	c.c = c.s.newConn(c.m, simCircuit(c.r.IntN(4)))
	c.s.start(c.c)
	readers.Go(c.read)
	c.helloAt = c.now()
	if !c.proves && !c.late && c.r.IntN(4) == 0 {
		// With its first message in the same segment, and for some that is all: join, one message, close.
		c.write(envelopeOf(c.t, wire.ClientHandshake, c.hello), envelopeOf(c.t, wire.Pubmsg, c.next(wire.Public, 0)))
		if c.r.IntN(2) == 0 {
			c.leave()
			return
		}
	} else {
		c.write(envelopeOf(c.t, wire.ClientHandshake, c.hello))
	}
	if !<-c.answer {
		return
	}
	for i := range 5 + c.r.IntN(30) {
		if c.deaf && i == 3 {
			c.resumes.Store(int64(time.Hour))
		}
		c.act()
		c.pause(10)
		if c.m.isClosed() {
			return
		}
	}
	if !c.deaf && c.r.IntN(3) > 0 {
		if wait := time.Duration(c.resumes.Load()) - c.now(); wait >= 0 {
			time.Sleep(wait + simTick) // what it has not read yet is not lost by the server's fault
		}
		c.leave()
	}
}

// act does one thing.
func (c *simConn) act() {
	switch n := c.r.IntN(20); {
	case n < 9 && (!c.quiet || c.r.IntN(4) == 0):
		c.say(wire.Pubmsg, wire.Public, 0)
	case n < 15:
		for to := c.other(); ; { // some have more to say at once
			if c.say(wire.Privmsg, to, 0); c.r.IntN(3) > 0 {
				break
			}
		}
	case n == 15:
		to := c.other()
		for range c.r.IntN(10) { // more than a lane may go ahead
			c.say(wire.Privmsg, to, 10_000)
		}
	case n == 16 && c.asked < 3:
		c.asked++
		c.write(envelopeOf(c.t, wire.GetPeerlist, ""))
	case n == 17:
		nick := modelNick(c.r.IntN(len(modelProvers()))) // forged, unless it happens to be its own
		c.spoke = c.spoke || nick == c.owner.nick
		c.write(envelopeOf(c.t, wire.Pubmsg, nick+"!PUBLIC!x"+c.owner.nick))
	case n == 18 && c.r.IntN(2) == 0:
		c.stalled = true
		c.m.setRoom(max(c.room, 70)) // it may be about to read
		c.resumes.Store(max(c.resumes.Load(), int64(c.now()+time.Duration(c.r.IntN(20))*time.Second)))
	case n == 19:
		time.Sleep(time.Duration(c.r.IntN(3)) * time.Second)
	}
}

// other draws a nick that somebody may have, or never has.
func (c *simConn) other() string {
	if c.r.IntN(4) > 0 {
		return modelNick(c.r.IntN(c.nicks))
	}
	return modelNick(c.r.IntN(len(modelProvers())))
}

// say sends one numbered message, with so many bytes more at the most.
func (c *simConn) say(t wire.Type, to string, more int) {
	b := envelopeOf(c.t, t, c.next(to, more))
	if c.r.IntN(8) > 0 {
		c.write(b)
		return
	}
	cut := 1 + c.r.IntN(len(b)-1)
	c.write(b[:cut], nil, b[cut:])
	c.sent[len(c.sent)-1].at = c.now()
}

// next returns the next numbered message, and notes it.
func (c *simConn) next(to string, more int) string {
	c.sent = append(c.sent, simMessage{c.now(), to})
	text := fmt.Sprintf("%s!%s!%d %d", c.owner.nick, to, c.id, len(c.sent)-1)
	if c.r.IntN(8) == 0 {
		more = 6000 // several reads and writes
	}
	if more > 0 {
		text += " " + strings.Repeat("x", c.r.IntN(more))
	}
	return text
}

// write sends pieces, with some time in place of a piece that is nil.
func (c *simConn) write(pieces ...[]byte) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	for _, b := range pieces {
		if b == nil {
			time.Sleep(time.Duration(1+c.r.IntN(4)) * simTick)
		}
		c.m.Write(b) // fails once the server has closed
	}
}

// leave ends the connection from the client's side, unless the server has.
func (c *simConn) leave() {
	if c.m.isClosed() {
		return
	}
	c.leftAt = c.now()
	c.left.Store(true)
	if c.r.IntN(3) == 0 {
		c.write(envelopeOf(c.t, wire.Disconnect, ""))
	}
	c.m.closeClient()
}

// envelopeOf is one line.
func envelopeOf(t *testing.T, typ wire.Type, line string) []byte {
	b, err := wire.AppendEnvelope(nil, typ, []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read notes what comes, and answers what wants an answer, until the connection ends.
func (c *simConn) read() {
	defer close(c.answer)
	var parser wire.Parser
	var line []byte
	buf := make([]byte, 4096)
	for {
		if wait := time.Duration(c.resumes.Load()) - c.now(); wait > 0 {
			select {
			case <-time.After(wait):
			case <-c.over:
				return
			}
			c.m.setRoom(1 << 20) // as a socket that is read from after long: it has room for much at once
		}
		n, err := c.m.Read(buf[:1+c.seed%uint64(len(buf))])
		if err != nil {
			return
		}
		if c.left.Load() {
			continue
		}
		for line = append(line, buf[:n]...); ; {
			one, rest, ok := bytes.Cut(line, []byte("\r\n"))
			if !ok {
				break
			}
			line = rest
			e, err := parser.Parse(one)
			if err != nil {
				c.t.Errorf("seed %d: the server sent %q: %v", c.seed, one, err)
				return
			}
			c.lines = append(c.lines, simLine{c.now(), rawMessage{e.Type, string(e.Line)}})
			c.react(c.lines[len(c.lines)-1])
			c.busy = c.busy || c.now() > c.lines[len(c.lines)-1].at
		}
	}
}

// react answers one line.
func (c *simConn) react(l simLine) {
	switch l.Type {
	case wire.DirectoryHandshake:
		c.answeredAt = l.at
		if hello, err := wire.ParseDirectoryHello([]byte(l.Line)); err != nil || !hello.Accepted {
			c.refused = true
			c.answer <- false
		} else if !c.proves {
			c.acceptedAt = l.at
			c.answer <- true
		}
	case wire.NickChallenge:
		signer := c.owner
		if c.cheats {
			signer.key = testProver(99).key
		}
		c.write(envelopeOf(c.t, wire.NickProof, signer.proof(c.t, l.Line, c.hello)))
	case wire.NickResult:
		c.answeredAt = l.at
		ok := l.Line == resultLine(wire.ProofOK).Line
		if c.refused = !ok; ok {
			c.acceptedAt = l.at
		}
		c.answer <- ok
	case wire.Ping:
		if c.answers {
			c.write(envelopeOf(c.t, wire.Pong, ""))
		}
	case wire.Pubmsg:
		if c.answers && l.Line == string(c.s.orderbookProbe) {
			c.write(envelopeOf(c.t, wire.Privmsg, c.owner.nick+"!"+c.s.Nick()+"!absoffer 0"))
		}
	}
}
