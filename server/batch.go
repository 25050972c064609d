package server

import "errors"

// batchConns is how many outboxes a flusher writes between two looks at its lock.
const batchConns = 32

type doom struct {
	c      *conn
	reason Reason
}

// run writes until stop.
func (f *flusher) run() {
	for {
		n, dooms, ok := f.take()
		if !ok {
			return
		}
		for i := range n {
			f.written[i], f.results[i] = f.batch[i].t.writev(&f.vectors[i])
			f.vectors[i].clear()
		}
		f.settle(n)
		for _, d := range dooms {
			d.c.evict(d.reason)
		}
	}
}

// take waits for work, and takes outboxes, half of them urgent ones at the most while others wait, and all doomed connections.
func (f *flusher) take() (n int, dooms []doom, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.dirty) == 0 && len(f.urgent) == 0 && len(f.doomed) == 0 && len(f.checks) == 0 {
		if f.stopped {
			return 0, nil, false
		}
		f.idle = true
		f.work.Wait()
		f.idle = false
	}
	for _, check := range f.checks {
		close(check)
	}
	f.checks = nil
	dooms, f.doomed = f.doomed, nil
	most := batchConns
	if len(f.dirty) > 0 {
		most /= 2
	}
	taken := 0
	for ; taken < len(f.urgent) && n < most; taken++ {
		c := f.urgent[taken]
		c.out.urgent = false
		n = f.gather(n, c)
	}
	f.urgent = without(f.urgent, taken)
	taken = 0
	for ; taken < len(f.dirty) && n < batchConns; taken++ {
		c := f.dirty[taken]
		c.out.listed = false
		n = f.gather(n, c)
	}
	f.dirty = without(f.dirty, taken)
	return n, dooms, true
}

// gather makes c the place n of the batch if it is to be written, and returns the next place. The lock must be held.
func (f *flusher) gather(n int, c *conn) int {
	switch {
	case c.out.state != outboxDirty: // written meanwhile, through the other list
		return n
	case c.out.dead:
		c.out.state = outboxIdle
		return n
	}
	c.out.state = outboxWriting
	f.vectors[n].fill(&c.out)
	f.batch[n] = c
	return n + 1
}

// without takes the first n out of a list, keeping its memory.
func without(list []*conn, n int) []*conn {
	rest := copy(list, list[n:])
	clear(list[rest:])
	return list[:rest]
}

// settle accounts for a batch that was written.
func (f *flusher) settle(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var frames, bytes int
	for i := range n {
		c, o := f.batch[i], &f.batch[i].out
		f.batch[i] = nil
		if o.dead { // killed while it was written
			o.state = outboxIdle
			o.discard()
			continue
		}
		f.backlog -= f.written[i]
		bytes += f.written[i]
		frames += o.len()
		o.advance(f.written[i], &f.vectors[i])
		frames -= o.len()
		f.press(o)
		switch err := f.results[i]; {
		case errors.Is(err, errWouldBlock):
			o.state = outboxStalled
			f.backlog -= o.bytes
			f.s.wg.Go(func() { f.awaitWritable(c) })
		case err != nil:
			o.state = outboxIdle
			f.kill(c, ReasonNone)
		case o.len() > 0:
			f.list(c)
		default:
			o.state = outboxIdle
		}
	}
	f.s.count.bytesOut.Add(uint64(bytes))
	f.s.count.deliveries.Add(uint64(frames))
	if f.waiting > 0 {
		f.drained.Broadcast()
	}
}
