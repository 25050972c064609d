package server

// outboxState says who deals with an outbox now.
type outboxState uint8

const (
	outboxIdle    outboxState = iota // nothing waits
	outboxDirty                      // in its flusher's dirty list
	outboxWriting                    // a flusher is writing it, without holding the lock
	outboxStalled                    // the socket is full; a goroutine waits until it is writable
)

// An outbox holds what waits for one connection: references to shared frames. All of it is guarded by the
// flusher's lock.
type outbox struct {
	frames    frameQueue // broadcasts, and what must not come before them
	lane      frameQueue // what may be written before older frames, see overtakes, and never after newer ones: private messages, probes
	bytes     int        // of both, not yet written
	laneBytes int        // of the lane's frames, whole
	written   int        // bytes of the frame that is begun
	inLane    bool       // that frame is the lane's
	taken     int        // frames of the lane that are in the write that is made now
	ahead     int        // bytes of the lane that went before older frames, and were not made up for, see laneAhead
	first     int        // frames of the lane that are put before all
	state     outboxState
	listed    bool          // it is in its flusher's dirty list
	urgent    bool          // it is in its flusher's urgent list
	pressing  bool          // it is counted in the server's pressure
	unread    bool          // its receiver has taken nothing for a while
	dead      bool          // takes nothing more; what it held is released
	deadAt    int64         // Server.now when it died
	drained   chan struct{} // closed once empty or dead; nil: nobody waits
}

// len returns how many frames wait.
func (o *outbox) len() int { return o.frames.n + o.lane.n }

// overtakes reports whether a private message may be written before the broadcasts that wait: when the oldest of those was queued
// after the time on the queue's clock (Server.queued) up to which the message must keep its place.
func (o *outbox) overtakes(keep uint64) bool {
	return o.frames.n == 0 || o.frames.seq(0) > keep
}

// lead puts the last frame of the lane before all that waits, but for what is begun.
func (o *outbox) lead() {
	at := o.begun()
	o.lane.at(o.lane.n - 1).first = true
	o.first++
	o.lane.lead(at)
}

// begun returns how many frames of the lane nothing may be put before any more: what is being written, and what follows that.
func (o *outbox) begun() (n int) {
	n = o.taken
	if n == 0 && o.inLane {
		n = 1
	}
	for n < o.lane.n && o.lane.at(n).follows {
		n++
	}
	return n
}

// oldest returns when the oldest frame was made, or 0 when nothing waits.
func (o *outbox) oldest() (born int64) {
	for _, q := range [...]*frameQueue{&o.frames, &o.lane} {
		if q.n > 0 && (born == 0 || q.at(0).born < born) {
			born = q.at(0).born
		}
	}
	return born
}

// advance accounts for n written bytes of v, and releases the frames that are out.
func (o *outbox) advance(n int, v *vector) {
	o.bytes -= n
	n += o.written
	i := 0
	for ; i < v.n; i++ {
		lane := v.fromLane(i)
		fr := o.queue(lane).at(0)
		if n < len(fr.b) {
			break
		}
		n -= len(fr.b)
		o.pop(lane)
	}
	o.written, o.inLane, o.taken = n, n > 0 && v.fromLane(i), 0
	if o.len() == 0 {
		o.signal()
	}
}

// pop releases the oldest frame of one of the two, which is written, and accounts for what has gone before what.
func (o *outbox) pop(lane bool) {
	q := o.queue(lane)
	fr, seq := q.at(0), q.seq(0)
	switch size := len(fr.b); {
	case !lane:
		o.ahead = max(0, o.ahead-laneShare*size)
	case fr.first:
		o.first--
		o.laneBytes -= size
	default:
		o.laneBytes -= size
		if o.frames.n > 0 && o.frames.seq(0) < seq {
			o.ahead += size
		}
	}
	q.pop().release()
	if o.frames.n == 0 {
		o.ahead = 0
	}
}

// queue returns one of the two.
func (o *outbox) queue(lane bool) *frameQueue {
	if lane {
		return &o.lane
	}
	return &o.frames
}

// discard releases everything. Must not be called while the state is outboxWriting: the kernel may still be
// copying from the frames.
func (o *outbox) discard() {
	for _, q := range [...]*frameQueue{&o.frames, &o.lane} {
		for q.n > 0 {
			q.pop().release()
		}
		*q = frameQueue{}
	}
	o.bytes, o.laneBytes, o.written, o.inLane, o.taken, o.ahead, o.first = 0, 0, 0, false, 0, 0, 0
	o.signal()
}

// signal tells whoever waits for an empty outbox.
func (o *outbox) signal() {
	if o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// frameQueue is a growing ring of frames.
type frameQueue struct {
	ring    []queued // length is a power of two
	head, n int
}

// A queued frame has the time on the queue's clock (Server.queued) at which it was queued.
type queued struct {
	fr  *frame
	seq uint64
}

// smallRing is the ring that a quiet peer keeps, in entries.
const smallRing = 4

func (q *frameQueue) entry(i int) *queued { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *frameQueue) at(i int) *frame { return q.entry(i).fr }

func (q *frameQueue) seq(i int) uint64 { return q.entry(i).seq }

func (q *frameQueue) push(f *frame, seq uint64) {
	if q.n == len(q.ring) {
		ring := make([]queued, max(smallRing, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = *q.entry(i)
		}
		q.ring, q.head = ring, 0
	}
	*q.entry(q.n) = queued{f, seq}
	q.n++
}

// lead moves the last frame to the place at, and gives it the time of the one behind it, so that times never decrease.
func (q *frameQueue) lead(at int) {
	last := *q.entry(q.n - 1)
	*q.entry(q.n - 1) = queued{}
	if at < q.n-1 {
		last.seq = q.seq(at)
	}
	q.head = (q.head - 1) & (len(q.ring) - 1)
	for i := range at {
		*q.entry(i) = *q.entry(i + 1)
	}
	*q.entry(at) = last
}

func (q *frameQueue) pop() *frame {
	f := q.ring[q.head].fr
	q.ring[q.head].fr = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return f
}

// shrink gives the memory of a ring back that was needed once and is empty now.
func (q *frameQueue) shrink() {
	if q.n == 0 && len(q.ring) > smallRing {
		*q = frameQueue{}
	}
}
