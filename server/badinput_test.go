package server

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// honestPair exchanges messages for as long as an abuser is at work, and knows whether one was lost, doubled
// or reordered.
type honestPair struct {
	t        *testing.T
	a, b     *client
	stop     chan struct{}
	done     sync.WaitGroup
	rounds   int
	location wire.Location
}

func startHonestPair(t *testing.T, addr net.Addr) *honestPair {
	h := &honestPair{t: t, stop: make(chan struct{}), location: testLocation(1)}
	h.a = join(t, addr, "J5AV9EuXzUNHRiJL", h.location, wire.FeaturePing)
	h.b = join(t, addr, "J58g3zmKyFpTLdeA", wire.Location{}, wire.FeaturePing)
	h.done.Go(h.run)
	return h
}

func (h *honestPair) run() {
	for ; ; h.rounds++ {
		select {
		case <-h.stop:
			return
		default:
		}
		body := fmt.Sprintf("fill %d", h.rounds)
		if !h.say(h.a, h.b, wire.Pubmsg, wire.Public, "cancel "+body) ||
			!h.say(h.a, h.b, wire.Privmsg, h.b.nick, body) ||
			!h.say(h.b, h.a, wire.Privmsg, h.a.nick, body) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// say sends one message and waits for it, ignoring what others make the directory say.
func (h *honestPair) say(from, to *client, t wire.Type, target, body string) bool {
	want := from.nick + "!" + target + "!" + body
	b, err := wire.AppendEnvelope(nil, t, []byte(want))
	if err != nil {
		h.t.Error(err)
		return false
	}
	if _, err := from.conn.Write(b); err != nil {
		h.t.Errorf("honest peer: write: %v", err)
		return false
	}
	for {
		got, line, err := to.next(patience)
		if err != nil {
			h.t.Errorf("honest peer waits for %q: %v", want, err)
			return false
		}
		if !strings.HasPrefix(line, from.nick+"!") {
			if strings.Contains(line, h.a.nick) || strings.Contains(line, h.b.nick) {
				// Their own locations are told once, plainly, and never a departure.
				if got != wire.Peerlist || line != h.a.nick+";"+h.location.String() {
					h.t.Errorf("honest peer was told %v %q", got, line)
					return false
				}
			}
			continue
		}
		if got != t || line != want {
			h.t.Errorf("honest peer got %v %q, want %q", got, line, want)
			return false
		}
		return true
	}
}

// finish ends the exchange once it has gone on for n more rounds' worth of time.
func (h *honestPair) finish() {
	h.t.Helper()
	time.Sleep(20 * time.Millisecond)
	close(h.stop)
	h.done.Wait()
	if h.rounds == 0 {
		h.t.Error("the honest pair did not exchange anything")
	}
}

// TestBadInputCostsItsSenderAndNobodyElse tries each abuse next to an honest pair.
func TestBadInputCostsItsSenderAndNobodyElse(t *testing.T) {
	const closes, stays = true, false
	first := func(b string) func(*testing.T, net.Addr) *client { // as the first line
		return func(t *testing.T, addr net.Addr) *client {
			c := dial(t, addr)
			c.conn.SetWriteDeadline(time.Now().Add(patience))
			c.conn.Write([]byte(b)) // may fail half way: the server has closed
			return c
		}
	}
	joined := func(b string) func(*testing.T, net.Addr) *client { // after a handshake
		return func(t *testing.T, addr net.Addr) *client {
			c := join(t, addr, testNick(1), wire.Location{}, wire.FeaturePing)
			c.conn.SetWriteDeadline(time.Now().Add(patience))
			c.conn.Write([]byte(b))
			return c
		}
	}
	bomb := strings.Repeat("[", 19_000) + strings.Repeat("]", 19_000)
	forged := `{"type":687,"line":"J5AV9EuXzUNHRiJL!PUBLIC!cancel 0"}` + "\r\n"
	for _, abuse := range []struct {
		name  string
		do    func(*testing.T, net.Addr) *client
		close bool
	}{
		{"garbage first", first("\x00\xff\x13garbage\r\n"), closes},
		{"garbage later", joined("\x00\xff\x13garbage\r\n"), closes},
		{"http", first("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), closes},
		{"tls", first("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"), closes},
		{"10 MB without a newline first", first(strings.Repeat("a", 10<<20)), closes},
		{"10 MB without a newline later", joined(`{"type":687,"line":"` + strings.Repeat("a", 10<<20)), closes},
		{"depth bomb", joined(`{"type":798,"line":"","x":` + bomb + "}\r\n"), closes},
		{"depth bomb in the handshake", first(`{"type":793,"line":"` + bomb + "\"}\r\n"), closes},
		{"depth bomb in the features", first(`{"type":793,"line":"{\"features\":` + bomb + "}\"}\r\n"), closes},
		{"duplicate members", joined(`{"type":798,"type":687,"line":""}` + "\r\n"), closes},
		{"duplicate members in the handshake", first(`{"type":793,"line":"{\"nick\":\"a\",\"nick\":\"b\"}"}` + "\r\n"), closes},
		{"lone surrogate", joined(`{"type":687,"line":"\ud800"}` + "\r\n"), closes},
		{"NUL", joined("{\"type\":798,\"line\":\"\"}\x00\r\n"), closes},
		{"empty line", joined("\r\n"), closes},
		{"785", joined(`{"type":785,"line":"127.0.0.1:1"}` + "\r\n"), stays},
		{"787 for another's location", joined(`{"type":787,"line":"` + testLocation(1).String() + `"}` + "\r\n"), stays},
		{"797", joined(`{"type":797,"line":""}` + "\r\n"), stays},
		{"799 unasked", joined(`{"type":799,"line":""}` + "\r\n"), stays},
		{"795 from a client", joined(`{"type":795,"line":"{}"}` + "\r\n"), stays},
		{"789 from a client", joined(`{"type":789,"line":"J5AV9EuXzUNHRiJL;` + testLocation(1).String() + `;D"}` + "\r\n"), stays},
		{"803", joined(`{"type":803,"line":"{}"}` + "\r\n"), closes},
		{"807", joined(`{"type":807,"line":"{}"}` + "\r\n"), closes},
		{"forged sender", joined(strings.Repeat(forged, 500)), stays},
		{"forged sender for ever", joined(strings.Repeat(forged, 5000)), closes},
		{"escaped newline in a body", joined(`{"type":687,"line":"` + testNick(1) + `!PUBLIC!x\r\n{\"type\":801,\"line\":\"\"}\r\n"}` + "\r\n"), stays},
		{"body of control characters", joined(`{"type":687,"line":"` + testNick(1) + `!PUBLIC!` + strings.Repeat(`\u0000`, 6000) + "\"}\r\n"), stays},
	} {
		t.Run(abuse.name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, newServer(t, nil))
			pair := startHonestPair(t, addr)
			c := abuse.do(t, addr)
			if abuse.close {
				for { // the honest pair's broadcasts may come before the end
					typ, line, err := c.next(patience)
					if err == nil && typ == wire.Pubmsg {
						continue
					}
					if err == nil {
						t.Errorf("abuser got %v %q", typ, line)
					} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
						t.Error("abuser is still connected")
					}
					break
				}
			} else {
				c.send(wire.Ping, "")
				for typ := wire.Pubmsg; typ == wire.Pubmsg; {
					var err error
					if typ, _, err = c.next(patience); err != nil {
						t.Fatalf("abuser was closed: %v", err)
					}
				}
			}
			pair.finish()
		})
	}
}

// TestInjectionThroughNamesIsRefused guards protocol.md 10.12: a separator in a name would forge entries.
func TestInjectionThroughNamesIsRefused(t *testing.T) {
	addr := listen(t, newServer(t, nil))
	pair := startHonestPair(t, addr)
	watcher := join(t, addr, testNick(1), wire.Location{}, wire.FeaturePeerlist)
	honest := handshakeOf(testNick(2), testLocation(2))
	for _, bad := range []string{
		strings.Replace(honest, testNick(2), "J5victim;NOT-SERVING-ONION;D,x", 1),
		strings.Replace(honest, testNick(2), testNick(2)+"!", 1),
		strings.Replace(honest, testNick(2), testNick(2)[:15]+"\\n", 1),
		strings.Replace(honest, ".onion:5222", ".onion:5222;D,J5x;y", 1),
		strings.Replace(honest, ".onion:5222", ".onion:5222\\r\\n", 1),
		strings.Replace(honest, `"features": {}`, `"features": {"`+strings.Repeat("x", 65)+`": true}`, 1),
	} {
		if bad == honest {
			t.Fatal("nothing was changed")
		}
		c := dial(t, addr)
		c.send(wire.ClientHandshake, bad)
		hello, err := wire.ParseDirectoryHello([]byte(c.expect(wire.DirectoryHandshake)))
		if err != nil || hello.Accepted || strings.ContainsAny(hello.MOTD, ";!\n\r") || strings.Contains(hello.MOTD, "victim") {
			t.Errorf("%s: answer %+v, %v", bad, hello, err)
		}
		c.closed()
	}
	c := dial(t, addr)
	c.send(wire.ClientHandshake, strings.Replace(honest, `"features": {}`, `"features": {"a,J5AV9EuXzUNHRiJL;NOT-SERVING-ONION;D": true, "b+c": true, "ping": true}`, 1))
	c.expect(wire.DirectoryHandshake)
	watcher.send(wire.GetPeerlist, "")
	for {
		typ, line, err := watcher.next(patience)
		if err != nil {
			t.Fatal(err)
		}
		if typ != wire.Peerlist {
			continue
		}
		for _, e := range wire.ParsePeerlist([]byte(line)) {
			if e.Gone || len(e.Features) > 1 {
				t.Errorf("forged entry %+v", e)
			}
		}
		break
	}
	pair.finish()
}

// TestOneBytePerSecondHoldsNobodyUp has an abuser dribble; the line's own deadline is tested under a turned clock.
func TestOneBytePerSecondHoldsNobodyUp(t *testing.T) {
	addr := listen(t, newServer(t, func(o *Options) { o.LineTimeout = 500 * time.Millisecond }))
	pair := startHonestPair(t, addr)
	c := join(t, addr, testNick(1), wire.Location{})
	for range 20 {
		if _, err := c.conn.Write([]byte("{")); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for {
		if _, _, err := c.next(patience); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("still connected")
			}
			break
		}
	}
	pair.finish()
}

