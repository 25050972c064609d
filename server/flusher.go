package server

import "sync"

// A flusher owns the outboxes of its share of the connections and the part of the broadcast set that they
// make up. It writes what has gathered: at once when idle, many frames in one call while it is behind.
// It never waits for a receiver.
type flusher struct {
	s *Server

	mu      sync.Mutex
	work    sync.Cond // signalled when dirty or doomed stop being empty, or at stop
	idle    bool      // the flusher waits for work
	stopped bool
	members []*conn         // handshaked connections: the broadcast set
	dirty   []*conn         // those whose state is outboxDirty, in the order in which they became so
	urgent  []*conn         // of these, those with something in their lane
	doomed  []doom          // to be closed, outside of the lock
	checks  []chan struct{} // to be closed by run, to show that it is alive
	backlog int             // bytes in outboxes that are not stalled: what this flusher is behind
	drained sync.Cond
	waiting int // senders that wait for drained

	// Only the flusher's goroutine uses these.
	batch   [batchConns]*conn
	vectors [batchConns]vector
	results [batchConns]error
	written [batchConns]int
}

func newFlusher(s *Server) *flusher {
	f := &flusher{s: s}
	f.work.L, f.drained.L = &f.mu, &f.mu
	return f
}

// push queues fr for c behind everything that waits for it, and returns the time of that on the queue's clock. The lock must be
// held.
func (f *flusher) push(c *conn, fr *frame) (seq uint64) {
	seq = f.s.queued.Add(1)
	f.queue(c, fr, seq, false)
	return seq
}

// pushFirst queues fr, which says nothing that any order matters to, for c before everything that waits for it, but the handshake. The
// lock must be held.
func (f *flusher) pushFirst(c *conn, fr *frame) {
	o := &c.out
	if !o.overtakes(c.opened) {
		f.push(c, fr)
		return
	}
	waiting := o.lane.n
	if at := o.begun(); at < waiting {
		fr.born = o.lane.at(at).born // what it goes before is what has waited for longest, see oldest
	}
	f.queue(c, fr, f.s.queued.Add(1), true)
	if o.lane.n > waiting { // it was taken
		o.lead()
	}
}

// queue queues fr for c, which then holds a reference of its own, in c's lane or behind all that waits. seq is the time of that on the
// queue's clock, drawn since the lock was taken: in both of an outbox's queues it never decreases. The lock must be held.
func (f *flusher) queue(c *conn, fr *frame, seq uint64, lane bool) {
	o := &c.out
	if o.dead {
		return
	}
	if f.full(o, len(fr.b)) {
		// Only a receiver that does not read, or reads more slowly than others, gets here: while a flusher is merely behind,
		// the senders wait (see await), so that nobody is closed for the server's own slowness.
		f.kill(c, EvictedOutboxFull)
		return
	}
	fr.hold(1)
	o.queue(lane).push(fr, seq)
	o.bytes += len(fr.b)
	if lane {
		o.laneBytes += len(fr.b)
	}
	switch o.state {
	case outboxStalled:
		f.press(o)
		return
	case outboxIdle:
		f.list(c)
	case outboxDirty:
		if lane {
			f.list(c)
		}
	}
	f.backlog += len(fr.b)
}

// full reports whether n bytes more are too many for o to hold. While senders wait because most receivers cannot keep up, those who
// read may have twice as much waiting: they are not the reason. The lock must be held.
func (f *flusher) full(o *outbox, n int) bool {
	most, after := f.s.opt().OutboxBytes, o.bytes+n
	return o.state == outboxStalled && after > most && (o.unread || after > 2*most || !f.s.pressure.felt())
}

// list has c written in its turn, or before others if something waits in its lane. The lock must be held.
func (f *flusher) list(c *conn) {
	o := &c.out
	o.state = outboxDirty
	switch {
	case o.lane.n > 0 && !o.urgent:
		o.urgent = true
		f.urgent = append(f.urgent, c)
	case o.lane.n == 0 && !o.listed:
		o.listed = true
		f.dirty = append(f.dirty, c)
	}
	f.wake()
}

