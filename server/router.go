package server

import (
	"time"

	"jm-directory-server/server/wire"
)

// route acts on one message of a peer, and returns why the connection must end, or ReasonNone.
// It MUST NOT allocate per message and MUST NOT wait for any one receiver.
func (s *Server) route(c *conn, env wire.Envelope) Reason {
	switch env.Type {
	case wire.Pubmsg:
		if !c.take(classPublic, 1) {
			return c.drop(DroppedRatePublic)
		}
		return s.public(c, env.Line)
	case wire.Privmsg:
		return s.private(c, env.Line)
	case wire.GetPeerlist:
		if !c.take(classPeerlist, 1) {
			return c.drop(DroppedRatePeerlist)
		}
		s.sendPeerlist(c)
		return ReasonNone
	case wire.Disconnect:
		return ClosedPolitely
	case wire.NickChallenge, wire.NickProof, wire.NickResult:
		return ClosedProof
	}
	if !c.take(classControl, 1) {
		return c.drop(DroppedRateControl)
	}
	switch env.Type {
	case wire.Ping:
		c.sendFirst(wire.Pong, nil)
	case wire.Pong: // unsolicited
	default:
		// 785, 787 and 797 are events inside the reference client and inert here (protocol.md 3.1);
		// handshakes come once; what is unknown is ignored.
		s.count.reasons[DroppedUnexpected].Add(1)
	}
	return ReasonNone
}

// answersPing reports whether env is the answer to a ping of ours, which costs its sender nothing (protocol.md 5.4).
func (c *conn) answersPing(env wire.Envelope) bool {
	if env.Type != wire.Pong {
		return false
	}
	pinged := c.pinged.Load()
	return pinged != 0 && c.pinged.CompareAndSwap(pinged, 0)
}

// drop counts a message that is not forwarded for its sender's fault.
func (c *conn) drop(reason Reason) Reason {
	c.s.count.reasons[reason].Add(1)
	if c.limits.violate(c.clock, c.s.opt()) {
		return ClosedViolation
	}
	return ReasonNone
}

// maxRequests is how many orderbook requests a public message may hold. Clients send one, and a directory may drop more
// (protocol.md 6.1); the second is let through as other directories do, and paid for.
const maxRequests = 2

// public copies a message to every other peer (protocol.md 6.2).
func (s *Server) public(c *conn, line []byte) Reason {
	m, err := wire.SplitMessage(line)
	switch {
	case err != nil || string(m.To) != wire.Public:
		return c.drop(DroppedMalformed)
	case string(m.From) != c.peer.nick:
		return c.drop(DroppedForged)
	}
	requests := wire.OrderbookRequests(m.Body)
	if requests > maxRequests {
		return c.drop(DroppedMalformed)
	}
	announces := wire.AnnouncesOffer(m.Body)
	if announces {
		if reason := c.offerable(m.Body); reason != ReasonNone {
			return c.drop(reason)
		}
	}
	fr, err := newFrame(wire.Pubmsg, line, c.clock)
	if err != nil {
		return c.drop(DroppedTooLong)
	}
	defer fr.release()
	cost := costs{scarceDeliveries: int(s.registry.peers.Load()), scarcePublicBytes: len(fr.b)}
	if requests > 0 {
		// Each maker answers each with a message of its own, and each answer brings its sender's location along.
		cost[scarceOrderbooks] = requests
		cost[scarceDeliveries] += requests * 2 * int(s.registry.makers.Load())
		if now, window := c.clock, s.opt().OrderbookWindow; window > 0 {
			if last := c.limits.orderbook; last != 0 && time.Duration(now-last) < window {
				s.count.reasons[DroppedOrderbook].Add(1)
				return ReasonNone
			}
			c.limits.orderbook = now
		}
	}
	if !c.affords(cost, nil) {
		s.count.reasons[DroppedBudget].Add(1)
		return ReasonNone
	}
	fr.born = c.clock // nobody else knows it yet
	if announces && !c.peer.offers.Load() {
		s.registry.offered(c.peer)
	}
	if announces || len(c.limits.offers) > 0 { // it may cancel one
		c.limits.offers, _ = c.limits.offers.with(m.Body, maxOffers, &s.count.offers)
	}
	c.peer.spoken.Store(true)
	if !s.broadcast(fr, c.peer) {
		s.count.reasons[DroppedDisplaced].Add(1)
		return ReasonNone
	}
	s.count.public.Add(1)
	for _, f := range s.flushers {
		f.await()
	}
	if s.pressure.high() {
		s.count.held.Add(1)
		s.pressure.await(s.stopping)
	}
	return ReasonNone
}

