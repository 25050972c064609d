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

// Private messages go first, and do not keep broadcasts from their receiver: after laneAhead bytes, and the message that is begun by
// then, it is the turn of those that were queued before, of which each byte lets laneShare more go ahead. So while both wait, and
// however little each write takes, broadcasts have a quarter of what the receiver reads.
const (
	laneAhead = 32 << 10
	laneShare = 3
)

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

// fill takes what waits in o, up to the bounds of one write. The lane goes first, as far as its share goes, but for what is put before
// all. Where it has more than is taken, nothing follows that was queued after what is left of it: that might be the departure of who
// sent the private message, or what it said to all afterwards. The frames stay in o, which must not be discarded before the write is
// over.
func (v *vector) fill(o *outbox) {
	v.n, v.ahead, v.lane, v.bytes = 0, 0, 0, 0
	skip := o.written
	for !o.inLane && v.ahead < o.frames.n && v.n < vectorFrames && (skip > 0 || o.frames.at(v.ahead).follows) {
		v.add(o.frames.at(v.ahead).b[skip:])
		v.ahead++
		skip = 0
	}
	ahead, first := o.ahead, o.first
	for v.lane < o.lane.n && v.n < vectorFrames {
		fr := o.lane.at(v.lane)
		overtakes := v.ahead < o.frames.n && o.frames.seq(v.ahead) < o.lane.seq(v.lane)
		if skip == 0 && !fr.follows && (v.bytes >= vectorBytes || overtakes && first == 0 && ahead >= laneAhead) {
			break
		}
		switch {
		case fr.first:
			first--
		case overtakes:
			ahead += len(fr.b)
		}
		v.add(fr.b[skip:])
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
