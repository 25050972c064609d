package server

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/wire"
	"jm-directory-server/server/wire/vectors"
)

// overSockets runs f against both kinds of socket that clients can come from.
func overSockets(t *testing.T, f func(t *testing.T, start func(testing.TB, *Server) net.Addr)) {
	t.Run("unix", func(t *testing.T) { t.Parallel(); f(t, listen) })
	t.Run("tcp", func(t *testing.T) { t.Parallel(); f(t, listenTCP) })
}

// allOf loads the records of a file, which must be n: none is left out unnoticed.
func allOf[T any](t *testing.T, file string, n int) []T {
	t.Helper()
	records := vectors.Load[T](t, file)
	if len(records) != n {
		t.Fatalf("%s has %d records, want %d", file, len(records), n)
	}
	return records
}

// firstLine is a record of handshakes.jsonl, or of another file whose bytes are one line.
type firstLine struct {
	vectors.Record
	Expect     string   `json:"expect"`
	Role       string   `json:"role"`
	Advertised []string `json:"advertised_features"`
	Reply      string   `json:"reply"`
	Type       *uint32  `json:"type"`
}

func TestHandshakeVectorsOverASocket(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		records := allOf[firstLine](t, "handshakes.jsonl", 54)
		for _, r := range records {
			t.Run(r.Name, func(t *testing.T) {
				t.Parallel()
				addr := start(t, newServer(t, nil))
				c := dial(t, addr)
				c.raw(string(r.Wire(t)))
				if r.Expect == "reject" {
					if r.Reply != "close" {
						hello, err := wire.ParseDirectoryHello([]byte(c.expect(wire.DirectoryHandshake)))
						if err != nil || hello.Accepted || !strings.HasPrefix(hello.MOTD, "Rejected: ") {
							t.Errorf("answer %+v, %v; want accepted=false with a reason", hello, err)
						}
					}
					c.closed()
					return
				}
				hello, err := wire.ParseDirectoryHello([]byte(c.expect(wire.DirectoryHandshake)))
				if err != nil || !hello.Accepted || hello.Network != "mainnet" {
					t.Fatalf("answer %+v, %v; want accepted", hello, err)
				}
				checkListed(t, addr, r)
			})
		}
	})
}

// checkListed asks for the peer list and looks for the one peer that r made.
func checkListed(t *testing.T, addr net.Addr, r firstLine) {
	o := join(t, addr, testNick(1), wire.Location{}, wire.FeaturePeerlist)
	o.send(wire.GetPeerlist, "")
	entries := wire.ParsePeerlist([]byte(o.expect(wire.Peerlist)))
	if r.Role == "not-serving" {
		if len(entries) != 0 {
			t.Errorf("listed %v, want nobody", entries)
		}
		return
	}
	if len(entries) != 1 || !entries[0].Location.Serving() || !slices.Equal(entries[0].Features, r.Advertised) {
		t.Errorf("listed %+v, want one serving peer with features %v", entries, r.Advertised)
	}
}

func TestEnvelopeVectorsOverASocket(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		records := allOf[firstLine](t, "envelopes.jsonl", 41)
		addr := start(t, newServer(t, nil))
		for i, r := range records {
			t.Run(r.Name, func(t *testing.T) {
				t.Parallel()
				c := join(t, addr, testNick(i), wire.Location{}, wire.FeaturePing)
				c.raw(string(r.Wire(t)))
				if r.Expect == "reject" {
					c.closed()
					return
				}
				if *r.Type == uint32(wire.Ping) {
					c.expectLine(wire.Pong, "")
				}
				c.send(wire.Ping, "")
				c.expectLine(wire.Pong, "")
			})
		}
	})
}

// message is a record of messages.jsonl.
type message struct {
	vectors.Record
	Sender   string `json:"sender"`
	Expect   string `json:"expect"`
	To       string `json:"to"`
	Location bool   `json:"location_follows"`
}

