package server

import (
	"sync"

	"jm-directory-server/server/wire"
)

// A peerlistCache holds the prepared answer to getpeerlist in both forms. It is made when asked for and the
// registry has changed, but takes no more than a twentieth of the time, unless that would make an answer older than
// departures are when they are announced: with ten thousand peers coming and going, it may be a few milliseconds old.
type peerlistCache struct {
	s *Server

	mu      sync.Mutex
	made    bool
	changes uint64 // of the registry, when made
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

// get returns the list's lines, with features or plain.
func (p *peerlistCache) get(features bool) []*frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.s.now()
	// took is long after a stall, too, whose cause may be anything. Who is in a list from before it left must not be in an answer
	// from after its departure was announced.
	keep := min(p.took*peerlistShare, int64(p.s.opt().DepartureDelay/quietDeparture))
	if changes := p.s.registry.changes.Load(); !p.made || changes != p.changes && now-p.at >= keep {
		p.changes, p.at = changes, now
		p.make(now)
		p.made, p.took = true, p.s.now()-now
	}
	if features {
		return p.lists[1]
	}
	return p.lists[0]
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

// sendPeerlist answers getpeerlist.
func (s *Server) sendPeerlist(c *conn) {
	list := s.peerlist.get(c.peer.readsFeatures)
	now := s.now()
	c.f.mu.Lock()
	for _, fr := range list {
		c.f.push(c, fr.again(now))
	}
	c.f.mu.Unlock()
	s.count.peerlists.Add(1)
	c.f.awaitFor(c)
}