// TestHalfOpenByTheThousand: connections that say nothing cost their own kind, not peers and not newcomers.
func TestHalfOpenByTheThousand(t *testing.T) {
	const n = 3000
	s := newServer(t, func(o *Options) { o.MaxHandshakes = 500 })
	addr := listen(t, s)
	pair := startHonestPair(t, addr)
	for i := range n {
		conn, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		if i%2 == 0 {
			conn.Write([]byte(`{"type": 793,`))
		}
	}
	newcomer := join(t, addr, testNick(1), wire.Location{})
	newcomer.close()
	eventually(t, "the pool is at its bound", func() bool { return s.Status().Handshaking <= 500 })
	eventually(t, "the excess is evicted with its reason", func() bool { return s.Status().Reasons[EvictedPool] >= n-500 })
	pair.finish()
}

// TestReceiverThatNeverReadsHoldsNobodyUp guards invariant 3: no sender waits for a receiver.
func TestReceiverThatNeverReadsHoldsNobodyUp(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.WriteTimeout = time.Second
		o.Rates = Rates{}
	})
	addr := listen(t, s)
	pair := startHonestPair(t, addr)
	deaf := join(t, addr, testNick(1), wire.Location{})
	noisy := join(t, addr, testNick(2), wire.Location{})
	body := strings.Repeat("x", 3000)
	for range 200 {
		noisy.public(body)
	}
	eventually(t, "the deaf receiver is evicted", func() bool { return s.Status().Reasons[EvictedNoProgress] == 1 })
	pair.finish()
	deaf.close()
}
