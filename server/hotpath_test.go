package server

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

// nullTransport takes everything at once and never has anything to read.
type nullTransport struct{ *memTransport }

func (nullTransport) writev(v *vector) (int, error) { return v.bytes, nil }

// addPeers registers n peers that take everything, without goroutines of their own.
func addPeers(tb testing.TB, s *Server, n int) []*conn {
	tb.Helper()
	var cs []*conn
	for i := range n {
		c := s.newConn(nullTransport{newMemTransport(0)}, nil)
		p := newPeer(c, wire.Handshake{Nick: testNick(i), Location: testLocation(i), Network: "mainnet"})
		c.peer = p
		hello, err := newFrame(wire.DirectoryHandshake, s.hello(true, "mainnet", "", "").AppendLine(nil), s.now())
		if err != nil {
			tb.Fatal(err)
		}
		if _, refused := s.registry.join(p, hello, silence{}); refused != ReasonNone {
			tb.Fatalf("peer %d: %v", i, refused)
		}
		hello.release()
		cs = append(cs, c)
	}
	return cs
}

// flushed waits until nothing is queued.
func flushed(tb testing.TB, s *Server) {
	tb.Helper()
	eventually(tb, "all is written", func() bool {
		for _, f := range s.flushers {
			f.mu.Lock()
			n := f.backlog
			f.mu.Unlock()
			if n != 0 {
				return false
			}
		}
		return true
	})
}

// publicLine and privateLine are what a client's bytes look like.
func publicLine(from string) []byte {
	return []byte(`{"type": 687, "line": "` + from + `!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002"}`)
}

func privateLine(from, to string) []byte {
	body := "sw0reloffer 0 27300 500000000 0 0.0002 02149d5c978b28e04e09e3c48d73ea903d539ad361593759532f49247fba92b7fb MEQCIErIkAo/+OKsb7fknQmC5CGXenUkHdhCcCxqlpiW4v5oAiApl2oBmDcFHJK9YPUdGIPY6evOXSdx5B/AbcH2Py303Q=="
	return []byte(`{"type": 685, "line": "` + from + `!` + to + `!` + body + `"}`)
}

func unlimited(o *Options) { *o = o.Unlimited() }

func TestParseAndRouteOfAPrivateMessageDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget")
	}
	// With limits: the token bucket is part of the path.
	s := newServer(t, func(o *Options) { o.Rates.Private = Rate{1e6, 1e6} })
	cs := addPeers(t, s, 2)
	line := privateLine(cs[0].peer.nick, cs[1].peer.nick)
	run := func() {
		if r := cs[0].handle(line); r != ReasonNone {
			t.Fatal(r)
		}
		flushed(t, s) // frames come back to their pool when they are written
	}
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(2000, run); n != 0 {
		t.Errorf("%v allocations per message, want 0", n)
	}
}

func TestFanOutDoesNotAllocatePerPeer(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget")
	}
	const peers = 500
	s := newServer(t, unlimited)
	cs := addPeers(t, s, peers)
	line := publicLine(cs[0].peer.nick)
	run := func() {
		if r := cs[0].handle(line); r != ReasonNone {
			t.Fatal(r)
		}
		flushed(t, s)
	}
	for range 100 {
		run() // queues reach their size
	}
	if n := testing.AllocsPerRun(500, run); n != 0 {
		t.Errorf("%v allocations per broadcast to %d peers, want 0", n, peers)
	}
}

func TestReaderThatWaitsHoldsNoBuffer(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ours, theirs := net.Pipe()
	if _, err := newSocket(p, ours); !errors.Is(err, errNoSocket) {
		t.Errorf("a connection without a file descriptor: %v", err)
	}
	theirs.Close()
	far, s := connectedSocket(t, p)
	r := &lineReader{t: s, ended: new(atomic.Uint32), idle: true}
	if _, err := r.next(); err != errIdle {
		t.Errorf("silent connection: %v", err)
	}
	if r.buf != nil {
		t.Error("a buffer is held while nothing has come")
	}
	r.idle = false
	if _, err := far.Write([]byte("one\r\ntw")); err != nil {
		t.Fatal(err)
	}
	if line, err := r.next(); err != nil || string(line) != "one" {
		t.Fatalf("%q, %v", line, err)
	}
	if r.buf == nil {
		t.Error("the begun line is not held")
	}
	far.Write([]byte("o\n"))
	if line, err := r.next(); err != nil || string(line) != "two" {
		t.Fatalf("%q, %v", line, err)
	}
	r.idle = true
	if _, err := r.next(); err != errIdle {
		t.Errorf("after the last line: %v", err)
	}
	if r.buf != nil {
		t.Error("a buffer is held after the last line")
	}
}

