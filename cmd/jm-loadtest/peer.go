package main

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

// A peer is one simulated client. One reader owns it: only that one reads, opens and closes its connection. Any
// goroutine may write.
type peer struct {
	id       int // index in the fleet
	nick     string
	location wire.Location // the zero value does not serve
	reader   *reader
	deaf     bool // never reads once it has joined; set before it joins

	mu      sync.Mutex // guards out, and fd and in against other goroutines than the reader's
	fd      int        // -1: not connected
	in      bool       // the directory has accepted it
	out     []byte     // what the socket would not take yet
	writing bool       // epoll watches for room

	// The reader's.
	rest    []byte           // the beginning of a line whose end has not come
	began   int64            // now() when the connection attempt began
	outcome chan<- joinEvent // where to say how the handshake ended; nil once said
	counted *phase           // the measurement that counts this peer as a receiver
	base    []uint32         // of a peer that joined within a measurement: the first number due from each sender
}

// A joinEvent is how one handshake ended.
type joinEvent struct {
	peer    *peer
	refused string // why not, "" when it was accepted
	took    int64  // ns from the connection attempt to the answer
}

// connected reports whether the peer has joined and has not ended.
func (p *peer) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fd >= 0 && p.in
}

// write sends b, now as far as the socket takes it and the rest when it has room. To a peer that has ended it
// does nothing; its reader knows.
func (p *peer) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return
	}
	if len(p.out) > 0 {
		p.out = append(p.out, b...)
		return
	}
	n, errno := rawSend(p.fd, b)
	if errno != 0 && errno != unix.EAGAIN {
		return // the reader will find out
	}
	if n < len(b) {
		p.out = append(p.out[:0], b[n:]...)
		p.watch(true)
	}
}

// waiting is how many bytes the socket would not take yet.
func (p *peer) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out)
}

// flush writes what waits, as far as it goes. For the reader, when there is room.
func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, errno := rawSend(p.fd, p.out)
	if errno != 0 && errno != unix.EAGAIN {
		n = len(p.out)
	}
	if p.out = p.out[:copy(p.out, p.out[n:])]; len(p.out) == 0 {
		p.watch(false)
	}
}

// watch sets what epoll reports: input, unless the peer is deaf, and room if asked for. The lock must be held.
func (p *peer) watch(room bool) {
	if p.writing == room {
		return
	}
	p.writing = room
	// It fails only when the descriptor is not watched, and then nothing waits.
	_ = unix.EpollCtl(p.reader.epoll, unix.EPOLL_CTL_MOD, p.fd, p.event())
}

// event is what epoll is told of the peer.
func (p *peer) event() *unix.EpollEvent {
	e := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(p.id)}
	if p.deaf && p.in {
		e.Events = unix.EPOLLRDHUP
	}
	if p.writing {
		e.Events |= unix.EPOLLOUT
	}
	return e
}

// unread is how many bytes wait in the socket for us to read them.
func (p *peer) unread() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return 0
	}
	n, err := unix.IoctlGetInt(p.fd, unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// rawSend and rawReceive are the system calls without what the runtime does around calls that may wait. These do
// not: the sockets are non-blocking.
func rawSend(fd int, b []byte) (int, unix.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func rawReceive(fd int, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
