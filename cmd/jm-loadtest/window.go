package main

import "sync/atomic"

// A slot is one place in the window.
type slot struct {
	from  *sender
	state atomic.Uint64 // number of the message in flight << 32 | receivers that have not got it
	since atomic.Int64  // now() of the last sending
}

// addSlots makes window places, for the senders in turn.
func (ph *phase) addSlots(window int) {
	ph.slots = make([]slot, window)
	for i := range ph.slots {
		ph.slots[i].from = ph.senders[i%len(ph.senders)]
	}
	for _, t := range ph.tallies {
		t.came = make([]came, window)
	}
}

// send sends the next n messages of s in one write, stamped with the time at. For a place in the window, all
// receivers are now waited for.
func (ph *phase) send(s *sender, place uint32, at int64, n int) {
	if ph.stopped.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ph.mu.Lock()
	if !s.here || s.to != nil && !s.toHere {
		ph.mu.Unlock()
		return
	}
	due := 1
	if s.to == nil {
		due = ph.receivers - 1
	}
	seq := s.seq
	s.seq += uint32(n)
	ph.expected += int64(due * n)
	if int(place) < len(ph.slots) {
		ph.slots[place].state.Store(uint64(seq)<<32 | uint64(due))
		ph.slots[place].since.Store(at)
	}
	ph.mu.Unlock()
	s.buffer = s.buffer[:0]
	for i := range n {
		s.buffer = s.template.appendMessage(s.buffer, stamp{ph.id, s.number, place, seq + uint32(i), at})
	}
	s.peer.write(s.buffer)
}

// start fills the window. Of pairs, each gets depth messages.
func (ph *phase) start(depth int) {
	for i := range ph.slots {
		ph.send(ph.slots[i].from, uint32(i), now(), depth)
	}
}

// got counts n receivers off the message seq of a place, and reports whether those were the last ones.
func (s *slot) got(seq uint32, n uint32) (all bool) {
	for {
		v := s.state.Load()
		if uint32(v>>32) != seq || uint32(v) < n {
			return false
		}
		if s.state.CompareAndSwap(v, v-uint64(n)) {
			return uint32(v) == n
		}
	}
}

// came notes one delivery for the place it belongs to.
func (ph *phase) came(t *tally, st *stamp) {
	c := &t.came[st.slot]
	if c.n > 0 && c.seq != st.seq && !ph.pairs {
		n, seq := c.n, c.seq
		c.n = 0
		ph.arrived(st.slot, seq, n)
	}
	if c.n == 0 {
		t.touched = append(t.touched, st.slot)
	}
	c.seq = st.seq
	c.n++
}

// settle acts on what has come since the last time: places that are free get their next message.
func (ph *phase) settle(t *tally) {
	for _, place := range t.touched {
		if c := &t.came[place]; c.n > 0 {
			n := c.n
			c.n = 0
			ph.arrived(place, c.seq, n)
		}
	}
	t.touched = t.touched[:0]
}

func (ph *phase) arrived(place, seq, n uint32) {
	s := &ph.slots[place]
	switch {
	case ph.light:
		ph.sendNext(place)
	case ph.pairs:
		ph.send(s.from, place, now(), int(n))
	case s.got(seq, n):
		ph.send(s.from, place, now(), 1)
	}
}

// sendNext has the sender send whose turn it is.
func (ph *phase) sendNext(place uint32) {
	ph.send(ph.senders[int(ph.turn.Add(1))%len(ph.senders)], place, now(), 1)
}

// revive sends anew for places that have waited for longer than limit: their message is lost, which is counted at
// the end, and the measurement goes on. Of pairs, depth messages are sent.
func (ph *phase) revive(limit int64, depth int) {
	for i := range ph.slots {
		s := &ph.slots[i]
		if now()-s.since.Load() <= limit {
			continue
		}
		ph.stalls.Add(1)
		if ph.light {
			ph.sendNext(uint32(i))
		} else {
			ph.send(s.from, uint32(i), now(), depth)
		}
	}
}
