package server

import (
	"context"
	"time"

	"jm-directory-server/server/wire"
)

// heartbeat looks at every peer once per Options.SweepInterval: Tor keeps dead circuits open, so silence must
// be probed, and an outbox whose receiver reads too slowly must end (protocol.md 5.4, 9.1).
func (s *Server) heartbeat(ctx context.Context) {
	interval := s.opt().SweepInterval
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if now := s.opt().SweepInterval; now != interval {
			interval = now
			tick.Reset(interval)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.registry.each(s.checkSilence)
		for _, f := range s.flushers {
			f.checkOutboxes()
		}
		s.circuits.sweep(s.now())
		s.readers.trim()
		s.bans.sweep(time.Now())
	}
}

// checkSilence probes or evicts one peer.
func (s *Server) checkSilence(p *peer) {
	c := p.conn
	if c.held.Load() {
		return // what it answers is not read now
	}
	now := s.now()
	seen := c.lastSeen.Load()
	idle := time.Duration(now - seen)
	switch {
	case p.answersPing:
		if pinged := c.pinged.Load(); pinged > seen {
			if time.Duration(now-pinged) >= s.opt().PongTimeout {
				c.evict(EvictedNoPong)
			}
		} else if idle >= s.opt().PingIdle {
			s.probe(p)
		}
	case p.serves():
		if idle >= s.opt().EvictIdle {
			c.evict(EvictedIdle)
		} else if idle >= s.opt().PingIdle && s.probeDue(c, now) {
			s.probe(p)
		}
	default:
		// A legacy client that does not serve answers nothing, and is legitimately silent for as long
		// as its owner only watches. A line that means nothing to it shows a dead circuit to Tor.
		if idle >= s.opt().LegacyIdle {
			c.evict(EvictedLegacyIdle)
		} else if idle >= s.opt().PingIdle && s.probeDue(c, now) {
			c.probed.Store(now)
			c.sendFirst(wire.Peerlist, s.ownEntry(false))
		}
	}
}

// probeDue reports whether the last probe is long enough ago.
func (s *Server) probeDue(c *conn, now int64) bool {
	probed := c.probed.Load()
	return probed == 0 || time.Duration(now-probed) >= s.opt().PingIdle
}

// ownEntry is the directory's own peerlist entry, empty while its location is not known.
func (s *Server) ownEntry(features bool) []byte {
	own := s.location.Load()
	if own == nil {
		return nil
	}
	return wire.AppendEntry(nil, wire.Entry{Nick: s.nick, Location: *own, Features: ownFeatures(s.authID())}, features)
}

// deadGrace is how long a connection that failed in writing may take to end in reading as well.
const deadGrace = 10 * time.Second

// checkOutboxes dooms connections whose receiver is too slow, and gives unused memory back.
func (f *flusher) checkOutboxes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.s.now()
	for _, c := range f.members {
		c.crowd.forget(now)
		if c.told != nil && now-c.toldAt >= int64(f.s.opt().LocationRepeat) {
			c.told = nil // all of it would be told again
		}
		o := &c.out
		switch {
		case o.dead:
			if time.Duration(now-o.deadAt) >= deadGrace {
				f.kill(c, ClosedReset)
			}
		case o.state == outboxStalled && time.Duration(now-o.oldest()) >= f.s.opt().OutboxAge:
			f.kill(c, EvictedOutboxAge)
		case o.state == outboxIdle:
			o.frames.shrink()
			o.lane.shrink()
		}
	}
}
