package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// TestClientThatEndsItsHalfGetsWhatWaits: it says nothing more, and reads on.
func TestClientThatEndsItsHalfGetsWhatWaits(t *testing.T) {
	for reason, end := range map[Reason]func(p *memPeer){
		ClosedByPeer:   func(p *memPeer) { p.m.closeWriting() },
		ClosedPolitely: func(p *memPeer) { p.send(wire.Disconnect, "") },
	} {
		t.Run(reason.String(), func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *Server) {
				to := joinMem(t, s, testNick(1), wire.Location{})
				loud := joinMem(t, s, testNick(2), wire.Location{})
				read := queuedTo(t, to)
				var want []rawMessage
				for i := range 20 {
					want = append(want, rawMessage{wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!%d %s", loud.nick, i, strings.Repeat("x", 5000))})
					loud.send(wire.Pubmsg, want[i].Line)
				}
				synctest.Wait()
				end(to)
				time.Sleep(lingerTimeout / 2)
				got := read()
				if len(got) != len(want) {
					t.Fatalf("got %d lines of %d", len(got), len(want))
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("got %.60q in the place of %.60q", got[i].Line, want[i].Line)
					}
				}
				to.wantEnded(s, reason)
			})
		})
	}
}

// A heldTransport holds a write until it is let go, and tells what is written then.
type heldTransport struct {
	*memTransport
	begun, letGo chan struct{}
	written      chan []byte
}

func (h heldTransport) writev(v *vector) (int, error) {
	h.begun <- struct{}{}
	<-h.letGo
	var b []byte
	v.each(func(piece []byte) { b = append(b, piece...) })
	h.written <- b
	return len(b), nil
}

// TestFrameThatIsBeingWrittenIsNotReleased: the kernel may still copy from it when its receiver is ended, and another receiver's
// message must not come in its place.
func TestFrameThatIsBeingWrittenIsNotReleased(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Flushers = 1 })
	h := heldTransport{newMemTransport(0), make(chan struct{}), make(chan struct{}), make(chan []byte)}
	c := s.newConn(h, nil)
	c.send(wire.Pubmsg, []byte("one"))
	<-h.begun
	c.send(wire.Pubmsg, []byte("two")) // waits behind it
	c.f.mu.Lock()
	c.f.kill(c, ReasonNone)
	c.f.mu.Unlock()
	h.letGo <- struct{}{}
	if b := <-h.written; !bytes.Contains(b, []byte("one")) {
		t.Errorf("what was written is %q", b)
	}
	eventually(t, "nothing waits", func() bool {
		c.f.mu.Lock()
		defer c.f.mu.Unlock()
		return c.out.len() == 0 && c.out.bytes == 0 && c.f.backlog == 0
	})
}
