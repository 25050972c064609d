package server

import (
	"time"

	"jm-directory-server/server/wire"
)

// conflictPoll is how often an incumbent is looked at while it is being probed.
const conflictPoll = 20 * time.Millisecond

// conflictLeave is how long a connection that its client has ended may take to leave, with all that was sent before, when its
// nick is asked for, or Options.Patience if that is longer: what waits for a budget has got it by then, or was dropped.
const conflictLeave = 5 * time.Second

// freshShare is the part of Options.ConflictTimeout, one in so many, within which an owner that has sent
// anything is alive without a probe.
const freshShare = 8

// A silence is what a newcomer has found of the owner of its nick: it gives no sign of life, and may be replaced as long as that is so.
type silence struct {
	of   *peer // nil: nobody was found silent
	seen int64 // the owner's conn.lastSeen then
	left bool  // the owner's client has ended the connection: what is still read of it is no sign of life
}

// lasts reports whether owner may still be replaced.
func (s silence) lasts(owner *peer) bool {
	return s.of == owner && (s.left || owner.conn.lastSeen.Load() == s.seen)
}

// stillThere decides whether the owner of a nick that newcomer asks for is alive (protocol.md 6.4). An owner
// that can be probed has Options.ConflictTimeout to send anything, or more while it is held back; one that cannot (a legacy client that does
// not serve) is taken for alive until it has been silent for Options.ConflictSilence, or anyone could
// displace it by name. before is what newcomer found last: if it was the same owner, that has shown life since. Of an owner
// that is not alive it returns the silence. The newcomer's reader runs it, which has nothing else to do.
func (s *Server) stillThere(incumbent *peer, newcomer *conn, before silence) (found silence, alive bool) {
	c := incumbent.conn
	if c.t.hungUp() {
		return s.awaitLeave(incumbent, newcomer), false
	}
	if before.of == incumbent {
		return silence{}, true
	}
	start := s.now()
	seen := c.lastSeen.Load()
	if !incumbent.answersPing && !incumbent.serves() {
		return silence{of: incumbent, seen: seen}, start-seen < int64(s.opt().ConflictSilence)
	}
	if start-seen < int64(s.opt().ConflictTimeout)/freshShare {
		return silence{}, true // nobody can have it probed by asking for its nick again and again
	}
	last := max(c.pinged.Load(), c.probed.Load())
	if last == 0 || last <= seen || start-last >= int64(s.opt().ConflictTimeout) {
		s.probe(incumbent) // at most one probe at a time, however many newcomers ask
	} else {
		start = last
	}
	s.pool.wait(newcomer, s.now())
	tick := time.NewTicker(conflictPoll)
	defer tick.Stop()
	deadline := time.NewTimer(s.opt().ConflictTimeout)
	defer deadline.Stop()
	for over := false; ; {
		// While we do not read from it, for its rate or for a budget, its answer cannot be seen, and neither can its end.
		held := c.held.Load() // first: who finds it false finds lastSeen new
		seen = c.lastSeen.Load()
		alive = seen >= start || over && held
		switch {
		case (alive || over || held) && c.t.hungUp(): // a sign of life was its last, or there will be none
			return s.awaitLeave(incumbent, newcomer), false
		case alive || over:
			return silence{of: incumbent, seen: seen}, alive
		case s.registry.get(incumbent.nick) != incumbent || newcomer.ended.Load() != 0:
			return silence{}, false
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			over = true
		}
	}
}

// awaitLeave waits until p, whose client has ended the connection, is out of the registry, which it is when what the client sent
// before has been handled: a client that comes back at once may be here before we know that it went, and what it said before is still to
// be said, ahead of its departure. What is held back for longer than conflictLeave keeps its sender from its nick no more, and is dropped.
func (s *Server) awaitLeave(p *peer, newcomer *conn) silence {
	s.pool.wait(newcomer, s.now())
	tick := time.NewTicker(conflictPoll)
	defer tick.Stop()
	deadline := time.NewTimer(max(conflictLeave, s.opt().Patience))
	defer deadline.Stop()
	for s.registry.get(p.nick) == p && newcomer.ended.Load() == 0 {
		select {
		case <-tick.C:
		case <-deadline.C:
			return silence{of: p, left: true}
		}
	}
	return silence{}
}

// probe asks p for a sign of life in the way that it can answer: 798, or a unicast orderbook request that a
// legacy maker answers to the directory's nick (protocol.md 5.4).
func (s *Server) probe(p *peer) {
	c := p.conn
	if p.answersPing {
		c.pinged.Store(s.now())
		c.sendFirst(wire.Ping, nil)
		return
	}
	c.probed.Store(s.now())
	c.sendFirst(wire.Pubmsg, s.orderbookProbe)
}