func TestMessageVectorsOverASocket(t *testing.T) {
	type onion struct {
		vectors.Record
		Host string `json:"host"`
	}
	hosts := map[string]wire.Location{}
	for _, o := range vectors.Load[onion](t, "onions.jsonl") {
		hosts[o.Name] = wire.Location{Host: o.Host, Port: 5222}
	}
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		records := allOf[message](t, "messages.jsonl", 38)
		for _, r := range records {
			t.Run(r.Name, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, nil)
				addr := start(t, s)
				peers := map[string]*client{}
				for _, c := range []*client{
					join(t, addr, "J5AV9EuXzUNHRiJL", hosts["valid-0"]),
					join(t, addr, "J58g3zmKyFpTLdeA", wire.Location{}, wire.FeaturePeerlist, wire.FeaturePing),
					join(t, addr, "J5observer1111OO", hosts["valid-1"]),
				} {
					peers[c.nick] = c
				}
				sender := peers[r.Sender]
				// The directory's nick in the record is that of the server it was recorded with.
				sender.raw(strings.ReplaceAll(string(r.Wire(t)), "J58oiJZ2mDxeEg3Z", s.Nick()))
				checkMessage(t, r, string(r.Wire(t)), sender, peers)
			})
		}
	})
}

func checkMessage(t *testing.T, r message, raw string, sender *client, peers map[string]*client) {
	var sent struct {
		Type wire.Type `json:"type"`
		Line string    `json:"line"`
	}
	if err := json.Unmarshal([]byte(raw), &sent); err != nil {
		t.Fatal(err)
	}
	receivers := map[string]bool{}
	switch r.Expect {
	case "broadcast":
		for nick := range peers {
			receivers[nick] = nick != r.Sender
		}
	case "relay":
		receivers[r.To] = true
	case "reply-789":
		if line := sender.expect(wire.Peerlist); !strings.Contains(line, "J5AV9EuXzUNHRiJL;") {
			t.Errorf("peer list %q lacks a serving peer", line)
		}
	case "disconnect":
		sender.closed()
	case "drop", "consume":
	default:
		t.Fatalf("unknown expectation %q", r.Expect)
	}
	for nick, c := range peers {
		if receivers[nick] {
			c.expectLine(sent.Type, sent.Line)
			if r.Location {
				entry := c.expect(wire.Peerlist)
				if !strings.HasPrefix(entry, r.Sender+";") || strings.Contains(entry, ";F:") {
					t.Errorf("location line %q, want the entry of %s, which has no features", entry, r.Sender)
				}
			}
		}
	}
	wait := quiet
	for nick, c := range peers {
		if r.Expect != "disconnect" || nick != r.Sender {
			c.silent(wait)
			wait = quiet / 20 // what the others get has come meanwhile
		}
	}
	if r.Expect == "disconnect" {
		return
	}
	sender.send(wire.Ping, "")
	sender.expectLine(wire.Pong, "") // one fault costs nobody the connection
}

// step is one step of a script in sessions.jsonl.
type step struct {
	Op       string          `json:"op"`
	Conn     string          `json:"conn"`
	AutoPong bool            `json:"auto_pong"`
	Msg      json.RawMessage `json:"msg"`
	Msgs     []rawMessage    `json:"msgs"`
	Size     int             `json:"size"`
	Ms       int             `json:"ms"`
	Timeout  int             `json:"timeout_ms"`
}

type rawMessage struct {
	Type wire.Type `json:"type"`
	Line string    `json:"line"`
}

// expectation is the msg of an expect step.
type expectation struct {
	Type        wire.Type      `json:"type"`
	Line        *string        `json:"line"`
	Payload     map[string]any `json:"payload"`
	HasEntry    string         `json:"has_entry"`
	NotContains string         `json:"not_contains"`
}

type session struct {
	vectors.Record
	Steps []step `json:"steps"`
}

