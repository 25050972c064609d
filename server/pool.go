package server

import (
	"sync"
	"time"
)

// A handshakePool holds the connections that have not finished their handshake. It has a bound of its own: whoever opens
// connections and says nothing pushes out its own oldest ones, not the peers, and a client that speaks at once always gets in.
//
// Who has said all that it has to say, and waits for a nick that somebody has or had, is given up last: it is older than most, and it
// is we who let it wait. Anybody can have a nick and ask for it once more, so only a part of the pool waits like that, a few of
// one circuit, and nobody for longer than it can take; the others who wait have their turn by age like everybody.
type handshakePool struct {
	mu              sync.Mutex
	max             int
	longest         time.Duration // what a newcomer has to wait for its nick at the most, unless the nick has one owner after the other
	others, waiting byAge
}

const (
	// waitingShare is the part of the pool, one place in so many, that those who wait for a nick may keep.
	waitingShare = 4
	// maxWaiting is how many places they may keep on one circuit.
	maxWaiting = 4
)

// byAge are connections, oldest first.
type byAge struct {
	n              int
	oldest, newest *conn
}

// set puts the bounds of o in force. Nobody is closed for it: what is above them stays until its handshake ends, and each that comes
// pushes one out.
func (p *handshakePool) set(o *Options) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.max = o.MaxHandshakes
	// For a sign of life of the owner, for what that has said, for its departure, and for the price.
	p.longest = o.ConflictTimeout + max(conflictLeave, o.Patience) + o.DepartureDelay + o.Patience
}

// add takes c in, and returns the connection to be evicted for it, or nil. now is Server.now.
func (p *handshakePool) add(c *conn, now int64) (evict *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.others.n+p.waiting.n >= p.max {
		evict = p.others.oldest
		if w := p.waiting.oldest; w != nil && (evict == nil || now-w.waits >= int64(p.longest)) {
			evict = w // nil: the bound was higher
		}
		p.unlink(evict)
	}
	p.others.add(c)
	return evict
}

// wait notes that c waits for a nick, and gives it a place to keep until it is removed, if there is one. Doing so again has no effect.
// now is Server.now.
func (p *handshakePool) wait(c *conn, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.pooled != &p.others || p.waiting.n >= p.max/waitingShare || c.via != nil && c.via.waiting >= maxWaiting {
		return
	}
	p.unlink(c)
	p.waiting.add(c)
	c.waits = now
	if c.via != nil {
		c.via.waiting++
	}
}

// remove takes c out; doing so again has no effect.
func (p *handshakePool) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(c)
}

// unlink is remove. The lock must be held.
func (p *handshakePool) unlink(c *conn) {
	if c.pooled == &p.waiting && c.via != nil {
		c.via.waiting--
	}
	if c.pooled != nil {
		c.pooled.remove(c)
	}
}

// len returns how many connections are in handshake.
func (p *handshakePool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.others.n + p.waiting.n
}

// add puts c behind all others.
func (l *byAge) add(c *conn) {
	c.pooled, c.older = l, l.newest
	if l.newest != nil {
		l.newest.newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
	l.n++
}

func (l *byAge) remove(c *conn) {
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		l.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.newest = c.older
	}
	c.older, c.newer, c.pooled = nil, nil, nil
	l.n--
}
