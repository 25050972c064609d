package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// class is a kind of what a connection may take of the server. Each has its own bucket, so that one kind of message never costs
// another.
type class uint8

const (
	classPublic class = iota
	classPrivate
	classPeerlist
	classControl
	classBytes
	classOffer     // of connections: in addition to classPublic
	classHandshake // of circuits and of all: a connection has one
	numClasses
)

// of returns the rate of a class but classOffer and classHandshake.
func (r *Rates) of(cl class) Rate {
	switch cl {
	case classPublic:
		return r.Public
	case classPrivate:
		return r.Private
	case classPeerlist:
		return r.Peerlist
	case classControl:
		return r.Control
	default:
		return r.Bytes
	}
}

// rateOf returns the rate of a class but classHandshake for one connection.
func (o *settings) rateOf(cl class) Rate {
	if cl == classOffer {
		return o.Offers.Rate
	}
	return o.Rates.of(cl)
}

// buckets are the token buckets of one connection, one circuit, or all. They are made when first needed: an idle peer has
// none.
type buckets [numClasses]*rate.Limiter

// get returns the bucket of a class with rate r, or nil where there is no limit.
func (b *buckets) get(cl class, r Rate, at time.Time) *rate.Limiter {
	if r.PerSecond == 0 {
		return nil
	}
	l := b[cl]
	switch {
	case l == nil:
		l = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		b[cl] = l
	case float64(l.Limit()) != r.PerSecond || l.Burst() != r.Burst: // set anew by Reload
		l.SetLimitAt(at, rate.Limit(r.PerSecond))
		l.SetBurstAt(at, r.Burst)
	}
	return l
}

// sharedBuckets are buckets that several connections use.
type sharedBuckets struct {
	mu sync.Mutex
	buckets
}

func (b *sharedBuckets) get(cl class, r Rate, at time.Time) *rate.Limiter {
	if r.PerSecond == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buckets.get(cl, r, at)
}

// limits are what one connection has used up, and its violations. Only who reads from the connection uses them.
type limits struct {
	buckets

	heldSince int64 // Server.now since which it has been held back again and again; 0: it is not
	heldBy    class // the class that it was held back for last

	orderbook int64 // Server.now of the last orderbook request; 0: none
	flow      flow  // its shares of the budgets, where no circuit is known
	offers    offers

	violations float64
	counted    int64 // Server.now when violations was last brought up to date
}

// violate counts one violation and reports whether there are too many. They decay, so that a client that is
// merely bursty now and then is never closed (protocol.md 10.6).
func (l *limits) violate(now int64, o *settings) (tooMany bool) {
	if o.MaxViolations == 0 {
		return false
	}
	l.violations = max(0, l.violations-float64(now-l.counted)/float64(o.ViolationDecay))
	l.counted = now
	l.violations++
	return l.violations > float64(o.MaxViolations)
}

// maxHold is the longest wait for a single message. What would have to wait longer is dropped at once: while a
// connection is held back nothing of it is read, its pongs included.
const maxHold = 5 * time.Second

// take takes n tokens of a class from the buckets of the connection and of its circuit. Where there are too few, the connection is
// not read from until there are enough: the sender's own circuit fills, and slows it down. One that has been held back
// like that without end for Options.Patience is held back no more: take then reports false, and what it wanted to pay
// for is to be dropped. It MUST NOT allocate while there are enough.
func (c *conn) take(cl class, n int) bool {
	o := c.s.opt()
	now, at := c.clock, c.s.at(c.clock)
	own := c.limits.get(cl, o.rateOf(cl), at)
	var shared *rate.Limiter
	if c.via != nil && cl != classOffer {
		shared = c.via.get(cl, o.Circuits.Rates.of(cl), at)
	}
	patient := o.Patience > 0 && (c.limits.heldSince == 0 || c.limits.heldBy != cl || time.Duration(now-c.limits.heldSince) < o.Patience)
	wait, ok := reserve(own, shared, at, n, patient)
	if ok && wait == 0 {
		if c.limits.heldSince != 0 && c.limits.heldBy == cl && recovered(own, at) && recovered(shared, at) {
			c.limits.heldSince = 0
		}
		return true
	}
	if c.limits.heldSince == 0 || c.limits.heldBy != cl {
		c.limits.heldSince, c.limits.heldBy = now, cl
	}
	if !ok {
		return false
	}
	c.s.count.held.Add(1)
	return c.hold(wait)
}

// recovered reports whether a bucket is at least half full again.
func recovered(l *rate.Limiter, at time.Time) bool {
	return l == nil || l.TokensAt(at) >= float64(l.Burst())/2
}

// reserve takes n tokens of each bucket that is not nil, and returns how long to wait until they are there. If that is longer than
// maxHold, or if there is any wait for one who is not patient, ok is false and what is missing is not taken.
func reserve(own, shared *rate.Limiter, at time.Time, n int, patient bool) (wait time.Duration, ok bool) {
	var taken [2]*rate.Reservation
	for i, l := range [...]*rate.Limiter{own, shared} {
		if l == nil || l.AllowN(at, n) {
			continue
		}
		if !patient {
			return 0, false
		}
		r := l.ReserveN(at, n)
		taken[i] = r
		if !r.OK() || r.DelayFrom(at) > maxHold {
			for _, r := range taken {
				if r != nil && r.OK() {
					r.CancelAt(at)
				}
			}
			return 0, false
		}
		wait = max(wait, r.DelayFrom(at))
	}
	return wait, true
}

// hold waits, and reports whether the connection goes on then. It ends early when the server stops.
func (c *conn) hold(d time.Duration) bool {
	c.held.Store(true)
	defer c.goesOn()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.s.stopping:
		return false
	}
}
