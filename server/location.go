package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"jm-directory-server/server/wire"
)

// LocationCheck says when peers that serve are looked for where they say that they serve. What is found is counted, and
// told in peer lists to those who read features (wire.FeatureReachable); it is never a condition for being served. Who was looked
// for in vain does not count for MaxNicksPerHost.
type LocationCheck struct {
	// Enabled switches checks on; with it off, what was found is forgotten.
	Enabled bool
	// DelayMin and DelayMax bound the time from a peer's joining to its check. It is drawn at random, so that whoever sees
	// the check arrive does not learn when that peer joined.
	DelayMin, DelayMax time.Duration
	// Retry is the time until a check that failed is repeated, once; the random part of the delay is added to it.
	Retry time.Duration
	// PerMinute bounds the checks that begin in a minute. They are spread over it.
	PerMinute int
	// Timeout bounds one check.
	Timeout time.Duration
}

// ErrNotChecked says that a location could not be looked at, for a cause that is not the peer's.
var ErrNotChecked = errors.New("location not checked")

const (
	// maxChecks bounds the checks that wait; peers above that stay unchecked.
	maxChecks = 10_000
	// checksInFlight bounds those that are under way.
	checksInFlight = 32
)

// locationChecks are the checks that wait or are under way.
type locationChecks struct {
	s *Server
	// check is what CheckLocations was given; nil: there are no checks.
	check func(ctx context.Context, l wire.Location, nick, network string) error

	mu       sync.Mutex
	queue    queue[*locationCheck]
	of       map[*peer]*locationCheck // those that wait and those under way
	inFlight int
	earliest int64         // Server.now from which on the next may begin
	changed  chan struct{} // tells run to look again
}

// A locationCheck is one peer's.
type locationCheck struct {
	p      *peer
	due    int64 // Server.now
	again  bool  // it has failed before
	index  int   // in the queue; -1: under way
	cancel context.CancelFunc
}

func (c *locationCheck) before(other *locationCheck) bool { return c.due < other.due }
func (c *locationCheck) place() *int                      { return &c.index }

// CheckLocations tells the server how to look for a peer where it says that it serves: check connects to l, a v3 onion that
// is not our own, and returns nil if the peer of that nick answers there, on a bitcoin network by that name. The error is
// ErrNotChecked if that says nothing of the peer. check is called from goroutines of its own while
// Options.LocationCheck is enabled, and must return soon after ctx ends. To be called once, before Serve.
func (s *Server) CheckLocations(check func(ctx context.Context, l wire.Location, nick, network string) error) {
	l := &s.locations
	l.check, l.of, l.changed = check, make(map[*peer]*locationCheck), make(chan struct{}, 1)
	s.wg.Go(l.run)
}

// wanted reports whether p is to be checked.
func (l *locationChecks) wanted(p *peer) bool {
	if l.check == nil || p.own || !l.s.opt().LocationCheck.Enabled {
		return false
	}
	if _, err := wire.ParseOnion(p.location.Host); err != nil { // it does not serve, or elsewhere than in Tor
		return false
	}
	own := l.s.location.Load()
	return own == nil || own.Host != p.location.Host
}

// add has p checked in a while.
func (l *locationChecks) add(p *peer) {
	if !l.wanted(p) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[p] != nil || len(l.queue) >= maxChecks || l.s.registry.get(p.nick) != p {
		return
	}
	check := &locationCheck{p: p}
	l.of[p] = check
	l.wait(check, l.s.opt().LocationCheck.DelayMin)
}

// wait queues check, which is due after least and the random part of the delay. The lock must be held.
func (l *locationChecks) wait(check *locationCheck, least time.Duration) {
	o := l.s.opt().LocationCheck
	check.due = l.s.now() + int64(least) + rand.Int64N(int64(o.DelayMax-o.DelayMin)+1)
	l.queue.add(check)
	l.wake()
}

// wake has run look again.
func (l *locationChecks) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// remove ends the check of p, which leaves.
func (l *locationChecks) remove(p *peer) {
	if l.check == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(p)
}

// forget ends the check of p. The lock must be held.
func (l *locationChecks) forget(p *peer) {
	check := l.of[p]
	if check == nil {
		return
	}
	delete(l.of, p)
	if !l.queue.remove(check) {
		check.cancel()
	}
}

// reload follows a change of the options: peers that are here already are checked as if they joined now, or what was found
// of them is forgotten.
func (l *locationChecks) reload() {
	if l.check == nil {
		return
	}
	if l.s.opt().LocationCheck.Enabled {
		l.s.registry.each(func(p *peer) {
			if p.reachable.Load() == nil && !p.unreachable.Load() {
				l.add(p)
			}
		})
		l.wake() // it may be allowed to begin earlier
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.of {
		l.forget(p)
	}
	l.s.registry.each(func(p *peer) {
		p.reachable.Store(nil)
		p.unreachable.Store(false)
		l.s.registry.found(p, true)
	})
}

// run begins checks when they are due, until the server stops.
func (l *locationChecks) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.s.stopping:
			return
		case <-timer.C:
		case <-l.changed:
		}
		if wait, more := l.begin(ctx); more {
			timer.Reset(wait)
		}
	}
}

// begin begins the check that is due, if there is one, and returns when to look again; false: when something has
// changed.
func (l *locationChecks) begin(ctx context.Context) (wait time.Duration, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || l.inFlight >= checksInFlight {
		return 0, false
	}
	if p := l.queue[0].p; !l.wanted(p) { // our own location may have become known after it joined
		l.forget(p)
		return 0, true
	}
	now, o := l.s.now(), l.s.opt().LocationCheck
	pause := int64(time.Minute) / int64(o.PerMinute)
	// After a reload the pause may be a shorter one.
	if at := max(min(l.earliest, now+pause), l.queue[0].due); at > now {
		return time.Duration(at - now), true
	}
	check := l.queue.next()
	l.earliest = now + pause
	l.inFlight++
	ctx, check.cancel = context.WithTimeout(ctx, o.Timeout)
	l.s.wg.Go(func() {
		err := l.check(ctx, check.p.location, check.p.nick, check.p.network)
		check.cancel()
		l.ended(check, err)
	})
	return time.Duration(pause), true
}

// ended notes what a check has found. One that failed once says nothing: a circuit may have broken.
func (l *locationChecks) ended(check *locationCheck, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.wake()
	p := check.p
	switch {
	case l.of[p] != check: // it has left, or checks are off
		return
	case err == nil:
		features := append(slices.Clone(p.features), wire.FeatureReachable)
		slices.Sort(features)
		p.reachable.Store(&features)
		l.s.registry.changes.Add(1)
	case errors.Is(err, ErrNotChecked):
	case !check.again:
		check.again = true
		l.wait(check, l.s.opt().LocationCheck.Retry)
		return
	default:
		p.unreachable.Store(true)
		l.s.registry.found(p, false)
	}
	delete(l.of, p)
}
