package server

import (
	"errors"
	"io"
	"os"
	"time"

	"jm-directory-server/server/wire"
)

// How a connection ends: who reads from it leaves, others evict or retire it, which makes its reader leave.

// lingerTimeout bounds how long a connection that we end stays open for what is queued to it, and then for
// the other side to close, so that the last line is not lost to a reset.
const lingerTimeout = 2 * time.Second

// readReason is why reading ended.
func (c *conn) readReason(err error) Reason {
	switch {
	case errors.Is(err, io.EOF):
		return ClosedByPeer
	case errors.Is(err, wire.ErrTooLong):
		return ClosedTooLong
	case errors.Is(err, errLineSlow):
		return ClosedLineSlow
	default:
		return ClosedReset
	}
}

// stallReason is why waiting for a full socket ended.
func stallReason(err error) Reason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return EvictedNoProgress
	}
	return ReasonNone
}

// evict ends the connection from another goroutine. What is queued to it is lost.
func (c *conn) evict(reason Reason) {
	c.ended.CompareAndSwap(0, uint32(reason))
	c.t.close()
}

// retire ends the connection from another goroutine after what is queued to it is written.
func (c *conn) retire(reason Reason) {
	c.ended.CompareAndSwap(0, uint32(reason))
	c.t.setReadDeadline(time.Unix(1, 0))
}

// leave takes the connection out of everything and closes it.
func (c *conn) leave(reason Reason) {
	c.ended.CompareAndSwap(0, uint32(reason))
	reason = Reason(c.ended.Load())
	if c.peer != nil {
		c.s.registry.leave(c.peer)
		c.limits.offers.drop(&c.s.count.offers)
		c.limits.offers = nil
		c.s.locations.remove(c.peer)
	}
	c.in.drop()
	switch {
	case reason == RefusedRate && c.peer == nil: // a flood is not waited for; who could not pay for a take-over was answered
	case reason.Kind() == "refused":
		c.linger(lingerTimeout, lingerTimeout)
	case reason == EvictedShutdown:
		c.linger(c.s.opt().ShutdownTimeout, lingerTimeout/4)
	case reason == ClosedByPeer, reason == ClosedPolitely:
		c.linger(lingerTimeout, 0) // a client may close its sending half only
	}
	c.f.mu.Lock()
	c.f.kill(c, ReasonNone)
	c.f.mu.Unlock()
	c.t.close()
	if c.via != nil && c.s.circuits.leave(c.via, c.s.now(), reason == ClosedViolation, c.s.opt().Circuits.MaxCloses) {
		c.s.endCircuit(c.via.id)
	}
	c.s.pool.remove(c) // only now: whoever is refused and lingers is bounded too
	c.s.count.reasons[reason].Add(1)
	c.log("connection ended", reason)
	c.s.ended(c)
}

// linger waits until the outbox is empty, for at most flush. It then tells the other side that this was all,
// and for at most drain takes what that still sends until it closes: closing a socket with unread input
// resets it, and the reset can overtake our last line.
func (c *conn) linger(flush, drain time.Duration) {
	c.f.mu.Lock()
	o := &c.out
	if o.dead || o.len() == 0 {
		c.f.mu.Unlock()
	} else {
		done := make(chan struct{})
		o.drained = done
		c.f.mu.Unlock()
		t := time.NewTimer(flush)
		defer t.Stop()
		select {
		case <-done:
		case <-t.C:
		case <-c.s.killed:
		}
	}
	if drain == 0 || c.t.closeWrite() != nil || c.t.setReadDeadline(time.Now().Add(drain)) != nil {
		return
	}
	defer c.in.drop()
	c.in.idle = false
	for left := 4 * wire.MaxLine; left > 0; {
		n, err := c.in.fetch()
		if err != nil || n == 0 {
			return
		}
		left -= n
	}
}