// press counts o in the pressure, or no more. To be called when what waits in it has changed while it was stalled, or after it
// was. The lock must be held.
func (f *flusher) press(o *outbox) {
	pressing := !o.dead && !o.unread && o.bytes > f.s.opt().OutboxBytes/pressureMark
	if pressing != o.pressing {
		o.pressing = pressing
		f.s.pressure.note(pressing)
	}
}

// kill makes c's outbox dead and has c closed with reason; ReasonNone leaves the closing to c's reader, who
// may still have input to take (protocol.md 10.18). The lock must be held.
func (f *flusher) kill(c *conn, reason Reason) {
	o := &c.out
	if !o.dead {
		o.dead, o.deadAt = true, f.s.now()
		f.press(o)
		if o.state != outboxStalled {
			f.backlog -= o.bytes
		}
		if o.state != outboxWriting {
			o.discard()
		}
	}
	if reason != ReasonNone {
		f.doomed = append(f.doomed, doom{c, reason})
		f.wake()
	}
}

// wake gets the flusher to work. The lock must be held.
func (f *flusher) wake() {
	if f.idle {
		f.idle = false
		f.work.Signal()
	}
}

// highWater is the backlog above which senders wait: a quarter of what every outbox may hold. With the
// backlog spread evenly, nobody's outbox is full for the flusher's slowness. The lock must be held.
func (f *flusher) highWater() int { return max(1, len(f.members)) * (f.s.opt().OutboxBytes / 4) }

// await holds a sender back while this flusher is too far behind in all. The flusher waits for nobody, so this ends.
func (f *flusher) await() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.stopped && f.backlog > f.highWater() {
		f.wait()
	}
}

// awaitFor holds a sender back while too much waits for the flusher to write it to c, in all or in its lane.
func (f *flusher) awaitFor(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.stopped && c.out.behind(f.s.opt().OutboxBytes) {
		f.wait()
	}
}

// behind reports whether more than half of what it may hold, most, waits for the flusher and not for the receiver, or more than an
// eighth in the lane.
func (o *outbox) behind(most int) bool {
	return !o.dead && o.state != outboxStalled && (o.bytes > most/2 || o.laneBytes > most/8)
}

// wait waits until something is written. The lock must be held.
func (f *flusher) wait() {
	f.waiting++
	f.drained.Wait()
	f.waiting--
}

// awaitWritable runs while c is stalled, and has it written again when its socket takes more.
func (f *flusher) awaitWritable(c *conn) {
	err := c.t.awaitWritable(f.s.opt().WriteTimeout, func(unread bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		c.out.unread = unread
		f.press(&c.out)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	o := &c.out
	o.unread = false
	if o.dead {
		o.state = outboxIdle
		return
	}
	if err != nil {
		o.state = outboxIdle
		f.backlog += o.bytes // kill takes it off again
		f.kill(c, stallReason(err))
		return
	}
	f.backlog += o.bytes
	f.press(o)
	f.list(c)
}

// add puts c into the broadcast set. The lock must be held.
func (f *flusher) add(c *conn) {
	c.member = len(f.members)
	f.members = append(f.members, c)
}

// remove takes c out of the broadcast set, if it is in it. The lock must be held.
func (f *flusher) remove(c *conn) {
	if c.member < 0 {
		return
	}
	last := len(f.members) - 1
	moved := f.members[last]
	f.members[c.member] = moved
	moved.member = c.member
	f.members[last] = nil
	f.members = f.members[:last]
	c.member = -1
}

// check returns a channel that is closed the next time run looks for work.
func (f *flusher) check() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan struct{})
	f.checks = append(f.checks, ch)
	f.wake()
	return ch
}

// stop ends run once nothing is left to write, and lets waiting senders go.
func (f *flusher) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	f.work.Broadcast()
	f.drained.Broadcast()
}
