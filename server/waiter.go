package server

import (
	"sync"
	"time"
)

// A waiter is one goroutine that waits for an event or a time.
type waiter struct {
	woken chan struct{} // of one entry
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	w := &waiter{make(chan struct{}, 1), time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}}

func newWaiter() *waiter { return waiters.Get().(*waiter) }

// wake ends wait. It does not wait itself.
func (w *waiter) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// wait reports false at the given time; zero: never.
func (w *waiter) wait(until time.Time) bool {
	if until.IsZero() {
		<-w.woken
		return true
	}
	w.timer.Reset(time.Until(until))
	defer w.timer.Stop()
	select {
	case <-w.woken:
		return true
	case <-w.timer.C:
		return false
	}
}

// free lets another goroutine use w. Nobody may wake it any more.
func (w *waiter) free() {
	select {
	case <-w.woken:
	default:
	}
	waiters.Put(w)
}
