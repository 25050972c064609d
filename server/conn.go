package server

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server/wire"
)

// A conn is one connection, from accept to close. A reader reads, while there is something to read; its flusher writes.
// Other goroutines only push to its outbox and evict it.
type conn struct {
	s       *Server
	id      uint64
	circuit uint64   // of Tor; 0 with hasCircuit false
	known   bool     // circuit is known
	via     *circuit // the same; nil with known false
	joined  int64    // Server.now of the accept
	t       transport
	f       *flusher
	in      lineReader

	ended    atomic.Uint32 // Reason; the first one stays
	lastSeen atomic.Int64  // Server.now when the last line came, or of the end of the wait for what it costs
	pinged   atomic.Int64  // Server.now of the last 798 to it; 0: none
	probed   atomic.Int64  // Server.now of the last other probe; 0: none
	held     atomic.Bool   // it waits for what a line costs, and is not read from: what its client answers lies unread

	limits limits // used by who reads only
	clock  int64  // the same: Server.now of the line at hand, or of the end of the wait for what it costs
	peer   *peer  // set at most once, by who reads, before the registry knows it
	queued uint64 // the last that was queued of it, on the queue's clock: its private messages must not come before that

	// Guarded by f.mu.
	out    outbox
	member int              // index in f.members, -1: not in the broadcast set
	opened uint64           // the end of its handshake on the queue's clock: nothing may come before that
	told   map[uint64]int64 // ids of connections whose location this one was told → when
	toldAt int64            // the latest time in told
	crowd  crowd            // who fills its outbox

	// Guarded by handshakePool.mu: the pool's list that it is in, or nil, its neighbours there, and since when (Server.now) it
	// waits for a nick, if it does.
	pooled       *byAge
	older, newer *conn
	waits        int64
}

// parsers are reused by all connections: a parser is held for the time of one message.
var parsers = sync.Pool{New: func() any { return new(wire.Parser) }}

// circuitConn is implemented by connections that know their Tor circuit.
type circuitConn interface {
	CircuitID() (id uint64, ok bool)
}

func (s *Server) newConn(t transport, from any) *conn {
	id := s.nextID.Add(1)
	c := &conn{s: s, id: id, t: t, f: s.flushers[id%uint64(len(s.flushers))], member: -1, joined: s.now()}
	c.in = lineReader{t: t, ended: &c.ended}
	c.lastSeen.Store(s.now())
	if cc, ok := from.(circuitConn); ok {
		if c.circuit, c.known = cc.CircuitID(); c.known {
			c.via = s.circuits.join(c.circuit, s.opt().MaxPeers+s.opt().MaxHandshakes)
		}
	}
	return c
}

// run takes what has come until there is no more, and ends the connection if that is due. A reader calls it, at first for
// the handshake, and then whenever there is something to read.
func (c *conn) run() {
	if !c.in.idle {
		if reason := c.handshake(); reason != ReasonNone {
			c.leave(reason)
			return
		}
		c.in.idle = true
	}
	if reason, over := c.read(); over {
		c.leave(reason)
	}
}

// read handles messages until there are no more for now, or until the connection is over, and returns why it is. When it is
// not, another reader may have it already.
func (c *conn) read() (reason Reason, over bool) {
	for {
		c.in.timeout = c.s.opt().LineTimeout
		line, err := c.in.next()
		if err == errIdle {
			if c.t.park(c) {
				return ReasonNone, false
			}
			continue
		}
		if err != nil {
			return c.readReason(err), true
		}
		if c.ended.Load() != 0 {
			return ClosedReset, true // evicted with lines left in the buffer: evict's own reason stands
		}
		if reason := c.handle(line); reason != ReasonNone {
			return reason, true
		}
	}
}

// received notes that line has come.
func (c *conn) received(line []byte) {
	c.clock = c.s.now()
	c.lastSeen.Store(c.clock)
	c.s.count.linesIn.Add(1)
	c.s.count.bytesIn.Add(uint64(len(line) + 2))
}

// goesOn ends a wait in which held was set. It counts as life: what came meanwhile is not read yet.
func (c *conn) goesOn() {
	c.clock = c.s.now()
	c.lastSeen.Store(c.clock)
	c.held.Store(false) // last: who finds it false finds lastSeen new
}

// handle parses and routes one line.
func (c *conn) handle(line []byte) Reason {
	c.received(line)
	p := parsers.Get().(*wire.Parser)
	defer parsers.Put(p)
	env, err := p.Parse(line)
	if err != nil {
		return ClosedMalformed
	}
	if c.answersPing(env) {
		return ReasonNone
	}
	if !c.take(classBytes, len(line)+2) {
		return c.drop(DroppedRateBytes)
	}
	return c.s.route(c, env)
}

// send queues one message to this connection alone.
func (c *conn) send(t wire.Type, line []byte) { c.queueOne(t, line, false) }

// sendFirst queues one message to this connection alone, before everything else that waits for it: a question whether its client is
// alive, or the answer to that client's own. The time for an answer is running already, and what waits may take a slow circuit longer.
func (c *conn) sendFirst(t wire.Type, line []byte) { c.queueOne(t, line, true) }

// queueOne queues one message to this connection alone, behind what waits for it or first.
func (c *conn) queueOne(t wire.Type, line []byte, first bool) {
	fr, err := newFrame(t, line, c.s.now())
	if err != nil {
		c.s.count.reasons[DroppedTooLong].Add(1)
		return
	}
	defer fr.release()
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if first {
		c.f.pushFirst(c, fr)
	} else {
		c.f.push(c, fr)
	}
}

// log writes one debug line about the connection. Names only with Options.UnsafeLog.
func (c *conn) log(event string, reason Reason) {
	if !c.s.logger.IsLevelEnabled(logrus.DebugLevel) {
		return
	}
	fields := logrus.Fields{"conn": strconv.FormatUint(c.id, 16)}
	if c.known {
		fields["circuit"] = c.circuit
	}
	if reason != ReasonNone {
		fields["reason"] = reason.String()
	}
	if c.s.opt().UnsafeLog && c.peer != nil {
		fields["nick"] = quote(c.peer.nick)
		fields["location"] = quote(c.peer.location.String())
	}
	c.s.logger.WithFields(fields).Debug(event)
}

// maxQuoted bounds client strings in logs, in bytes before quoting.
const maxQuoted = 256

// quote makes a client's string safe for a terminal and a log line (protocol.md 10.25).
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
