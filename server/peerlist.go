package server

import (
	"sync"

	"jm-directory-server/server/wire"
)

// A peerlistCache holds the prepared answer to getpeerlist in both forms. It is made when asked for and the
// registry has changed, but takes no more than a twentieth of the time, unless that would make an answer old, or older than
// an announcement of departures: with ten thousand peers coming and going, it may be a few milliseconds old.
type peerlistCache struct {
	s *Server

	mu      sync.Mutex
	made    bool
	changes uint64 // of the registry, when made
	told    uint64 // the same: its announcements
	at      int64  // Server.now when made
	took    int64  // ns
	lists   [2][]*frame
}

// peerlistShare is the part of the time that making the list may take: one in so many.
const peerlistShare = 20

// An answer takes at most half of an outbox, or whoever asks over a slow circuit would be closed for the size of
// what it asked for. A list too long for that goes without features, which are optional; a plain one that is too
// long even so lists only some of the peers, others each time that it is made.
const (
	answerShare = 2
	plainEntry  = 128 // bytes that a plain entry takes at most, its part of the envelope included
)

// get returns the list's lines, with features or plain, and how many announcements of departures there were when it was made.
func (p *peerlistCache) get(features bool) (list []*frame, told uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.s.now()
	// took is long after a stall, too, whose cause may be anything.
	keep := min(p.took*peerlistShare, int64(p.s.opt().DepartureDelay/quietDeparture))
	told = p.s.registry.told.Load()
	if changes := p.s.registry.changes.Load(); !p.made || changes != p.changes && (told != p.told || now-p.at >= keep) {
		p.changes, p.told, p.at = changes, told, now
		p.make(now)
		p.made, p.took = true, p.s.now()-now
	}
	if features {
		return p.lists[1], told
	}
	return p.lists[0], told
}

// make prepares both forms: every peer that serves or has offered, and the directory itself (protocol.md 5.3).
func (p *peerlistCache) make(now int64) {
	entries := make([]wire.Entry, 0, 64)
	if own := p.s.location.Load(); own != nil {
		entries = append(entries, wire.Entry{Nick: p.s.nick, Location: *own, Features: ownFeatures(p.s.authID())})
	}
	p.s.registry.mu.RLock()
	for _, q := range p.s.registry.nicks {
		if q.listed() {
			entries = append(entries, q.entry())
		}
	}
	p.s.registry.mu.RUnlock()
	room := p.s.opt().OutboxBytes / answerShare
	entries = entries[:min(len(entries), room/plainEntry)]
	for i, features := range []bool{false, true} {
		var list []*frame
		bytes := 0
		add := func(line []byte) {
			if fr, err := newKeptFrame(wire.Peerlist, line, now); err == nil {
				list = append(list, fr)
				bytes += len(fr.b)
			}
		}
		if len(entries) == 0 {
			add(nil) // an answer always comes
		}
		chunkEntries(entries, p.s.opt().PeerlistChunk, features, add)
		if bytes > room && features {
			list = p.lists[0]
		}
		p.lists[i] = list
	}
}

// sendPeerlist answers getpeerlist. Nobody is in the answer whose departure c is told before it.
func (s *Server) sendPeerlist(c *conn) {
	for queued := false; !queued; {
		list, told := s.peerlist.get(c.peer.readsFeatures)
		queued = s.queuePeerlist(c, list, told)
	}
	s.count.peerlists.Add(1)
	c.f.awaitFor(c)
}

// queuePeerlist queues a list for c, unless departures were announced since there were told announcements: then it reports false.
func (s *Server) queuePeerlist(c *conn, list []*frame, told uint64) bool {
	now := s.now()
	s.registry.mu.RLock() // nothing is announced while it is held
	defer s.registry.mu.RUnlock()
	if s.registry.told.Load() != told {
		return false
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for _, fr := range list {
		c.f.push(c, fr.again(now))
	}
	return true
}
