package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// A pressure is what receivers that read, and cannot keep up, put on those who send to everybody: while more than half of the
// peers have more than a pressureMark of an outbox waiting that their sockets do not take, the fault is not any receiver's, and closing
// them one by one for a full outbox would be closing everybody. So the senders wait. Receivers that take nothing at all do
// not count: they cannot hold anybody back.
type pressure struct {
	peers func() int64
	now   func() int64 // the server's clock

	behind  atomic.Int64 // receivers that count
	waiting atomic.Int64 // senders that wait
	until   atomic.Int64 // on the server's clock: so long it is felt after a sender has waited

	mu    sync.Mutex
	eased chan struct{} // closed when it is low again; nil: nobody has asked for it
}

// pressureMark is the part of an outbox above which its receiver counts. It is small: those who are further behind than most
// have the rest.
const pressureMark = 16

// pressureWait bounds how long one message holds its sender back: many who read a little now and then on purpose must not be
// able to silence the others.
const pressureWait = 2 * time.Second

// note counts a receiver, or does no longer. It is called with a flusher's lock.
func (p *pressure) note(behind bool) {
	if behind {
		p.behind.Add(1)
		return
	}
	p.behind.Add(-1)
	if p.waiting.Load() == 0 || p.high() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.eased != nil {
		close(p.eased)
		p.eased = nil
	}
}

// high reports whether senders should wait.
func (p *pressure) high() bool {
	n := p.behind.Load()
	return n > 0 && 2*n > p.peers()
}

// felt reports whether senders wait, or have waited lately: those who are then further behind than others are so for the load
// and not for reading slowly.
func (p *pressure) felt() bool { return p.waiting.Load() > 0 || p.now() < p.until.Load() }

// await waits until it is low, for pressureWait at the most, or until stop.
func (p *pressure) await(stop <-chan struct{}) {
	p.waiting.Add(1)
	defer func() {
		p.until.Store(p.now() + int64(pressureWait))
		p.waiting.Add(-1)
	}()
	t := time.NewTimer(pressureWait)
	defer t.Stop()
	for {
		p.mu.Lock()
		if p.eased == nil {
			p.eased = make(chan struct{})
		}
		eased := p.eased
		p.mu.Unlock()
		if !p.high() { // after asking to be told: nothing is missed
			return
		}
		select {
		case <-eased:
		case <-t.C:
			return
		case <-stop:
			return
		}
	}
}
