package server

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// Read buffers: almost every line fits the small one; a line that does not moves to the large one, which
// holds the longest legal line.
const (
	smallRead = 4 << 10
	largeRead = 64 << 10
)

var (
	smallReads = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeReads = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

// errIdle is what a lineReader with idle set returns instead of waiting for the next line to begin.
var errIdle = errors.New("no line has begun")

// errLineSlow is a line that was begun and not finished in time.
var errLineSlow = errors.New("line not finished in time")

// A lineReader cuts a connection's bytes into lines. It holds a buffer only while bytes of an unfinished
// line are in it.
type lineReader struct {
	t       transport
	timeout time.Duration  // for a line once begun; 0: none, the caller has set a deadline
	ended   *atomic.Uint32 // of the connection: not 0 once it must end
	idle    bool           // next does not wait between lines

	buf        *[]byte
	start, end int // unread bytes
	scanned    int // of these, known to hold no delimiter
	timed      bool
}

// next returns the next line without its delimiter. The line is valid until the next call. Errors: io.EOF,
// wire.ErrTooLong, errIdle, errLineSlow, os.ErrDeadlineExceeded (a deadline that the caller set), or the socket's.
func (r *lineReader) next() ([]byte, error) {
	for {
		if r.start < r.end {
			line, n, err := wire.CutLine((*r.buf)[r.start:r.end], r.scanned)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				r.start += n
				r.scanned = 0
				if r.timed {
					r.timed = false
					if err := r.t.setReadDeadline(time.Time{}); err != nil {
						return nil, err
					}
				}
				return line, nil
			}
			r.scanned = r.end - r.start
			if r.timeout > 0 && !r.timed {
				r.timed = true
				if err := r.t.setReadDeadline(time.Now().Add(r.timeout)); err != nil {
					return nil, err
				}
				if r.ended.Load() != 0 {
					return nil, os.ErrDeadlineExceeded // the deadline just overwritten said so
				}
			}
		} else {
			r.unread()
		}
		n, err := r.fetch()
		if err != nil {
			if r.timed && errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, errLineSlow
			}
			return nil, err
		}
		if n == 0 {
			return nil, io.EOF
		}
		r.end += n
	}
}

// fetch reads once. Between lines it waits only without idle.
func (r *lineReader) fetch() (int, error) {
	for {
		n, err := r.t.read(r)
		if err != errWouldBlock {
			return n, err
		}
		r.unread()
		if r.buf == nil && r.idle {
			return 0, errIdle
		}
		if err := r.t.awaitReadable(); err != nil {
			return 0, err
		}
	}
}

// room returns where to read to, at least one byte.
func (r *lineReader) room() []byte {
	if r.buf == nil {
		r.buf = smallReads.Get().(*[]byte)
		r.start, r.end = 0, 0
	}
	b := *r.buf
	if r.end > len(b)*3/4 && r.start > 0 {
		r.end = copy(b, b[r.start:r.end])
		r.start = 0
	}
	if r.end == len(b) {
		large := largeReads.Get().(*[]byte)
		copy(*large, b)
		smallReads.Put(r.buf)
		r.buf, b = large, *large
	}
	return b[r.end:]
}

// unread gives the buffer back when there is nothing in it.
func (r *lineReader) unread() {
	if r.buf == nil || r.start < r.end {
		return
	}
	r.drop()
}

// drop gives the buffer back whatever is in it.
func (r *lineReader) drop() {
	if r.buf == nil {
		return
	}
	if len(*r.buf) == smallRead {
		smallReads.Put(r.buf)
	} else {
		largeReads.Put(r.buf)
	}
	r.buf, r.start, r.end, r.scanned = nil, 0, 0, 0
}
