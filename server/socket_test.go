package server

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// connectedSocket returns both ends of a TCP connection, ours as a socket.
func connectedSocket(t *testing.T, p *poller) (far net.Conn, s *socket) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = newSocket(p, near); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return far, s
}

// awaiting returns the socket once somebody waits for its input.
func awaiting(t *testing.T, s *socket) *socket {
	t.Helper()
	eventually(t, "somebody waits for input", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.reader != nil
	})
	return s
}

func TestSocketThatWaitsIsWoken(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	for _, c := range []struct {
		name string
		wake func(far net.Conn, s *socket)
		want error
		n    int
	}{
		{"by input", func(far net.Conn, _ *socket) { far.Write([]byte("x")) }, nil, 1},
		{"by the end of input", func(far net.Conn, _ *socket) { far.(*net.TCPConn).CloseWrite() }, nil, 0},
		{"by a reset", func(far net.Conn, _ *socket) { far.(*net.TCPConn).SetLinger(0); far.Close() }, errAny, 0},
		{"by its own close", func(_ net.Conn, s *socket) { s.close() }, net.ErrClosed, 0},
		{"by a deadline that is over", func(_ net.Conn, s *socket) { s.setReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded, 0},
		{"by a deadline to come", func(_ net.Conn, s *socket) { s.setReadDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			far, s := connectedSocket(t, p)
			r := &lineReader{t: s, ended: new(atomic.Uint32)}
			type result struct {
				n   int
				err error
			}
			done := make(chan result, 1)
			go func() { n, err := r.fetch(); done <- result{n, err} }()
			c.wake(far, awaiting(t, s))
			got := <-done
			if got.n != c.n || !errors.Is(got.err, c.want) && (c.want != errAny || got.err == nil) {
				t.Errorf("got %d, %v; want %d, %v", got.n, got.err, c.n, c.want)
			}
		})
	}
}

// TestSocketWithInputIsNotParked: what came since the last read would be read when more comes, or never.
func TestSocketWithInputIsNotParked(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	for name, wake := range map[string]func(far net.Conn, s *socket){
		"input":                   func(far net.Conn, _ *socket) { far.Write([]byte("x")) },
		"the end of input":        func(far net.Conn, _ *socket) { far.(*net.TCPConn).CloseWrite() },
		"a deadline that is over": func(_ net.Conn, s *socket) { s.setReadDeadline(time.Unix(1, 0)) },
		"its own close":           func(_ net.Conn, s *socket) { s.close() },
	} {
		t.Run(name, func(t *testing.T) {
			far, s := connectedSocket(t, p)
			r := &lineReader{t: s, ended: new(atomic.Uint32), idle: true}
			if _, err := r.fetch(); err != errIdle {
				t.Fatal(err)
			}
			wake(far, s)
			eventually(t, "it is known", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.ready || s.closed || s.late()
			})
			if s.park(new(conn)) {
				t.Error("it is parked")
			}
		})
	}
}

var errAny = errors.New("any error")

// TestEndRightBehindInputIsSeen: a read that empties a socket is not followed by another one that would say so, which
// must not hide that the other side has closed.
func TestEndRightBehindInputIsSeen(t *testing.T) {
	s := newServer(t, nil)
	addr := listen(t, s)
	for i := range 300 {
		c := join(t, addr, testNick(i), wire.Location{})
		c.send(wire.Pubmsg, c.nick+"!PUBLIC!hello")
		c.conn.Close()
	}
	eventually(t, "all have left", func() bool { return s.Status().Peers == 0 })
}

func TestSilentPeerHasNoGoroutine(t *testing.T) {
	const peers = 300
	s := newServer(t, nil)
	addr := listen(t, s)
	for i := range peers {
		join(t, addr, testNick(i), wire.Location{})
	}
	before := runtime.NumGoroutine()
	eventually(t, "all are parked", func() bool {
		for _, p := range peersOf(s) {
			sock := p.conn.t.(*socket)
			sock.mu.Lock()
			parked := sock.parked != nil
			sock.mu.Unlock()
			if !parked {
				return false
			}
		}
		return true
	})
	if n := runtime.NumGoroutine(); n > before || n >= peers {
		t.Errorf("%d goroutines for %d silent peers", n, peers)
	}
}

func peersOf(s *Server) (all []*peer) {
	s.registry.each(func(p *peer) { all = append(all, p) })
	return all
}

func TestSocketAfterThePollerHasEnded(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newSocket(p, near); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := far.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}
