package server

import (
	"sync"
	"time"
)

// scarce is what all peers use together and is short of in a flood. Each has a budget.
type scarce uint8

const (
	scarceHandshakes  scarce = iota
	scarceOrderbooks         // orderbook requests: every maker answers each of them, within its own rate of private messages
	scarcePublicBytes        // bytes of public messages: every peer has to take all of them, and the slowest as well
	scarceDeliveries         // lines that public messages are copied to: one message to ten thousand peers is ten thousand
	numScarce
)

// A budget bounds how much of something scarce all use together. While there is enough, nobody waits. When there is not, those who
// ask get it in turn by weighted fair queueing: each has a share by the age of its connection and by the proof of its nick, however
// fast it asks, and the connections of one circuit have one share together.
type budget struct {
	of  scarce
	now func() int64 // Server.now

	mu      sync.Mutex
	rate    Rate
	tokens  float64 // may be negative: a message is never cut, its cost is paid off before the next
	filled  int64   // when tokens was brought up to date
	virtual float64 // the finish of the last request that had to wait and was served
	queue   queue[*request]
	timer   *time.Timer // runs while somebody waits
}

// A flow is one claimant of the budgets: its finish in each. Guarded by the lock of that budget.
type flow [numScarce]float64

// A request waits for its turn.
type request struct {
	cost   float64
	finish float64 // in virtual time: the queue's order
	index  int     // in the queue; -1: served or withdrawn
	served chan struct{}
}

func (r *request) before(other *request) bool { return r.finish < other.finish }
func (r *request) place() *int                { return &r.index }

// setRate changes the rate; zero is no limit, and serves all who wait.
func (b *budget) setRate(r Rate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	if b.rate.PerSecond == 0 {
		b.tokens = float64(r.Burst) // a new budget is full
	}
	b.rate = r
	b.tokens = min(b.tokens, float64(r.Burst))
	b.serve()
}

// fill adds what has come since. The lock must be held.
func (b *budget) fill() {
	now := b.now()
	b.tokens = min(b.tokens+float64(now-b.filled)*b.rate.PerSecond/float64(time.Second), float64(b.rate.Burst))
	b.filled = now
}

// take pays for n of from, whose share is weight. It returns nil if they may be had at once, or a request to wait for.
func (b *budget) take(from *flow, n int, weight float64) *request {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate.PerSecond == 0 {
		return nil
	}
	b.fill()
	if len(b.queue) == 0 && b.tokens > 0 {
		b.tokens -= float64(n)
		return nil
	}
	r := &request{cost: float64(n), served: make(chan struct{})}
	from[b.of] = max(b.virtual, from[b.of]) + r.cost/weight
	r.finish = from[b.of]
	b.queue.add(r)
	b.serve()
	return r
}

// withdraw takes back a request that is waited for no more, and reports false if it was served meanwhile.
func (b *budget) withdraw(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.remove(r)
}

// serve serves those whose turn it is, and sees to it that the rest are served later. The lock must be held.
func (b *budget) serve() {
	for len(b.queue) > 0 && (b.tokens > 0 || b.rate.PerSecond == 0) {
		r := b.queue.next()
		b.tokens -= r.cost
		b.virtual = max(b.virtual, r.finish)
		close(r.served)
	}
	if len(b.queue) == 0 {
		return
	}
	wait := max(time.Duration(-b.tokens/b.rate.PerSecond*float64(time.Second)), time.Millisecond)
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.fill()
			b.serve()
		})
		return
	}
	b.timer.Reset(wait)
}

// stop ends the timer; nobody is served any more.
func (b *budget) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}

// waiting returns how many requests wait.
func (b *budget) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// Ages from which on a connection has a larger share of the budget.
const (
	settled     = time.Minute
	established = 10 * time.Minute
)

// weight is the connection's share of the budget: 1 for one that has just come, more with its age, twice as much for a
// proven nick.
func (c *conn) weight() float64 {
	w := 1.0
	switch age := time.Duration(c.clock - c.joined); {
	case age >= established:
		w = 4
	case age >= settled:
		w = 2
	}
	if c.peer.verified {
		w *= 2
	}
	return w
}

// flow is what the connection's use of the budgets is counted for: its circuit, or itself where none is known.
func (c *conn) flow() *flow {
	if c.via != nil {
		return &c.via.flow
	}
	return &c.limits.flow
}

// costs are what a message takes of each budget.
type costs [numScarce]int

// affords takes cost of the budgets, and waits until it is there, as long as it is wanted; wanted is asked every conflictPoll, and nil
// says always. It reports false when that takes longer than Options.Patience in all, when the server stops, or when it is wanted no
// more; what was taken by then is spent. It MUST NOT allocate while there is enough.
func (c *conn) affords(cost costs, wanted func() bool) bool {
	var late *time.Timer
	for i, n := range cost {
		if n == 0 {
			continue
		}
		b := &c.s.budgets[i]
		r := b.take(c.flow(), n, c.weight())
		if r == nil {
			continue
		}
		if late == nil {
			c.s.count.held.Add(1)
			late = time.NewTimer(c.s.opt().Patience)
			defer late.Stop()
		}
		if !c.served(b, r, late.C, wanted) {
			return false
		}
	}
	return true
}

// served waits for a request until late, until the server stops, or as long as it is wanted, see affords.
func (c *conn) served(b *budget, r *request, late <-chan time.Time, wanted func() bool) bool {
	c.held.Store(true)
	defer c.goesOn()
	var look <-chan time.Time
	if wanted != nil {
		tick := time.NewTicker(conflictPoll)
		defer tick.Stop()
		look = tick.C
	}
	for {
		select {
		case <-r.served:
			return true
		case <-look:
			if wanted() {
				continue
			}
		case <-late:
		case <-c.s.stopping:
		}
		return !b.withdraw(r)
	}
}
