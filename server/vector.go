package server

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of one write: enough to make the system call's own cost small, and small enough that no peer
// keeps a flusher from the others.
const (
	vectorFrames = 64
	vectorBytes  = 256 << 10
)

// A vector is what one writev takes from one outbox. It is made once per place in a flusher's batch, so that a write
// allocates nothing.
type vector struct {
	iovs  [vectorFrames]unix.Iovec
	n     int // used entries of iovs
	ahead int // of these, what must come before the lane: the rest of what is begun
	lane  int // of these, behind that: from the lane
	bytes int
}

// laneFrames bounds what one write takes of a lane while other frames wait: private messages go first, and never keep broadcasts from
// their receiver for longer than it takes to write those that were queued before them.
const laneFrames = vectorFrames / 4 * 3

// writeTo makes one writev, which must not block.
func (v *vector) writeTo(fd int) (int, error) {
	for {
		n, _, e := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v.iovs[0])), uintptr(v.n))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, errWouldBlock
		default:
			return 0, e
		}
	}
}

// fill takes what waits in o, up to the bounds of one write. The lane goes first. Where it has more than is taken, nothing follows
// that was queued after what is left of it: that might be the departure of who sent the private message, or what it said to all
// afterwards. The frames stay in o, which must not be discarded before the write is over.
func (v *vector) fill(o *outbox) {
	v.n, v.ahead, v.lane, v.bytes = 0, 0, 0, 0
	skip := o.written
	for !o.inLane && v.ahead < o.frames.n && v.n < vectorFrames && (skip > 0 || o.frames.at(v.ahead).follows) {
		v.add(o.frames.at(v.ahead).b[skip:])
		v.ahead++
		skip = 0
	}
	most := vectorFrames
	if o.frames.n > v.ahead {
		most = laneFrames
	}
	for v.lane < o.lane.n && (v.n < most && v.bytes < vectorBytes || o.lane.at(v.lane).follows && v.n < vectorFrames) {
		v.add(o.lane.at(v.lane).b[skip:])
		v.lane++
		skip = 0
	}
	o.taken = v.lane
	for i := v.ahead; i < o.frames.n && v.n < vectorFrames && v.bytes < vectorBytes; i++ {
		if v.lane < o.lane.n && o.frames.seq(i) > o.lane.seq(v.lane) {
			break
		}
		v.add(o.frames.at(i).b)
	}
}

func (v *vector) add(b []byte) {
	v.iovs[v.n].Base = &b[0]
	v.iovs[v.n].SetLen(len(b))
	v.n++
	v.bytes += len(b)
}

// fromLane reports whether the piece i is from the lane.
func (v *vector) fromLane(i int) bool { return i >= v.ahead && i < v.ahead+v.lane }

// each calls f with every piece in order; for transports that are not sockets.
func (v *vector) each(f func([]byte)) {
	for i := range v.n {
		f(unsafe.Slice(v.iovs[i].Base, v.iovs[i].Len))
	}
}

// clear drops the pointers, so that released frames are not kept alive. What came from where stays known.
func (v *vector) clear() { clear(v.iovs[:v.n]) }
