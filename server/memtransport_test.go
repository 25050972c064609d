package server

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memTransport is a connection in memory, for tests under a turned clock: what a socket does, with a send
// buffer of a size that the test sets.
type memTransport struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	in, out  []byte        // to the server; from the server, not yet taken
	room     int           // bytes that out may hold
	eof      bool          // the client sends no more
	finished bool          // the server sends no more
	closed   bool
	deadline time.Time
	taken    int       // bytes that the client has taken in all
	endedAt  time.Time // when the server ended it, at least its half of it
	parked   *conn
}

func newMemTransport(room int) *memTransport {
	return &memTransport{changed: make(chan struct{}), room: room}
}

// change wakes all that wait. The lock must be held.
func (m *memTransport) change() {
	close(m.changed)
	m.changed = make(chan struct{})
	if c := m.parked; c != nil && m.readable() {
		m.parked = nil
		c.s.readers.run(c)
	}
}

// setRoom sets how many bytes may wait for the client.
func (m *memTransport) setRoom(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room = n
	m.change()
}

// wait releases the lock until something changes or until at (zero: no limit); it reports false at that time.
func (m *memTransport) wait(at time.Time) bool {
	ch := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	if at.IsZero() {
		<-ch
		return true
	}
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ch:
		return true
	case <-t.C:
		return false
	}
}

// readable reports whether read returns anything but errWouldBlock. The lock must be held.
func (m *memTransport) readable() bool {
	return m.closed || m.late() || len(m.in) > 0 || m.eof
}

func (m *memTransport) late() bool { return !m.deadline.IsZero() && !time.Now().Before(m.deadline) }

func (m *memTransport) read(r *lineReader) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return 0, net.ErrClosed
	case m.late():
		return 0, os.ErrDeadlineExceeded
	case len(m.in) > 0:
		n := copy(r.room(), m.in)
		m.in = m.in[n:]
		m.change()
		return n, nil
	case m.eof:
		return 0, nil
	}
	return 0, errWouldBlock
}

func (m *memTransport) awaitReadable() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.readable() {
		m.wait(m.deadline)
	}
	return nil
}

func (m *memTransport) park(c *conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readable() {
		return false
	}
	m.parked = c
	return true
}

func (m *memTransport) writev(v *vector) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.finished {
		return 0, net.ErrClosed
	}
	n := 0
	v.each(func(b []byte) {
		k := max(0, min(len(b), m.room-len(m.out)))
		m.out = append(m.out, b[:k]...)
		n += k
	})
	if n == 0 {
		return 0, errWouldBlock
	}
	m.change()
	return n, nil
}

func (m *memTransport) awaitWritable(d time.Duration, unread func(bool)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken, until, still := m.taken, time.Now().Add(d), false
	for {
		switch {
		case m.closed:
			return net.ErrClosed
		case len(m.out) < m.room:
			return nil
		case m.taken > taken:
			taken, until = m.taken, time.Now().Add(d)
			if still {
				still = false
				m.tell(unread, false)
			}
		}
		at := until
		if first := until.Add(stillAfter - d); !still && first.Before(until) {
			at = first
		}
		switch {
		case m.wait(at):
		case at == until:
			return os.ErrDeadlineExceeded
		default:
			still = true
			m.tell(unread, true)
		}
	}
}

// tell calls unread without the lock: it takes that of a flusher, which writes to us with that.
func (m *memTransport) tell(unread func(bool), is bool) {
	m.mu.Unlock()
	defer m.mu.Lock()
	unread(is)
}

func (m *memTransport) setReadDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	m.deadline = t
	m.change()
	return nil
}

func (m *memTransport) closeWrite() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.finished && !m.closed {
		m.endedAt = time.Now()
	}
	m.finished = true
	m.change()
	return nil
}

func (m *memTransport) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		if !m.finished {
			m.endedAt = time.Now()
		}
		m.closed = true
		m.change()
	}
	return nil
}

// Write and Read are the client's end.

func (m *memTransport) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.eof {
		return 0, net.ErrClosed
	}
	m.in = append(m.in, b...)
	m.change()
	return len(b), nil
}

func (m *memTransport) Read(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.out) == 0 {
		if m.closed || m.finished {
			return 0, io.EOF
		}
		m.wait(time.Time{})
	}
	n := copy(b, m.out)
	m.out = m.out[n:]
	m.taken += n
	m.change()
	return n, nil
}

// take returns what has come from the server so far, without waiting.
func (m *memTransport) take() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.out
	m.out = nil
	m.taken += len(b)
	m.change()
	return b
}

// isClosed reports whether the server has ended the connection, at least its half of it.
func (m *memTransport) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed || m.finished
}

// closeClient is the client's full close.
func (m *memTransport) closeClient() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.eof = true
	m.out = nil
	m.room = 1 << 30
	m.change()
}

// closeWriting ends the client's sending half.
func (m *memTransport) closeWriting() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.eof = true
	m.change()
}

// ended returns when the server ended the connection.
func (m *memTransport) ended() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.endedAt
}

func (m *memTransport) hungUp() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed || m.eof
}
