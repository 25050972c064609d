package main

// A tally is what one reader has counted in one measurement.
type tally struct {
	latency  histogram // of messages sent once measuring began
	apart    histogram // the same of private messages, in a phase that wants it
	distinct int64     // messages that came, each once
	last     int64     // now() when the last of them came

	duplicates   int64 // came before
	reordered    int64 // came after a later one of the same sender
	damaged      int64 // not as they were sent
	misdelivered int64 // to somebody whom they were not for
	foreign      int64 // of others, or of an earlier measurement: not counted against anybody

	missing map[gap]struct{} // numbers that were skipped

	// What has come since the last settle, by place in the window, so that readers do not fight over one counter
	// for each delivery.
	came    []came
	touched []uint32
}

// came is how often the message with number seq of a place has come.
type came struct{ seq, n uint32 }

// A gap is one number that a receiver has not seen although it saw a later one of that sender.
type gap struct{ receiver, sender, seq uint32 }

// maxGaps bounds what is remembered of gaps. Beyond it, what comes late counts as a duplicate.
const maxGaps = 1 << 20

// take counts number seq of a sender for a receiver that waits for *next, and reports whether it came for the
// first time.
func (t *tally) take(next *uint32, receiver, sender, seq uint32) bool {
	if seq == *next {
		*next++
		t.distinct++
		return true
	}
	return t.outOfOrder(next, gap{receiver, sender, seq})
}

func (t *tally) outOfOrder(next *uint32, g gap) bool {
	if g.seq > *next {
		if t.missing == nil {
			t.missing = make(map[gap]struct{})
		}
		for s := *next; s < g.seq && len(t.missing) < maxGaps; s++ {
			t.missing[gap{g.receiver, g.sender, s}] = struct{}{}
		}
		*next = g.seq + 1
		t.distinct++
		return true
	}
	if _, ok := t.missing[g]; ok {
		delete(t.missing, g)
		t.reordered++
		t.distinct++
		return true
	}
	t.duplicates++
	return false
}

// forget takes back the gaps of a receiver that has ended, and returns how many there were.
func (t *tally) forget(receiver uint32) (n int64) {
	for g := range t.missing {
		if g.receiver == receiver {
			delete(t.missing, g)
			n++
		}
	}
	return n
}

// add counts what o has counted.
func (t *tally) add(o *tally) {
	t.latency.add(&o.latency)
	t.apart.add(&o.apart)
	t.distinct += o.distinct
	t.last = max(t.last, o.last)
	t.duplicates += o.duplicates
	t.reordered += o.reordered
	t.damaged += o.damaged
	t.misdelivered += o.misdelivered
	t.foreign += o.foreign
}
