package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errNoSocket is a connection without a descriptor of a socket.
var errNoSocket = errors.New("not a socket")

// A socket is the transport over a TCP or unix stream socket. Its descriptor is its own, and known to its poller alone.
type socket struct {
	descriptor

	// Only who reads uses it.
	drained bool // the last read left nothing; whatever comes after makes an event

	mu       sync.Mutex
	ready    bool // there was an event since the last read began
	over     bool // the other side has ended its half at least: there is no further event
	closed   bool
	parked   *conn   // to be run at the next event
	reader   *waiter // who waits in awaitReadable
	writer   *waiter // who waits in awaitWritable
	deadline time.Time
}

// newSocket takes conn's descriptor over from package net, and closes conn also when it fails: with errNoSocket or with the error of
// the system.
func newSocket(p *poller, conn net.Conn) (*socket, error) {
	defer conn.Close()
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection: %T: %w", conn, errNoSocket)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("connection: %w: %w", errNoSocket, err)
	}
	own, dup := -1, error(nil)
	err = raw.Control(func(fd uintptr) { own, dup = p.takeOver(int(fd)) })
	if err = errors.Join(err, dup); err != nil {
		return nil, fmt.Errorf("connection: %w", err)
	}
	return p.socket(own)
}

// socket makes a transport of a connected socket that does not block, and closes it if that fails.
func (p *poller) socket(fd int) (*socket, error) {
	s := &socket{descriptor: descriptor{poller: p, fd: fd}}
	if err := p.add(s); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connection: %w", err)
	}
	return s, nil
}

// event is called by the poller.
func (s *socket) event(events uint32) {
	s.mu.Lock()
	if events&(writeEvents|unix.EPOLLHUP|unix.EPOLLERR) != 0 && s.writer != nil {
		s.writer.wake()
	}
	if events&(unix.EPOLLIN|endEvents) == 0 {
		s.mu.Unlock()
		return
	}
	s.ready = true
	s.over = s.over || events&endEvents != 0
	c := s.wakeReader()
	s.mu.Unlock()
	if c != nil {
		c.s.readers.run(c)
	}
}

// wakeReader wakes who waits for input, or returns the connection that is parked. The lock must be held.
func (s *socket) wakeReader() *conn {
	c := s.parked
	s.parked = nil
	if s.reader != nil {
		s.reader.wake()
	}
	return c
}

// begin says how read begins: with an error, or by reading; over says that the other side has ended its half.
func (s *socket) begin() (over bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, net.ErrClosed
	case s.late():
		return false, os.ErrDeadlineExceeded
	case s.drained && !s.ready && !s.over:
		return false, errWouldBlock
	}
	s.ready, s.drained = false, false
	return s.over, nil
}

// late reports whether the deadline is over. The lock must be held.
func (s *socket) late() bool { return !s.deadline.IsZero() && !time.Now().Before(s.deadline) }

func (s *socket) read(r *lineReader) (int, error) {
	over, err := s.begin()
	if err != nil {
		return 0, err
	}
	if !s.use() {
		return 0, net.ErrClosed
	}
	defer s.release()
	room := r.room()
	for {
		n, err := unix.Read(s.fd, room)
		switch err {
		case unix.EINTR:
			continue
		case nil:
			s.drained = n < len(room) && !over
			return n, nil
		case unix.EAGAIN:
			return 0, errWouldBlock
		default:
			return 0, err
		}
	}
}

func (s *socket) awaitReadable() error {
	s.mu.Lock()
	if s.ready || s.closed {
		s.mu.Unlock()
		return nil
	}
	w := newWaiter()
	s.reader = w
	deadline := s.deadline
	s.mu.Unlock()
	var err error
	if !w.wait(deadline) {
		err = os.ErrDeadlineExceeded
	}
	s.mu.Lock()
	s.reader = nil
	s.mu.Unlock()
	w.free()
	return err
}

func (s *socket) park(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready || s.closed || s.late() {
		return false
	}
	s.parked = c
	return true
}

func (s *socket) writev(v *vector) (int, error) {
	if !s.use() {
		return 0, net.ErrClosed
	}
	defer s.release()
	return v.writeTo(s.fd)
}

// awaitWritable looks at the socket's send queue when the time is over: a socket says that it is writable
// only when much of its buffer is free, which over a slow circuit takes longer than d although the other
// side reads all the time.
func (s *socket) awaitWritable(d time.Duration, unread func(bool)) error {
	if !s.use() {
		return net.ErrClosed
	}
	defer s.release()
	w := newWaiter()
	defer w.free()
	s.mu.Lock()
	s.writer = w
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.writer = nil
		s.mu.Unlock()
	}()
	queued := s.sendQueue()
	if err := s.poller.want(s, readEvents|writeEvents); err != nil {
		return err
	}
	defer s.poller.want(s, readEvents)
	still := time.Duration(0) // for so long it has taken nothing
	for step := min(stillAfter, d); !w.wait(time.Now().Add(step)); step = min(stillAfter, d-still) {
		now := s.sendQueue()
		if now >= 0 && now < queued {
			if still > 0 {
				unread(false)
			}
			queued, still = now, 0
			continue
		}
		if still == 0 {
			unread(true)
		}
		if still += step; still >= d {
			return os.ErrDeadlineExceeded
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return nil
}

// sendQueue returns how many bytes the kernel holds that the other side has not taken, -1 when it does not say.
func (s *socket) sendQueue() int {
	n, err := unix.IoctlGetInt(s.fd, unix.SIOCOUTQ)
	if err != nil {
		return -1
	}
	return n
}

func (s *socket) setReadDeadline(t time.Time) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.deadline = t
	var c *conn
	if s.reader != nil || s.late() {
		c = s.wakeReader()
	}
	s.mu.Unlock()
	if c != nil {
		c.s.readers.run(c)
	}
	return nil
}

func (s *socket) hungUp() bool {
	if !s.use() {
		return true
	}
	defer s.release()
	p := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLRDHUP}}
	n, _ := unix.Poll(p, 0)
	return n > 0
}

func (s *socket) closeWrite() error {
	if !s.use() {
		return net.ErrClosed
	}
	defer s.release()
	return os.NewSyscallError("shutdown", unix.Shutdown(s.fd, unix.SHUT_WR))
}

func (s *socket) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.closed = true
	if s.writer != nil {
		s.writer.wake()
	}
	c := s.wakeReader()
	s.mu.Unlock()
	s.abandon()
	if c != nil {
		c.s.readers.run(c)
	}
	return nil
}
