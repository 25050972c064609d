package server

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A registry knows which peer owns which nick, how many claim the same host and were not found to claim it in vain, and
// whose departure is still to be announced.
type registry struct {
	s *Server

	mu         sync.RWMutex
	nicks      map[string]*peer
	hosts      map[string]int
	departures departures
	closing    bool // the server stops: departures are no news any more

	changes atomic.Uint64 // counts changes of what a peer list would say
	told    atomic.Uint64 // counts announcements of departures; changed with the lock only
	peers   atomic.Int64  // len(nicks)
	makers  atomic.Int64  // peers that are listed
}

func newRegistry(s *Server) *registry {
	return &registry{s: s, nicks: make(map[string]*peer), hosts: make(map[string]int)}
}

// lookup returns the owner of nick, or nil.
func (r *registry) lookup(nick []byte) *peer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.nicks[string(nick)]
}

// get is lookup for a nick as a string.
func (r *registry) get(nick string) *peer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.nicks[nick]
}

// ownerOf returns the peer of the connection with this number, or nil. The lock must be held.
func (r *registry) ownerOf(id uint64) *peer {
	for _, p := range r.nicks {
		if p.conn.id == id {
			return p
		}
	}
	return nil
}

// len returns how many peers there are.
func (r *registry) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.nicks)
}

// join makes p visible, and queues last, the final line of its handshake, in the same section, so that
// nothing can precede it (protocol.md 5.2). An owner that was found silent p may replace, as long as that lasts, although it has
// not proven the nick; it never replaces an owner that has (protocol.md 7.3). It is called by who reads from p's
// connection. On failure it returns why, and with RefusedNickInUse the owner.
//
// The departure of who had the nick before goes to all before p joins, and must not cost more than others pay for a line to
// all: who comes back waits until it is announced with all the others that are noted, at most Options.DepartureDelay, and who
// takes a nick over, which cannot wait, pays for it, unless the owner leaves or shows life before its turn. So does who has proven
// the nick and waited once: others may have come and gone with it meanwhile, again and again.
func (r *registry) join(p *peer, last *frame, owner silence) (old *peer, refused Reason) {
	c := p.conn
	for waited, paid, late := false, false, false; ; {
		old, refused, announced, unpaid := r.tryJoin(p, last, owner, paid)
		switch {
		case announced == nil && !unpaid:
			return old, refused
		case announced != nil && !(waited && p.verified):
			r.s.pool.wait(c, r.s.now())
			select {
			case <-announced:
				c.clock, waited = r.s.now(), true
			case <-r.s.stopping:
			}
		case late:
			return nil, RefusedRate
		default:
			r.s.pool.wait(c, r.s.now())
			paid = c.affords(costs{scarceDeliveries: int(r.peers.Load())}, r.wanted(p, owner))
			late = !paid // or it is wanted no more: the nick is free, or its owner is alive
		}
		if c.ended.Load() != 0 {
			return nil, RefusedOther // evicted while it waited, or the server stops, and that is why it ends
		}
		last.born = r.s.now() // nobody else knows it yet
	}
}

// wanted says, while p waits to pay for a take-over of owner's nick, whether it still has to; nil: in any case, as a proof takes the
// nick whoever has it then, and whatever they do.
func (r *registry) wanted(p *peer, owner silence) func() bool {
	if p.verified {
		return nil
	}
	return func() bool { return r.get(p.nick) == owner.of && owner.lasts(owner.of) && p.conn.ended.Load() == 0 }
}

