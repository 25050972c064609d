package server

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/wire"
	"jm-directory-server/server/wire/vectors"
)

// TestBusyServerLosesAndMixesNothing has peers send to all and to each other as fast as they can while others come
// and go, and has every receiver check that each sender's messages are whole, in order and complete. Released
// frames are overwritten in tests, so that one used too long shows.
func TestBusyServerLosesAndMixesNothing(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		const peers, messages = 16, 150
		s := newServer(t, func(o *Options) { unlimited(o); o.Flushers = 3 })
		addr := start(t, s)
		var cs []*client
		for i := range peers {
			cs = append(cs, join(t, addr, testNick(i), testLocation(i)))
		}
		stop := make(chan struct{})
		var churn, work sync.WaitGroup
		churn.Go(func() { comeAndGo(t, addr, stop) })
		for i, c := range cs {
			work.Go(func() { talk(c, cs[(i+1)%peers], i, messages) })
			work.Go(func() { listenTo(c, cs[(i+peers-1)%peers].nick, peers, messages) })
		}
		work.Wait()
		close(stop)
		churn.Wait()
		if err := s.consistent(); err != nil {
			t.Error(err)
		}
		for r, n := range s.Status().Reasons {
			if r.Kind() == "evicted" || r.Kind() == "dropped" && r != DroppedUnknownTarget {
				t.Errorf("%v %v: %d", r.Kind(), r, n)
			}
		}
	})
}

// comeAndGo joins, speaks and leaves at once, until stop.
func comeAndGo(t *testing.T, addr net.Addr, stop chan struct{}) {
	for i := 1000; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		c := dial(t, addr)
		c.nick = testNick(i)
		c.send(wire.ClientHandshake, handshakeOf(c.nick, wire.Location{}))
		c.public("hp2 P00")
		c.close()
		time.Sleep(time.Millisecond)
	}
}

// numbered is message k of a sender: its length and content follow from k.
func numbered(k int) string {
	return fmt.Sprintf("text %d %s", k, strings.Repeat(string(rune('a'+k%26)), k*37%3000))
}

func talk(c, to *client, seed, messages int) {
	r := rand.New(rand.NewPCG(1, uint64(seed)))
	for k := range messages {
		c.public(numbered(2 * k))
		c.private(to.nick, numbered(2*k+1))
		if r.IntN(20) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// listenTo reads until all that is due has come: of each sender what it says to all, and of friend also what it says to c alone, all in
// the order in which it was sent. Its client's sending goroutine runs beside it.
func listenTo(c *client, friend string, peers, messages int) {
	next := map[string]int{} // per sender
	left := (peers-1)*messages + messages
	for left > 0 && !c.tb.Failed() { // those who come and go never let it become quiet
		typ, line, err := c.next(patience)
		if err != nil {
			c.tb.Errorf("%s: %d messages are missing: %v", c.nick, left, err)
			return
		}
		if typ == wire.Peerlist {
			continue
		}
		m, err := wire.SplitMessage([]byte(line))
		if err != nil {
			c.tb.Errorf("%s got %q", c.nick, line)
			return
		}
		if strings.HasPrefix(string(m.Body), "hp2") {
			continue
		}
		from := string(m.From)
		if to := string(m.To); (typ == wire.Privmsg) != (to == c.nick) || string(m.Body) != numbered(next[from]) {
			c.tb.Errorf("%s got %v %.80q, want message %d of %s", c.nick, typ, line, next[from], from)
			return
		}
		next[from]++
		if from != friend {
			next[from]++ // the odd ones are for others
		}
		left--
	}
}

// TestNothingComesBeforeTheEndOfAHandshake: not even while something is sent to all without a break (protocol.md 5.2).
func TestNothingComesBeforeTheEndOfAHandshake(t *testing.T) {
	s := newServer(t, nil)
	line := rawMessage{wire.Peerlist, entryOf(testNick(1), testLocation(1)) + ";D"}
	stop := make(chan struct{})
	var noise sync.WaitGroup
	defer noise.Wait()
	defer close(stop)
	for range 4 { // so many that the flushers' locks go from one to the next
		noise.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				fr, err := newFrame(line.Type, []byte(line.Line), s.now())
				if err != nil {
					t.Error(err)
					return
				}
				s.broadcast(fr, nil)
				fr.release()
			}
		})
	}
	for i := range 200 {
		p := &memPeer{t: t, m: newMemTransport(1 << 20)}
		p.c = s.newConn(p.m, nil)
		s.start(p.c)
		p.hello(testNick(i+2), wire.Location{})
		r := bufio.NewReader(p.m)
		b, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if got := p.parse(b); !accepted(t, got[0]) {
			t.Fatalf("refused: %v", got)
		}
		p.m.closeClient()
	}
}

