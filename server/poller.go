package server

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A poller says when sockets can be read or written. It is an epoll set of our own, because the one inside package net
// needs a goroutine for each connection that waits, with a stack, and is woken for each socket that has room again, which is after
// every message that a receiver takes. This one knows what to wait for, and costs nothing for who is silent.
type poller struct {
	epoll int
	file  *os.File // the same, so that our goroutine waits for it like for any file
	done  chan struct{}

	mu sync.Mutex
	// spare is a descriptor that is kept for when there is no other: taking a connection over from package net needs one
	// more for a moment. -1: used up.
	spare   int
	sockets map[int32]*socket // by descriptor
	closed  bool
}

// pollBatch is how many sockets are taken note of at once. When there are more, their readers come first: so a few readers do,
// one after the other, what as many as there are sockets would do beside each other, each with a stack that has to grow.
const pollBatch = 32

// Events are reported once for each change: who is told reads or writes until it would have to wait.
const (
	readEvents  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	writeEvents = unix.EPOLLOUT
	endEvents   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// newPoller starts a poller, which close ends.
func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("poller: %w", os.NewSyscallError("epoll_create1", err))
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("poller: %w", err)
	}
	p := &poller{epoll: fd, file: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{}), spare: -1, sockets: make(map[int32]*socket)}
	raw, err := p.file.SyscallConn()
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("poller: %w", err)
	}
	go p.run(raw)
	return p, nil
}

// run tells sockets of their events until close.
func (p *poller) run(raw syscall.RawConn) {
	defer close(p.done)
	var events [pollBatch]unix.EpollEvent
	var sockets [pollBatch]*socket
	n := 0
	look := func(fd uintptr) bool {
		for {
			var err error
			if n, err = unix.EpollWait(int(fd), events[:], 0); err != unix.EINTR {
				return n > 0
			}
		}
	}
	for raw.Read(look) == nil {
		p.mu.Lock()
		for i, e := range events[:n] {
			sockets[i] = p.sockets[e.Fd]
		}
		p.mu.Unlock()
		for i, e := range events[:n] {
			// It may be one that was closed meanwhile, or has its descriptor now: then it looks in vain.
			if s := sockets[i]; s != nil {
				s.event(e.Events)
			}
		}
		clear(sockets[:n])
		if n == pollBatch {
			runtime.Gosched()
		}
	}
}

// takeOver returns a descriptor of our own for what fd is.
func (p *poller) takeOver(fd int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return -1, net.ErrClosed
	}
	if p.spare < 0 {
		if spare, err := unix.FcntlInt(uintptr(p.epoll), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			p.spare = spare
		}
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil || p.spare < 0 {
		return own, os.NewSyscallError("fcntl", err)
	}
	own, p.spare = p.spare, -1
	if err := unix.Dup3(fd, own, unix.O_CLOEXEC); err != nil {
		unix.Close(own)
		return -1, os.NewSyscallError("dup3", err)
	}
	return own, nil
}

// add begins to report when s can be read.
func (p *poller) add(s *socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if err := p.control(unix.EPOLL_CTL_ADD, s, readEvents); err != nil {
		return err
	}
	p.sockets[int32(s.fd)] = s // run cannot have looked for it yet
	return nil
}

// want sets what is reported of s; what is the case already is reported, too.
func (p *poller) want(s *socket, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, s, events)
}

func (p *poller) control(op int, s *socket, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, op, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)}))
}

// forget ends reports. To be called before the descriptor is closed, which takes it out of the epoll set.
func (p *poller) forget(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sockets, int32(fd))
}

// close ends the poller. All of its sockets must have been closed.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	if p.spare >= 0 {
		unix.Close(p.spare)
	}
	p.mu.Unlock()
	p.file.Close()
	<-p.done
}