func BenchmarkParseAndRoutePrivate(b *testing.B) {
	s := newServer(b, unlimited)
	cs := addPeers(b, s, 2)
	line := privateLine(cs[0].peer.nick, cs[1].peer.nick)
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		cs[0].handle(line)
	}
}

func BenchmarkFanOut(b *testing.B) {
	for _, peers := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			s := newServer(b, func(o *Options) { unlimited(o); o.MaxPeers = peers })
			cs := addPeers(b, s, peers)
			line := publicLine(cs[0].peer.nick)
			b.ReportAllocs()
			for b.Loop() {
				cs[0].handle(line)
			}
			flushed(b, s)
			b.ReportMetric(float64(b.N)*float64(peers-1)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkFanOutSockets writes to real unix sockets, which one goroutine each reads.
func BenchmarkFanOutSockets(b *testing.B) {
	for _, peers := range []int{100, 1000} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			s := newServer(b, unlimited)
			addr := listen(b, s)
			for i := range peers {
				c := join(b, addr, testNick(i+1), wire.Location{})
				go func() {
					buf := make([]byte, 1<<16)
					for {
						if _, err := c.conn.Read(buf); err != nil {
							return
						}
					}
				}()
			}
			sender := addPeers(b, s, 1)[0]
			line := publicLine(sender.peer.nick)
			b.ReportAllocs()
			for b.Loop() {
				sender.handle(line)
			}
			flushed(b, s)
			b.ReportMetric(float64(b.N)*float64(peers)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

func BenchmarkPeerlist(b *testing.B) {
	s := newServer(b, func(o *Options) { unlimited(o); o.MaxPeers = 10_001 })
	cs := addPeers(b, s, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		s.sendPeerlist(cs[0])
	}
}

// BenchmarkIdlePeer reports what a handshaked peer that is silent costs this process, its own end of the socket
// and its name included. The clients are bare descriptors.
func BenchmarkIdlePeer(b *testing.B) {
	const peers = 4000
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	for b.Loop() {
		s := newServer(b, unlimited)
		addr := listen(b, s)
		before := inUse()
		fds := make([]int, peers)
		buf := make([]byte, 4096)
		for i := range fds {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				b.Fatal(err)
			}
			fds[i] = fd
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: addr.String()}); err != nil {
				b.Fatal(err)
			}
			hello, err := wire.AppendEnvelope(nil, wire.ClientHandshake, []byte(handshakeOf(testNick(i), testLocation(i), wire.FeaturePing)))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Write(fd, hello); err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Read(fd, buf); err != nil {
				b.Fatal(err)
			}
		}
		eventually(b, "all have joined", func() bool { return s.registry.len() == peers })
		b.ReportMetric(float64(inUse()-before)/peers, "B/peer")
		for _, fd := range fds {
			unix.Close(fd)
		}
		eventually(b, "all have left", func() bool { return s.registry.len() == 0 })
	}
}

// An echoPair is two peers over sockets, the second of which answers each private message of the first.
type echoPair struct {
	there *client
	line  []byte
}

func startEcho(b *testing.B, s *Server) *echoPair {
	addr := listen(b, s)
	there := join(b, addr, testNick(1), wire.Location{})
	back := join(b, addr, testNick(2), wire.Location{})
	echo := make(chan struct{})
	go func() {
		defer close(echo)
		for {
			if _, err := back.r.ReadSlice('\n'); err != nil {
				return
			}
			if _, err := back.conn.Write(append(privateLine(back.nick, there.nick), "\r\n"...)); err != nil {
				return
			}
		}
	}()
	b.Cleanup(func() { back.close(); <-echo })
	return &echoPair{there, append(privateLine(there.nick, back.nick), "\r\n"...)}
}

func (e *echoPair) roundTrip(b *testing.B) {
	if _, err := e.there.conn.Write(e.line); err != nil {
		b.Fatal(err)
	}
	if _, err := e.there.r.ReadSlice('\n'); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPrivateRoundTrip is the time of two private messages, there and back, on an otherwise idle server.
func BenchmarkPrivateRoundTrip(b *testing.B) {
	echo := startEcho(b, newServer(b, unlimited))
	for b.Loop() {
		echo.roundTrip(b)
	}
}
