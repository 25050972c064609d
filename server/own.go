package server

import (
	"sync"
	"sync/atomic"
)

// ownNicks are the nicks under which the directory looks at itself.
type ownNicks struct {
	n     atomic.Int64 // len(nicks), so that a handshake costs nothing at other times
	mu    sync.Mutex
	nicks map[string]struct{}
}

// Own makes the peer of this nick, which is about to come, one of our own: it gets in also when the directory is full
// or drains, is in no list or count of peers, and nobody hears of its departure. The function that it returns ends that
// for later connections. Nicks are made at random for one use, so that nobody else can know them before.
func (s *Server) Own(nick string) (release func()) {
	o := &s.own
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nicks == nil {
		o.nicks = make(map[string]struct{})
	}
	o.nicks[nick] = struct{}{}
	o.n.Store(int64(len(o.nicks)))
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.nicks, nick)
		o.n.Store(int64(len(o.nicks)))
	}
}

// has reports whether nick is one of our own.
func (o *ownNicks) has(nick string) bool {
	if o.n.Load() == 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.nicks[nick]
	return ok
}