// broadcast queues fr to every peer but the one that it is from (nil: from the directory), without waiting. Nothing is queued
// behind the departure of its sender: the registry lets go of a peer before it takes a flusher's lock to queue that. It reports false
// when that has happened, to all or to some.
func (s *Server) broadcast(fr *frame, from *peer) bool {
	var sender *conn
	if from != nil {
		sender = from.conn
	}
	for _, f := range s.flushers {
		f.mu.Lock()
		if from != nil && from.gone.Load() {
			f.mu.Unlock()
			return false
		}
		seq := s.queued.Add(1)
		for _, c := range f.members {
			if c != sender {
				f.queue(c, fr, seq, false)
			}
		}
		if sender != nil {
			sender.queued = seq
		}
		f.mu.Unlock()
	}
	return true
}

// private hands a message to its addressee, and tells the addressee where the sender can be reached
// (protocol.md 6.3).
func (s *Server) private(c *conn, line []byte) Reason {
	m, err := wire.SplitMessage(line)
	if err == nil && string(m.To) == s.nick && string(m.From) == c.peer.nick {
		// The answer to an orderbook probe, which costs its sender nothing but its bytes; otherwise it means nothing.
		if c.probed.Swap(0) == 0 && !c.take(classControl, 1) {
			return c.drop(DroppedRateControl)
		}
		return ReasonNone
	}
	if !c.take(classPrivate, 1) {
		return c.drop(DroppedRatePrivate)
	}
	switch {
	case err != nil || !wire.ValidNick(m.To):
		return c.drop(DroppedMalformed)
	case string(m.From) != c.peer.nick:
		return c.drop(DroppedForged)
	case string(m.To) == c.peer.nick:
		s.count.reasons[DroppedSelf].Add(1)
		return ReasonNone
	}
	target := s.registry.lookup(m.To)
	if target == nil {
		s.count.reasons[DroppedUnknownTarget].Add(1)
		return ReasonNone
	}
	fr, err := newFrame(wire.Privmsg, line, c.clock)
	if err != nil {
		return c.drop(DroppedTooLong)
	}
	c.peer.spoken.Store(true)
	dropped := s.deliver(c.peer, target, fr)
	fr.release()
	if dropped != ReasonNone {
		s.count.reasons[dropped].Add(1)
		return ReasonNone
	}
	s.count.private.Add(1)
	target.conn.f.awaitFor(target.conn)
	return ReasonNone
}

// maxTold bounds what one connection remembers of whose location it was told; 1024 entries are about 40 kB.
const maxTold = 1024

// deliver queues a private message and, where it is news, the sender's location right behind it. It is called by who reads from
// the sender. It returns why it is not queued: the receiver is too slow for what the sender has for it, or the sender's departure may
// be queued already, which nothing of it may follow.
func (s *Server) deliver(from, to *peer, fr *frame) Reason {
	c, f := to.conn, to.conn.f
	f.mu.Lock()
	defer f.mu.Unlock()
	now := from.conn.clock
	if from.gone.Load() {
		return DroppedDisplaced
	}
	if c.out.state == outboxStalled && !c.crowd.admits(from.conn, len(fr.b), c.out.bytes, s.opt(), now) {
		return DroppedCrowded
	}
	seq, lane := s.queued.Add(1), c.out.overtakes(max(from.conn.queued, c.opened))
	if !lane {
		from.conn.queued = seq
	}
	f.queue(c, fr, seq, lane)
	if !from.serves() || c.out.dead {
		return ReasonNone
	}
	if at, ok := c.told[from.conn.id]; ok && now-at < int64(s.opt().LocationRepeat) {
		return ReasonNone
	}
	if c.told == nil {
		c.told = make(map[uint64]int64)
	} else if len(c.told) >= maxTold {
		clear(c.told)
	}
	c.told[from.conn.id], c.toldAt = now, now
	var room [512]byte
	entry, err := newFrame(wire.Peerlist, wire.AppendEntry(room[:0], from.entry(), to.readsFeatures), now)
	if err != nil {
		return ReasonNone
	}
	entry.follows = true
	f.queue(c, entry, seq, lane)
	entry.release()
	return ReasonNone
}

// at is the time of the token buckets when Server.now was now.
func (s *Server) at(now int64) time.Time { return s.started.Add(time.Duration(now)) }
