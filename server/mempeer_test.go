package server

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"jm-directory-server/server/wire"
)

// A memPeer is a client over a memTransport, under a turned clock.
type memPeer struct {
	t    *testing.T
	m    *memTransport
	c    *conn
	nick string
}

// inBubble runs f with a server under a clock that moves only when all sleep.
func inBubble(t *testing.T, change func(*Options), f func(t *testing.T, s *Server)) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.Flushers = 2
		if change != nil {
			change(&o)
		}
		s, err := New(o, quietLogger())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		f(t, s)
	})
}

// connectMem opens a connection and says nothing.
func connectMem(t *testing.T, s *Server, room int) *memPeer {
	p := &memPeer{t: t, m: newMemTransport(room)}
	p.c = s.newConn(p.m, nil)
	s.start(p.c)
	return p
}

// joinMem completes a handshake.
func joinMem(t *testing.T, s *Server, nick string, l wire.Location, features ...string) *memPeer {
	t.Helper()
	p := connectMem(t, s, 1<<20)
	p.hello(nick, l, features...)
	if got := p.lines(); len(got) != 1 || !accepted(t, got[0]) {
		t.Fatalf("handshake of %s: %v", nick, got)
	}
	return p
}

func (p *memPeer) hello(nick string, l wire.Location, features ...string) {
	p.nick = nick
	p.send(wire.ClientHandshake, handshakeOf(nick, l, features...))
}

func accepted(t *testing.T, m rawMessage) bool {
	t.Helper()
	if m.Type != wire.DirectoryHandshake {
		t.Fatalf("got %v, want a handshake answer", m)
	}
	hello, err := wire.ParseDirectoryHello([]byte(m.Line))
	if err != nil {
		t.Fatal(err)
	}
	return hello.Accepted
}

func (p *memPeer) send(t wire.Type, line string) {
	b, err := wire.AppendEnvelope(nil, t, []byte(line))
	if err != nil {
		p.t.Fatal(err)
	}
	p.m.Write(b) // fails once the server has closed; tests look at that where it matters
}

// lines returns what has come since the last call, once all goroutines have nothing left to do now.
func (p *memPeer) lines() []rawMessage {
	p.t.Helper()
	synctest.Wait()
	return p.parse(p.m.take())
}

func (p *memPeer) parse(b []byte) (got []rawMessage) {
	p.t.Helper()
	var parser wire.Parser
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			p.t.Fatalf("unfinished line %q", b)
		}
		e, err := parser.Parse(line)
		if err != nil {
			p.t.Fatalf("server sent %q: %v", line, err)
		}
		got = append(got, rawMessage{e.Type, string(e.Line)})
		b = rest
	}
	return got
}

// wantLines compares what came with what must have come.
func (p *memPeer) wantLines(want ...rawMessage) {
	p.t.Helper()
	got := p.lines()
	if len(got) != len(want) {
		p.t.Fatalf("%s got %v, want %v", p.nick, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			p.t.Fatalf("%s got %v at %d, want %v", p.nick, got[i], i, want[i])
		}
	}
}

// wantEnded wants the connection ended for reason, after n further lines.
func (p *memPeer) wantEnded(s *Server, reason Reason) {
	p.t.Helper()
	synctest.Wait()
	if !p.m.isClosed() {
		p.t.Fatalf("%s is still connected, want %v", p.nick, reason)
	}
	if got := Reason(p.c.ended.Load()); got != reason {
		p.t.Fatalf("%s ended for %v, want %v", p.nick, got, reason)
	}
}

func (p *memPeer) wantConnected() {
	p.t.Helper()
	synctest.Wait()
	if p.m.isClosed() {
		p.t.Fatalf("%s was closed: %v", p.nick, Reason(p.c.ended.Load()))
	}
}