func TestSessionVectors(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		records := allOf[session](t, "sessions.jsonl", 18)
		for _, r := range records {
			// None of the clients proves its nick: whether the directory would have it proven makes no difference.
			for name, change := range map[string]func(*Options){"": nil, "/proofs announced": proving} {
				t.Run(r.Name+name, func(t *testing.T) {
					t.Parallel()
					p := &player{t: t, addr: start(t, newServer(t, change)), conns: map[string]*client{}, lines: map[string]chan rawMessage{}}
					for i, st := range r.Steps {
						if !p.play(st) {
							t.Fatalf("at step %d: %+v", i, st)
						}
					}
				})
			}
		}
	})
}

// player plays one script.
type player struct {
	t     *testing.T
	addr  net.Addr
	conns map[string]*client
	lines map[string]chan rawMessage // what came; closed at the end of the stream
	dn    string
}

func (p *player) play(st step) bool {
	c := p.conns[st.Conn]
	var m rawMessage
	if st.Op == "send" || st.Op == "send_pieces" {
		if err := json.Unmarshal(st.Msg, &m); err != nil {
			p.t.Fatal(err)
		}
		m.Line = strings.ReplaceAll(m.Line, "{DN_NICK}", p.dn)
	}
	switch st.Op {
	case "connect":
		c = dial(p.t, p.addr)
		ch := make(chan rawMessage, 1000)
		p.conns[st.Conn], p.lines[st.Conn] = c, ch
		go func() {
			defer close(ch)
			for {
				t, line, err := c.next(time.Minute)
				if err != nil {
					return
				}
				if st.AutoPong && t == wire.Ping {
					c.send(wire.Pong, "")
					continue
				}
				ch <- rawMessage{t, line}
			}
		}()
	case "send":
		c.send(m.Type, m.Line)
	case "send_many":
		var all []byte
		for _, m := range st.Msgs {
			all, _ = wire.AppendEnvelope(all, m.Type, []byte(m.Line))
		}
		c.raw(string(all))
	case "send_pieces":
		b, _ := wire.AppendEnvelope(nil, m.Type, []byte(m.Line))
		for piece := range slices.Chunk(b, st.Size) {
			c.raw(string(piece))
			time.Sleep(time.Millisecond)
		}
	case "expect":
		return p.expect(st)
	case "silent":
		select {
		case m, ok := <-p.lines[st.Conn]:
			p.t.Errorf("got %v (open %v), want silence", m, ok)
			return false
		case <-time.After(time.Duration(st.Ms) * time.Millisecond):
		}
	case "closed":
		select {
		case m, ok := <-p.lines[st.Conn]:
			return !ok || p.t.Failed() && m.Type == 0
		case <-time.After(patience):
			return false
		}
	case "close":
		c.close()
	case "sleep":
		time.Sleep(time.Duration(st.Ms) * time.Millisecond)
	default:
		p.t.Errorf("unknown step %q", st.Op)
		return false
	}
	return true
}

func (p *player) expect(st step) bool {
	var want expectation
	if err := json.Unmarshal(st.Msg, &want); err != nil {
		p.t.Fatal(err)
	}
	// The scripts' own times are for quiet machines; what must come is waited for longer.
	wait := max(time.Duration(st.Timeout)*time.Millisecond, patience)
	var got rawMessage
	select {
	case m, ok := <-p.lines[st.Conn]:
		if !ok {
			p.t.Error("the end came")
			return false
		}
		got = m
	case <-time.After(wait):
		p.t.Error("nothing came")
		return false
	}
	ok := got.Type == want.Type &&
		(want.Line == nil || *want.Line == got.Line) &&
		(want.HasEntry == "" || slices.Contains(strings.Split(got.Line, ","), want.HasEntry)) &&
		(want.NotContains == "" || !strings.Contains(got.Line, want.NotContains))
	if got.Type == wire.DirectoryHandshake {
		if hello, err := wire.ParseDirectoryHello([]byte(got.Line)); err == nil && hello.Accepted {
			p.dn = hello.Nick
		}
	}
	if want.Payload != nil {
		var payload map[string]any
		if err := json.Unmarshal([]byte(got.Line), &payload); err != nil {
			ok = false
		}
		for k, v := range want.Payload {
			ok = ok && payload[k] == v
		}
	}
	if !ok {
		p.t.Errorf("got %v", got)
	}
	return ok
}