// tryJoin is join, unless it returns what p has to wait for, or that a line to all has to be paid for first: then nothing has
// changed.
//
// The order of a take-over is that of protocol.md 6.4: registry switched, departure of the old owner
// broadcast, new owner told, messages of the new owner. Only the old connection is closed later, by the caller, who gets it in
// old: that makes no difference, as it has spoken for nobody since the switch.
func (r *registry) tryJoin(p *peer, last *frame, owner silence, paid bool) (
	old *peer, refused Reason, announced <-chan struct{}, unpaid bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	incumbent := r.nicks[p.nick]
	if incumbent != nil && !p.mayReplace(incumbent) && (!owner.lasts(incumbent) || incumbent.verified) {
		return incumbent, RefusedNickInUse, nil, false
	}
	taken, host := len(r.nicks), r.hosts[p.location.Host]
	if incumbent != nil {
		taken--
		if incumbent.claims && incumbent.location.Host == p.location.Host {
			host--
		}
	}
	if taken >= r.s.opt().MaxPeers && !p.own {
		return nil, RefusedFull, nil, false
	}
	if limit := r.s.opt().MaxNicksPerHost; limit > 0 && p.serves() && host >= limit {
		return nil, RefusedHostFull, nil, false
	}
	if incumbent != nil {
		if !paid && incumbent.knownToOthers() {
			return nil, ReasonNone, nil, true
		}
		incumbent.conn.ended.CompareAndSwap(0, uint32(EvictedDisplaced)) // it speaks for the nick no more
		r.remove(incumbent)
		r.depart(incumbent)
		if r.departures.has(p.nick) {
			// A departure that comes after the new owner's first message would make clients believe that
			// the nick is gone.
			r.announce()
		}
	} else if r.departures.has(p.nick) {
		if !paid || !p.verified {
			return nil, ReasonNone, r.departures.announced, false
		}
		r.announce()
	}
	r.nicks[p.nick] = p
	r.claim(p, p.serves())
	r.peers.Add(1)
	if p.listed() {
		r.changes.Add(1)
		r.makers.Add(1)
	}
	f := p.conn.f
	f.mu.Lock()
	// Whatever p says comes behind all that is queued now, the departure of who had its nick before above all.
	p.conn.opened = f.push(p.conn, last)
	p.conn.queued = p.conn.opened
	f.add(p.conn)
	f.mu.Unlock()
	return incumbent, ReasonNone, nil, false
}

// leave makes p unknown, unless that has happened before, and announces it in a while.
func (r *registry) leave(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nicks[p.nick] != p {
		return
	}
	r.remove(p)
	r.depart(p)
}

// dismiss is leave for the peers that these connections are, if they are any.
func (r *registry) dismiss(conns []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.nicks {
		if slices.Contains(conns, p.conn) {
			r.remove(p)
			r.depart(p)
		}
	}
}

// remove undoes join. The lock must be held.
func (r *registry) remove(p *peer) {
	delete(r.nicks, p.nick)
	p.gone.Store(true)
	r.claim(p, false)
	r.peers.Add(-1)
	if p.listed() {
		r.changes.Add(1)
		r.makers.Add(-1)
	}
	f := p.conn.f
	f.mu.Lock()
	f.remove(p.conn)
	f.mu.Unlock()
}

// claim counts p among those who claim its host, or does no longer. The lock must be held.
func (r *registry) claim(p *peer, claims bool) {
	if claims == p.claims {
		return
	}
	p.claims = claims
	if claims {
		r.hosts[p.location.Host]++
	} else if r.hosts[p.location.Host]--; r.hosts[p.location.Host] == 0 {
		delete(r.hosts, p.location.Host)
	}
}

// found notes whether p may be where it says that it serves. Who was looked for there in vain is served like anybody else, and keeps
// nobody out who claims the same host: else a few could, and name a maker's onion first (protocol.md 6.4).
func (r *registry) found(p *peer, perhaps bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nicks[p.nick] == p {
		r.claim(p, perhaps && p.serves())
	}
}

// offered notes that p has broadcast an offer, so that it is listed from now on.
func (r *registry) offered(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nicks[p.nick] != p || p.listed() {
		p.offers.Store(true)
		return
	}
	p.offers.Store(true)
	if p.listed() { // not one of our own
		r.changes.Add(1)
		r.makers.Add(1)
	}
}

// each calls f for every peer, without the lock.
func (r *registry) each(f func(*peer)) {
	r.mu.RLock()
	peers := make([]*peer, 0, len(r.nicks))
	for _, p := range r.nicks {
		peers = append(peers, p)
	}
	r.mu.RUnlock()
	for _, p := range peers {
		f(p)
	}
}
