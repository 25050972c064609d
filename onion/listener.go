package onion

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// proxyWait is how long a stream may take for its PROXY line. Tor writes
	// it at once.
	proxyWait = 5 * time.Second
	// proxyParallel is how many streams may be in that state; further ones
	// wait in the socket's backlog.
	proxyParallel = 256
)

// Circuit is what every stream of NewProxyListener and of Service.Listener
// tells about where it came from.
type Circuit interface {
	// CircuitID is Tor's number of the circuit the stream came on, equal for
	// all streams of one circuit and unique until that Tor is restarted. ok is
	// false where Tor did not say.
	CircuitID() (id uint64, ok bool)
}

// circuit is the part that Conn and TCPConn share.
type circuit struct {
	id uint64
	ok bool
}

// CircuitID implements Circuit.
func (c *circuit) CircuitID() (id uint64, ok bool) { return c.id, c.ok }

// Conn is a client's stream. It is the unix socket itself: SyscallConn, File
// and vectored writes work on it directly.
type Conn struct {
	*net.UnixConn
	circuit
}

// TCPConn is a client's stream where Tor delivers over TCP.
type TCPConn struct {
	*net.TCPConn
	circuit
}

// NewProxyListener takes the PROXY line off every stream that l accepts and
// hands it out as *Conn or *TCPConn. One that is slow does not hold up the
// others; one that brings no proper line within 5 s is closed.
//
// If required is false, a stream that does not begin with 'P', or says nothing
// for 5 s, is handed out as it is, without a circuit id. Use that only where
// one does not know what Tor was told: a client of a Tor that does not export
// circuit ids can then forge one. l must accept *net.UnixConn or *net.TCPConn;
// Close closes it. Nothing is accepted before the first call of Accept.
func NewProxyListener(l net.Listener, required bool) net.Listener {
	return newProxyListener(l, required, proxyWait)
}

func newProxyListener(l net.Listener, required bool, wait time.Duration) *streamListener {
	read := func(rc syscall.RawConn) (circuit, error) {
		id, ok, err := readProxy(rc, required)
		if !required && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		return circuit{id, ok}, err
	}
	return newStreamListener(l, read, wait)
}

// newPlainListener hands out streams of a Tor that does not write PROXY lines.
func newPlainListener(l net.Listener) net.Listener {
	return newStreamListener(l, nil, 0)
}

type streamListener struct {
	net.Listener
	read    func(syscall.RawConn) (circuit, error) // nil: nothing to read
	wait    time.Duration                          // how long read may take
	streams chan net.Conn
	trouble chan error // why nothing can be accepted for now
	slots   chan struct{}
	closed  chan struct{}
	failed  chan struct{} // closed when accepting has ended; err then says why
	err     error
	workers sync.WaitGroup
	begin   sync.Once

	mu      sync.Mutex
	closing bool
	pending map[net.Conn]struct{} // streams whose PROXY line is being read
}

func newStreamListener(l net.Listener, read func(syscall.RawConn) (circuit, error), wait time.Duration) *streamListener {
	return &streamListener{
		Listener: l, read: read, wait: wait,
		streams: make(chan net.Conn),
		trouble: make(chan error),
		slots:   make(chan struct{}, proxyParallel),
		closed:  make(chan struct{}),
		failed:  make(chan struct{}),
		pending: make(map[net.Conn]struct{}),
	}
}

// Accept returns the next stream whose PROXY line has been read. With an error that may pass, such as syscall.EMFILE, it can
// be called again. The first call begins: until then who listens may still have much that it gives up before it serves anybody.
func (s *streamListener) Accept() (net.Conn, error) {
	s.begin.Do(s.start)
	select {
	case c := <-s.streams:
		return c, nil
	case err := <-s.trouble:
		return nil, err
	case <-s.failed:
		return nil, s.err
	}
}

// Close ends accepting and closes streams nobody has taken yet. It returns
// when all goroutines of the listener have ended.
func (s *streamListener) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.closing = true
	close(s.closed)
	err := s.Listener.Close()
	for c := range s.pending {
		c.SetReadDeadline(time.Unix(1, 0)) // do not wait for a silent stream
	}
	s.mu.Unlock()
	s.workers.Wait()
	return err
}

// start begins accepting, unless the listener is closed already.
func (s *streamListener) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		s.err = net.ErrClosed
		close(s.failed)
		return
	}
	s.workers.Go(s.run)
}

// pend gives c its time for the PROXY line; false if the listener closes.
func (s *streamListener) pend(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.pending[c] = struct{}{}
	return c.SetReadDeadline(time.Now().Add(s.wait)) == nil
}

func (s *streamListener) settle(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, c)
}

// run accepts until the listener is closed. Running out of descriptors and the
// like passes, so it waits and tries again.
func (s *streamListener) run() {
	defer close(s.failed)
	delay := 5 * time.Millisecond
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.closed:
			s.err = net.ErrClosed
			return
		}
		c, err := s.Listener.Accept()
		if err == nil {
			delay = 5 * time.Millisecond
			s.workers.Go(func() {
				defer func() { <-s.slots }()
				s.prepare(c)
			})
			continue
		}
		<-s.slots
		if !transient(err) {
			s.err = err
			return
		}
		select {
		case s.trouble <- err: // whoever accepts says so, and waits
		case <-time.After(delay):
			delay = min(2*delay, time.Second)
		case <-s.closed:
		}
	}
}

// transient says whether accept(2) may work again a moment later.
func transient(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// prepare reads the PROXY line and hands the stream over, or closes it.
func (s *streamListener) prepare(c net.Conn) {
	stream, err := s.wrap(c)
	if err != nil {
		c.Close()
		return
	}
	select {
	case s.streams <- stream:
	case <-s.closed:
		c.Close()
	}
}

func (s *streamListener) wrap(c net.Conn) (net.Conn, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	var from circuit
	if s.read != nil {
		rc, err := sc.SyscallConn()
		if err != nil {
			return nil, err
		}
		if !s.pend(c) {
			return nil, net.ErrClosed
		}
		from, err = s.read(rc)
		s.settle(c)
		if err != nil {
			return nil, err
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
	}
	switch c := c.(type) {
	case *net.UnixConn:
		return &Conn{c, from}, nil
	case *net.TCPConn:
		return &TCPConn{c, from}, nil
	default:
		return nil, errors.ErrUnsupported
	}
}
