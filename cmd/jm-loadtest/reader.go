package main

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

const (
	readerEvents = 512     // events taken from epoll at once
	readerBuffer = 1 << 18 // bytes read at once, of whichever connection
	readerMost   = 1 << 26 // bytes of a line without end, beyond which the connection is given up
	keepRest     = 1 << 12 // bytes of room for a line's beginning that a peer keeps
)

// A reader is one thread that reads the connections of its peers, through one buffer, and acts on what comes.
type reader struct {
	id     int
	fleet  *fleet
	epoll  int
	wakeup int // eventfd

	mu      sync.Mutex
	todo    []func() // for the thread, from other goroutines
	stopped bool

	delivered atomic.Int64 // messages that came, for progress and rates
	waited    atomic.Int64 // ns in which there was nothing to do

	// The thread's.
	buffer          []byte
	events          [readerEvents]unix.EpollEvent
	parser          wire.Parser
	public, private *form
	ph              *phase
	tally           *tally
	scratch         []byte
	count           int64 // what delivered will be
}

func newReader(f *fleet, id int) (*reader, error) {
	r := &reader{id: id, fleet: f, buffer: make([]byte, readerBuffer), epoll: -1, wakeup: -1}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create", err)
	}
	if r.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		r.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.wakeup, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		r.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return r, nil
}

func (r *reader) close() {
	for _, fd := range []int{r.epoll, r.wakeup} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// do has the thread call fn between two batches.
func (r *reader) do(fn func()) {
	r.mu.Lock()
	r.todo = append(r.todo, fn)
	first := len(r.todo) == 1
	r.mu.Unlock()
	if first {
		// It fails only when the counter is full, and then the thread wakes up as well.
		_, _ = unix.Write(r.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// run is the thread. It ends after a function given to do has called stop.
func (r *reader) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !r.stopped {
		before := now()
		n, err := unix.EpollWait(r.epoll, r.events[:], -1)
		r.waited.Add(now() - before)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(os.NewSyscallError("epoll_wait", err)) // of a descriptor that is ours
		}
		r.refresh()
		woken := false
		for i := range n {
			if e := &r.events[i]; e.Fd >= 0 {
				r.handle(r.fleet.peers[e.Fd], e.Events)
			} else {
				woken = true
			}
		}
		if r.ph != nil {
			r.ph.settle(r.tally)
		}
		r.delivered.Store(r.count)
		if woken {
			r.work()
		}
	}
}

// work calls what other goroutines have asked for.
func (r *reader) work() {
	var b [8]byte
	_, _ = unix.Read(r.wakeup, b[:]) // to reset it
	r.mu.Lock()
	todo := r.todo
	r.todo = nil
	r.mu.Unlock()
	for _, fn := range todo {
		r.refresh()
		fn()
	}
}

// refresh looks what is current.
func (r *reader) refresh() {
	if ph := r.fleet.phase.Load(); ph != r.ph {
		if r.ph != nil {
			r.ph.settle(r.tally)
		}
		if r.ph, r.tally = ph, nil; ph != nil {
			r.tally = ph.tallies[r.id]
		}
	}
	r.public, r.private = r.fleet.public.Load(), r.fleet.private.Load()
}

// adopt makes a connected socket the connection of p, and sends the handshake.
func (r *reader) adopt(p *peer, fd int, began int64, outcome chan<- joinEvent) {
	p.mu.Lock()
	p.fd, p.in, p.out, p.writing = fd, false, p.out[:0], false
	p.mu.Unlock()
	p.rest, p.began, p.outcome = p.rest[:0], began, outcome
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, p.event()); err != nil {
		r.end(p, os.NewSyscallError("epoll_ctl", err).Error())
		return
	}
	own := wire.Handshake{Nick: p.nick, Location: p.location, Network: r.fleet.network,
		Features: []string{wire.FeaturePeerlist, wire.FeaturePing}}
	p.write(r.envelope(wire.ClientHandshake, own.AppendLine(nil)))
}

// envelope returns a line to send; it is valid until the next call.
func (r *reader) envelope(t wire.Type, text []byte) []byte {
	b, err := wire.AppendEnvelope(r.scratch[:0], t, text)
	if err != nil {
		panic(err) // all of it is ours, short and ASCII
	}
	r.scratch = b
	return b
}

// handle acts on what epoll says of p.
func (r *reader) handle(p *peer, events uint32) {
	if p.fd < 0 {
		return // ended within this batch
	}
	if events&unix.EPOLLOUT != 0 {
		p.flush()
	}
	switch {
	case p.deaf && p.in:
		if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			r.end(p, ending(p.fd))
		}
	case events&^unix.EPOLLOUT != 0:
		r.read(p)
	}
}

// ending is how a connection ended that was not read.
func ending(fd int) string {
	if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
		return endingOf(unix.Errno(code))
	}
	return endClosed
}

// How the directory ends a connection, for people and as names in JSON.
const (
	endClosed = "closed"
	endReset  = "reset"
)

func endingOf(errno unix.Errno) string {
	if errno == unix.ECONNRESET || errno == unix.EPIPE {
		return endReset
	}
	return errno.Error()
}

// read reads once and acts on the lines that are complete. It MUST NOT allocate for messages of a measurement.
func (r *reader) read(p *peer) {
	if len(r.buffer)-len(p.rest) < readerBuffer/2 {
		if len(r.buffer) >= readerMost {
			r.end(p, "a line without end")
			return
		}
		r.buffer = make([]byte, 2*len(r.buffer))
	}
	n := copy(r.buffer, p.rest)
	m, errno := rawReceive(p.fd, r.buffer[n:])
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		r.end(p, endingOf(errno))
		return
	case m == 0:
		r.end(p, endClosed)
		return
	}
	at := now()
	data := r.buffer[:n+m]
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		if i == 0 || data[i-1] != '\r' {
			r.fleet.malformed.Add(1) // the strictest clients take nothing else (protocol.md 2)
		} else {
			r.line(p, data[:i-1], at)
		}
		if p.fd < 0 || p.deaf && p.in {
			return
		}
		data = data[i+1:]
	}
	if len(data) == 0 {
		if p.rest = p.rest[:0]; cap(p.rest) > keepRest {
			p.rest = nil
		}
		return
	}
	p.rest = append(p.rest[:0], data...)
}

// said reports how the handshake ended, once.
func (r *reader) said(p *peer, e joinEvent) {
	if p.outcome != nil {
		p.outcome <- e
		p.outcome = nil
	}
}

// end takes note that the directory has ended a connection.
func (r *reader) end(p *peer, how string) {
	if p.in && !p.deaf {
		r.fleet.evicted(how)
	}
	if r.ph != nil && r.ph.onEnd != nil {
		r.ph.onEnd(p)
	}
	r.drop(p, how+" without an answer")
}

// drop closes the connection of p from our side. why is for a handshake that has not ended.
func (r *reader) drop(p *peer, why string) {
	if p.fd < 0 {
		return
	}
	p.mu.Lock()
	unix.Close(p.fd)
	p.fd, p.in, p.writing, p.out = -1, false, false, nil
	p.mu.Unlock()
	p.rest = nil
	if p.counted != nil {
		p.counted.leave(p)
	}
	r.said(p, joinEvent{peer: p, refused: why})
}
