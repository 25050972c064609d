package server

import (
	"sync"
	"sync/atomic"

	"jm-directory-server/server/wire"
)

// A frame is one encoded line with its delimiter, shared by every outbox that it waits in. It is counted:
// whoever holds it holds a reference, and the bytes are immutable until the last reference is released,
// which is when a pooled frame's memory is used again. Releasing while bytes may still be on their way into
// a write would send one peer's message to another: only an outbox that is not being written releases.
type frame struct {
	b     []byte
	born  int64 // Server.now when it was made, ns
	refs  atomic.Int32
	class int8 // index into framePools, or unpooled
	// follows: nothing may come between the frame that was queued before it and this one. Set before others know of it.
	follows bool
	// first: it is in one outbox only, and before all that waits there. Guarded by the flusher's lock.
	first bool
}

const unpooled = -1

// frameSizes are the capacities of the pools: an offer, an offer with its bond, anything.
var frameSizes = [...]int{512, 2048, wire.MaxLine + 64}

var framePools [len(frameSizes)]sync.Pool

func init() {
	for i, size := range frameSizes {
		framePools[i].New = func() any { return &frame{b: make([]byte, 0, size), class: int8(i)} }
	}
}

// poisonFrames makes released frames unreadable, so that tests see a use after release.
var poisonFrames atomic.Bool

// newFrame encodes a message into a frame with one reference, the caller's.
// It fails with wire.ErrTooLong above wire.MaxLine.
func newFrame(t wire.Type, line []byte, now int64) (*frame, error) {
	need := len(line) + 40
	class := len(frameSizes) - 1
	for i, size := range frameSizes {
		if need <= size {
			class = i
			break
		}
	}
	f := framePools[class].Get().(*frame)
	b, err := wire.AppendEnvelope(f.b[:0], t, line)
	f.born, f.follows, f.first = now, false, false
	f.refs.Store(1)
	if err != nil {
		f.release()
		return nil, err
	}
	f.b = b
	return f, nil
}

// newKeptFrame is newFrame for frames that live outside of the pools, because they are kept and sent again.
func newKeptFrame(t wire.Type, line []byte, now int64) (*frame, error) {
	b, err := wire.AppendEnvelope(nil, t, line)
	if err != nil {
		return nil, err
	}
	f := &frame{b: b, born: now, class: unpooled}
	f.refs.Store(1)
	return f, nil
}

// again returns a kept frame with the same bytes that is born now: an outbox's age counts from when a line came to
// wait in it, not from when the line was made.
func (f *frame) again(now int64) *frame {
	g := &frame{b: f.b, born: now, class: unpooled}
	g.refs.Store(1)
	return g
}

// hold adds n references.
func (f *frame) hold(n int) { f.refs.Add(int32(n)) }

// release gives n=1 reference back; the last one returns the memory.
func (f *frame) release() { f.releaseN(1) }

func (f *frame) releaseN(n int) {
	left := f.refs.Add(-int32(n))
	switch {
	case left > 0:
		return
	case left < 0:
		panic("server: frame released more often than held")
	case f.class == unpooled:
		return
	}
	if poisonFrames.Load() {
		b := f.b[:cap(f.b)]
		for i := range b {
			b[i] = '#'
		}
	}
	// Escapes may have made the frame outgrow its class: then the pool gets the larger memory, which
	// serves as well.
	framePools[f.class].Put(f)
}
