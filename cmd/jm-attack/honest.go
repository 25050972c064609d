package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"jm-directory-server/server/wire"
)

const (
	// pause is the time between two public messages of an honest peer, and between two private ones to each of its partners.
	pause = 500 * time.Millisecond
	// honestPace and victimPace are bytes a second that honest peers read, as over Tor. The victim, the first of
	// them, reads slowest.
	honestPace, victimPace = 256 << 10, 96 << 10
	// quickPace is that of the victim in tests, which do not wait long.
	quickPace = 1 << 20
	// quiet is how long nothing may come until what has not come is lost: longer than limits.patience.
	quiet = 25 * time.Second
)

// A member is one honest peer of the group.
type member struct {
	greeting
	n      int
	group  *group
	stream *stream

	mu    sync.Mutex
	queue [][]byte // to be written
	full  *sync.Cond
	ended error // why its connection has ended; nil: it has not
}

// A group are honest peers that talk to each other all the time. Each message has its sender's sequence number and the time
// when it was due.
type group struct {
	members []*member
	byNick  map[string]*member
	started time.Time

	mu      sync.Mutex
	sent    map[string]int // by channel, see channel
	got     map[string]int
	lost    int             // gaps
	times   []time.Duration // of all that came
	wrong   map[string]int  // what should not have come, in words
	news    time.Time       // when the last message came
	closing bool
	work    sync.WaitGroup
}

// channel names a sequence: of one sender, to one receiver, in public or in private.
func channel(kind string, from, to int) string { return fmt.Sprintf("%s %d %d", kind, from, to) }

// newGroup has n honest peers join: even ones prove their nicks, odd ones are as the reference client; two of three serve.
func newGroup(n int, connect func(i int) (*stream, error)) (*group, error) {
	g := &group{byNick: map[string]*member{}, sent: map[string]int{}, got: map[string]int{}, wrong: map[string]int{}}
	for i := range n {
		m := &member{n: i, group: g, greeting: greeting{identity: newIdentity(), proves: i%2 == 0}}
		m.full = sync.NewCond(&m.mu)
		if i%3 != 2 {
			m.location = newLocation()
		}
		g.members = append(g.members, m)
		g.byNick[m.nick()] = m
	}
	errs := make([]error, n)
	var joining sync.WaitGroup
	for i, m := range g.members {
		joining.Go(func() {
			if m.stream, errs[i] = connect(i); errs[i] == nil {
				errs[i] = m.stream.handshake(m.greeting)
			}
		})
	}
	joining.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("honest peer %d: %w", i, err)
		}
	}
	return g, nil
}

// talk starts to talk, until ctx ends.
func (g *group) talk(ctx context.Context) {
	g.started = time.Now()
	for _, m := range g.members {
		g.work.Go(m.read)
		g.work.Go(m.write)
		g.work.Go(func() { m.talk(ctx) })
	}
}

// partners are to whom a member writes in private: the next, and the victim.
func (m *member) partners() []int {
	next := (m.n + 1) % len(m.group.members)
	if m.n == 0 || next == 0 {
		return []int{next}
	}
	return []int{next, 0}
}

