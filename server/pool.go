package server

import "sync"

// A handshakePool holds the connections that have not finished their handshake, oldest first. It has a bound
// of its own: whoever opens connections and says nothing pushes out its own oldest ones, not the peers, and
// a client that speaks at once always gets in.
type handshakePool struct {
	max int

	mu             sync.Mutex
	n              int
	oldest, newest *conn
}

// setMax changes the bound. Nobody is closed for it: what is above it stays until its handshake ends, and each that comes
// pushes one out.
func (p *handshakePool) setMax(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.max = n
}

// add takes c in, and returns the connection to be evicted for it, or nil.
func (p *handshakePool) add(c *conn) (evict *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n >= p.max {
		evict = p.oldest
		p.unlink(evict)
	}
	c.inPool = true
	c.older = p.newest
	if p.newest != nil {
		p.newest.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	p.n++
	return evict
}

// remove takes c out; doing so again has no effect.
func (p *handshakePool) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.inPool {
		p.unlink(c)
	}
}

func (p *handshakePool) unlink(c *conn) {
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		p.newest = c.older
	}
	c.older, c.newer, c.inPool = nil, nil, false
	p.n--
}

// len returns how many connections are in handshake.
func (p *handshakePool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}