// FuzzConnection feeds a peer's bytes to a server next to an honest peer: whatever they are, nothing breaks, the
// honest peer stays, and what it gets is well formed: what that peer has said to it, word for word and in its own name, or
// departures.
func FuzzConnection(f *testing.F) {
	nick := testNick(1)
	hello, err := wire.AppendEnvelope(nil, wire.ClientHandshake, []byte(handshakeOf(nick, wire.Location{})))
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []rawMessage{
		{wire.Pubmsg, nick + "!PUBLIC!sw0reloffer 0"}, {wire.Privmsg, nick + "!" + testNick(2) + "!fill"},
		{wire.Pubmsg, testNick(3) + "!PUBLIC!orderbook"}, {wire.Privmsg, testNick(3) + "!" + testNick(2) + "!fill"},
		{wire.Pubmsg, nick + "!!orderbook"}, {wire.Pubmsg, nick + "!" + testNick(2) + "!orderbook"},
		{wire.GetPeerlist, ""}, {wire.Ping, ""}, {wire.Pong, ""}, {wire.Disconnect, ""}, {wire.NickProof, "{}"}, {wire.LocalDisconnect, "x"},
	} {
		b, err := wire.AppendEnvelope(nil, m.Type, []byte(m.Line))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(hello[:len(hello):len(hello)], b...), 7)
		f.Add(b, 1)
	}
	for _, file := range []string{"envelopes.jsonl", "messages.jsonl"} {
		for _, r := range vectors.Load[vectors.Record](f, file) {
			if b := r.Wire(f); len(b) < 2000 { // the engine is slow with longer ones
				f.Add(append(hello[:len(hello):len(hello)], b...), len(hello)+1)
			}
		}
	}
	for _, r := range vectors.Load[vectors.Record](f, "handshakes.jsonl") {
		f.Add(r.Wire(f), 0)
	}
	var proven exchange // the one whose challenge is given
	for _, r := range vectors.Load[exchange](f, "nick_auth.jsonl") {
		b, err := wire.AppendEnvelope(nil, wire.ClientHandshake, []byte(r.HandshakeLine))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(b, r.Proof...), len(b))
		if proven.Name == "" && r.Expect.Verified() {
			proven = r
			b = append(b, r.Proof...)
			public, err := wire.AppendEnvelope(b, wire.Pubmsg, []byte(r.Nick+"!PUBLIC!orderbook"))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(public, len(b))
		}
	}
	s := newServer(f, func(o *Options) {
		o.DirectoryID = proven.DirectoryID
		o.DepartureDelay = time.Millisecond // a nick comes back with the next input, and would wait for it
	})
	s.newChallenge = func(id string) wire.Challenge { return wire.Challenge{Nonce: proven.Challenge, DirectoryID: id} }
	addr := listen(f, s)
	endings := func() (n uint64) { // of connections
		for r, count := range s.Status().Reasons {
			if r.Kind() != "dropped" {
				n += count
			}
		}
		return n
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		before := endings()
		honest := join(t, addr, testNick(2), wire.Location{}, wire.FeaturePing)
		conn, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if cut = max(0, min(cut, len(b))); cut > 0 {
			conn.Write(b[:cut])
		}
		conn.Write(b[cut:])
		conn.Close()
		// Not only before it has begun: the next input would pay for what this one does.
		eventually(t, "the fuzzed connection ends", func() bool { return endings() == before+1 })
		honest.send(wire.Ping, "")
		nick, said := saidIn(b)
		for typ := wire.Type(0); typ != wire.Pong; {
			var line string
			if typ, line, err = honest.next(patience); err != nil {
				t.Fatalf("the honest peer lost its connection: %v", err)
			}
			m, _ := wire.SplitMessage([]byte(line))
			ok := said[rawMessage{typ, line}] && string(m.From) == nick
			switch typ {
			case wire.Pubmsg:
				ok = ok && string(m.To) == wire.Public
			case wire.Privmsg:
				ok = ok && string(m.To) == honest.nick
			case wire.Peerlist: // of this peer, or of those before it
				ok = true
				var entries []string
				for _, e := range wire.ParsePeerlist([]byte(line)) {
					ok = ok && wire.ValidNick(e.Nick)
					entries = append(entries, string(wire.AppendEntry(nil, e, false)))
				}
				ok = ok && strings.Join(entries, ",") == line
			case wire.Ping, wire.Pong:
				ok = line == ""
			}
			if !ok {
				t.Fatalf("%q said %v %q to the honest peer", b, typ, line)
			}
		}
		honest.close()
		eventually(t, "all have left", func() bool { return endings() == before+2 })
	})
}

// saidIn is what a peer's bytes say, as far as they can be read, and the nick in the first of them.
func saidIn(b []byte) (nick string, said map[rawMessage]bool) {
	said = make(map[rawMessage]bool)
	var p wire.Parser
	for {
		line, n, err := wire.CutLine(b, 0)
		if err != nil || n == 0 {
			return nick, said
		}
		env, err := p.Parse(line)
		if err != nil {
			return nick, said
		}
		if nick == "" {
			h, _ := wire.ParseHandshake(env.Line, wire.HandshakeRules{Networks: []string{"mainnet"}})
			nick = h.Nick
		}
		said[rawMessage{env.Type, string(env.Line)}] = true
		b = b[n:]
	}
}