func (m *member) talk(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	g := m.group
	for {
		now := time.Now().UnixNano()
		g.mu.Lock()
		for _, to := range m.partners() {
			c := channel("private", m.n, to)
			m.say(wire.Privmsg, fmt.Sprintf("%s!%s!fill %d %d", m.nick(), g.members[to].nick(), g.sent[c], now))
			g.sent[c]++
		}
		c := channel("public", m.n, -1)
		m.say(wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!cancel %d %d", m.nick(), g.sent[c], now))
		g.sent[c]++
		g.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// say queues a line: clients do not wait for their socket either.
func (m *member) say(t wire.Type, line string) {
	b, err := wire.AppendEnvelope(nil, t, []byte(line))
	if err != nil {
		panic(err) // made here
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = append(m.queue, b)
	m.full.Signal()
}

// write writes what is queued, until the connection ends.
func (m *member) write() {
	for {
		m.mu.Lock()
		for len(m.queue) == 0 && m.ended == nil {
			m.full.Wait()
		}
		queue, ended := m.queue, m.ended
		m.queue = nil
		m.mu.Unlock()
		if ended != nil {
			return
		}
		m.stream.conn.Write(bytes.Join(queue, nil)) // its end is seen by read
	}
}

// read takes what comes, until the connection ends.
func (m *member) read() {
	for {
		env, err := m.stream.next()
		if err != nil {
			m.mu.Lock()
			m.ended = err
			m.full.Signal()
			m.mu.Unlock()
			return
		}
		m.take(env)
	}
}

// bond is as long as an offer with a bond.
var bond = strings.Repeat("x", 480)

func (m *member) take(env wire.Envelope) {
	g := m.group
	switch env.Type {
	case wire.Ping:
		m.say(wire.Pong, "")
	case wire.Peerlist:
		for _, e := range wire.ParsePeerlist(env.Line) {
			if e.Gone && g.byNick[e.Nick] != nil {
				g.note("departure of an honest peer that is there")
			}
		}
	case wire.Pubmsg, wire.Privmsg:
		msg, err := wire.SplitMessage(env.Line)
		if err != nil {
			g.note("malformed message")
			return
		}
		from := g.byNick[string(msg.From)]
		if from == nil {
			if env.Type == wire.Pubmsg && string(msg.Body) == "orderbook" && m.location.Serving() {
				m.say(wire.Privmsg, m.nick()+"!"+string(msg.From)+"!sw0absoffer 0 1000000 100000000 1000 250!tbond "+bond)
			}
			return
		}
		f := strings.Fields(string(msg.Body))
		if len(f) != 3 || f[0] != "fill" && f[0] != "cancel" {
			g.note("forged message of an honest peer")
			return
		}
		seq, err1 := strconv.Atoi(f[1])
		at, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil {
			g.note("forged message of an honest peer")
			return
		}
		c := channel("private", from.n, m.n)
		if env.Type == wire.Pubmsg {
			c = channel("public", from.n, m.n)
		}
		g.came(c, seq, time.Since(time.Unix(0, at)))
	}
}

func (g *group) note(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.wrong[what]++
	}
}

// came counts a message.
func (g *group) came(c string, seq int, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.news = time.Now()
	switch want := g.got[c]; {
	case seq < want:
		g.wrong["message twice or out of order"]++
	default:
		g.lost += seq - want
		g.got[c] = seq + 1
		g.times = append(g.times, took)
	}
}

// missing is how many messages that were sent have not come, gaps not counted.
func (g *group) missing() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		for _, to := range m.partners() {
			c := channel("private", m.n, to)
			n += g.sent[c] - g.got[c]
		}
		for _, to := range g.members {
			if to != m {
				n += g.sent[channel("public", m.n, -1)] - g.got[channel("public", m.n, to.n)]
			}
		}
	}
	return n
}

// ended is how many members have lost their connection.
func (g *group) ended() (n int) {
	for _, m := range g.members {
		m.mu.Lock()
		if m.ended != nil {
			n++
		}
		m.mu.Unlock()
	}
	return n
}

// An outcome is what honest peers noticed.
type outcome struct {
	sent, lost int // deliveries
	ended      int // connections of honest peers
	p50, p99   time.Duration
	wrong      map[string]int
}

// finish waits until everything has come that will, ends the group, and says how it was.
func (g *group) finish(ctx context.Context) outcome {
	for {
		g.mu.Lock()
		silent := time.Since(g.news)
		g.mu.Unlock()
		if g.missing() == 0 || silent > quiet || silent > quiet/8 && g.ended() > 0 || ctx.Err() != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	late := g.missing()
	var o outcome
	o.ended = g.ended()
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	for _, m := range g.members {
		m.stream.conn.Close()
	}
	g.work.Wait()
	slices.Sort(g.times)
	o.lost, o.wrong = g.lost+late, g.wrong
	o.sent = o.lost + len(g.times)
	if n := len(g.times); n > 0 {
		o.p50, o.p99 = g.times[n/2], g.times[n*99/100]
	}
	return o
}
