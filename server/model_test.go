package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire"
)

// model is what the registry and the router must do, in the simplest words: who is here, and what each must
// have received, in order.
type model struct {
	s     *Server
	t     *testing.T
	peers []*modelPeer // connected
	gone  []string     // departures noted, not yet announced
}

type modelPeer struct {
	*memPeer
	location wire.Location
	features bool // reads ;F:
	pings    bool
	verified bool // has proven its nick
	spoken   bool
	offers   bool
	told     map[*modelPeer]bool
	want     []rawMessage
}

func (m *model) owner(nick string) *modelPeer {
	for _, p := range m.peers {
		if p.nick == nick {
			return p
		}
	}
	return nil
}

// broadcast notes a line for everybody but one.
func (m *model) broadcast(line rawMessage, except *modelPeer) {
	for _, p := range m.peers {
		if p != except {
			p.want = append(p.want, line)
		}
	}
}

// announce notes the gathered departures.
func (m *model) announce() {
	if len(m.gone) == 0 {
		return
	}
	line := ""
	for i, e := range m.gone {
		if i > 0 {
			line += ","
		}
		line += e
	}
	m.gone = nil
	m.broadcast(rawMessage{wire.Peerlist, line}, nil)
}

// depart notes one departure.
func (m *model) depart(p *modelPeer) {
	for i, q := range m.peers {
		if q == p {
			m.peers = append(m.peers[:i:i], m.peers[i+1:]...)
			break
		}
	}
	if p.location.Serving() || p.spoken {
		m.gone = append(m.gone, entryOf(p.nick, p.location)+";D")
	}
}

// check compares what came with what had to.
func (m *model) check(r *rapid.T) {
	synctest.Wait()
	for _, p := range m.peers {
		got := p.lines()
		if len(got) != len(p.want) {
			r.Fatalf("%s got %v, want %v", p.nick, got, p.want)
		}
		for i := range got {
			if got[i] != p.want[i] {
				r.Fatalf("%s got %v at %d, want %v", p.nick, got[i], i, p.want[i])
			}
		}
		p.want = nil
	}
	verified := 0
	for _, p := range m.peers {
		if p.verified {
			verified++
		}
	}
	if st := m.s.Status(); st.Peers != len(m.peers) || st.Verified != verified {
		r.Fatalf("%d registered, %d of them verified, want %d and %d", st.Peers, st.Verified, len(m.peers), verified)
	}
	if err := m.s.consistent(); err != nil {
		r.Fatal(err)
	}
}

// TestRegistryAndRouterFollowTheModel plays random joins, with and without proofs, leaves, take-overs and messages.
func TestRegistryAndRouterFollowTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var stopped any // rapid ends a run by a panic, which must not cross the bubble
		synctest.Test(t, func(t *testing.T) {
			defer func() { stopped = recover() }()
			o := DefaultOptions()
			o.Flushers = rapid.IntRange(1, 3).Draw(r, "flushers")
			o.MaxPeers, o.OrderbookWindow = 6, 0
			o.DirectoryID = testID
			s, err := New(o, quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.Shutdown(context.Background()) }()
			m := &model{s: s, t: t}
			nick := rapid.IntRange(0, 7)
			pick := func(what string) *modelPeer {
				if len(m.peers) == 0 {
					r.Skip("nobody is here")
				}
				return m.peers[rapid.IntRange(0, len(m.peers)-1).Draw(r, what)]
			}
			r.Repeat(map[string]func(*rapid.T){
				"join":     func(r *rapid.T) { m.join(r, modelNick(nick.Draw(r, "nick"))) },
				"prove":    func(r *rapid.T) { m.prove(r, nick.Draw(r, "nick")) },
				"takeover": func(r *rapid.T) { m.takeOver(r, pick("owner")) },
				"leave": func(r *rapid.T) {
					p := pick("who")
					p.m.closeClient()
					m.depart(p)
				},
				"public": func(r *rapid.T) {
					p := pick("who")
					body := rapid.SampledFrom([]string{"orderbook", "sw0reloffer 0 1 2 0 0.1", "x!y!z", "é\n"}).Draw(r, "body")
					line := rawMessage{wire.Pubmsg, p.nick + "!PUBLIC!" + body}
					p.send(line.Type, line.Line)
					p.spoken = true
					p.offers = p.offers || body[0] == 's'
					m.broadcast(line, p)
				},
				"private": func(r *rapid.T) { m.private(pick("who"), modelNick(nick.Draw(r, "to"))) },
				"forged": func(r *rapid.T) {
					p := pick("who")
					p.send(wire.Pubmsg, testNick(99)+"!PUBLIC!orderbook")
					p.send(wire.Privmsg, testNick(99)+"!"+p.nick+"!fill")
				},
				"peerlist": func(r *rapid.T) { m.peerlist(r, pick("who")) },
				"wait": func(r *rapid.T) {
					time.Sleep(s.opt().DepartureDelay + time.Millisecond)
					m.announce()
				},
				"": m.check,
			})
		})
		if stopped != nil {
			panic(stopped)
		}
	})
}

// modelProvers own the nicks of the model.
var modelProvers = sync.OnceValue(func() (owners [8]prover) {
	for i := range owners {
		owners[i] = testProver(i)
	}
	return owners
})

func modelNick(i int) string { return modelProvers()[i].nick }

// draw makes a peer, and the features that it is to announce.
func (m *model) draw(r *rapid.T) (p *modelPeer, features []string) {
	p = &modelPeer{
		memPeer:  connectMem(m.t, m.s, 1<<20),
		features: rapid.Bool().Draw(r, "reads features"),
		pings:    rapid.Bool().Draw(r, "pings"),
		told:     map[*modelPeer]bool{},
	}
	if rapid.Bool().Draw(r, "serves") {
		p.location = testLocation(rapid.IntRange(0, 3).Draw(r, "host"))
	}
	if p.features {
		features = append(features, wire.FeaturePeerlist)
	}
	if p.pings {
		features = append(features, wire.FeaturePing)
	}
	return p, features
}

func (m *model) join(r *rapid.T, nick string) {
	p, features := m.draw(r)
	taken := m.owner(nick) != nil
	full := len(m.peers) >= m.s.opt().MaxPeers
	p.hello(nick, p.location, features...)
	synctest.Wait()
	if !taken && !full {
		m.awaitReturn(p)
	}
	if taken {
		// Everybody has spoken within the last moment, or is asked and will not answer in time for
		// this step; either way the owner stays, for now.
		if owner := m.owner(nick); owner.verified {
			if got := p.lines(); len(got) != 1 || accepted(m.t, got[0]) {
				r.Fatalf("%s has proven its nick, and another got %v", nick, got)
			}
		} else {
			p.m.closeClient()
			m.settleConflict(owner)
		}
		return
	}
	got := p.lines()
	if len(got) != 1 || accepted(m.t, got[0]) == full {
		r.Fatalf("%s (full: %v) got %v", nick, full, got)
	}
	if full {
		return
	}
	m.arrive(p)
}

// arrive notes that p is here.
func (m *model) arrive(p *modelPeer) {
	if m.leaving(p.nick) {
		m.announce() // before its nick is here again
	}
	m.peers = append(m.peers, p)
}

// leaving reports whether the departure of nick is noted, and not yet announced.
func (m *model) leaving(nick string) bool {
	return slices.ContainsFunc(m.gone, func(e string) bool { return e[:wire.NickLen] == nick })
}

// awaitReturn waits until p, whose nick has just left, is let in: that is when all noted departures are announced.
func (m *model) awaitReturn(p *modelPeer) {
	if !m.leaving(p.nick) {
		return
	}
	p.wantLines()
	time.Sleep(m.s.opt().DepartureDelay)
	m.announce()
}

// prove lets somebody prove, or not, that it owns a nick.
func (m *model) prove(r *rapid.T, i int) {
	p, features := m.draw(r)
	owner := modelProvers()[i]
	handshake := owner.handshake(p.location, features...)
	p.nick = owner.nick
	p.send(wire.ClientHandshake, handshake)
	got := p.lines()
	if len(got) != 2 || !accepted(m.t, got[0]) || got[1].Type != wire.NickChallenge {
		r.Fatalf("%s got %v, want a challenge", p.nick, got)
	}
	if rapid.Bool().Draw(r, "another key") {
		owner.key = modelProvers()[(i+1)%8].key
		p.send(wire.NickProof, owner.proof(m.t, got[1].Line, handshake))
		p.wantLines(resultLine(wire.ProofInvalid))
		return
	}
	incumbent := m.owner(p.nick)
	full := incumbent == nil && len(m.peers) >= m.s.opt().MaxPeers
	p.send(wire.NickProof, owner.proof(m.t, got[1].Line, handshake))
	if full {
		p.wantLines(resultLine(wire.ProofPolicy))
		return
	}
	if incumbent == nil {
		m.awaitReturn(p)
	}
	p.wantLines(resultLine(wire.ProofOK))
	if incumbent != nil {
		if !incumbent.m.isClosed() {
			r.Fatalf("old owner is still connected")
		}
		m.depart(incumbent)
	}
	p.verified = true
	m.arrive(p)
}

// settleConflict lets a conflict about owner's nick end with owner alive.
func (m *model) settleConflict(owner *modelPeer) {
	for _, line := range owner.lines() {
		switch line {
		case rawMessage{wire.Ping, ""}:
			owner.send(wire.Pong, "")
		case rawMessage{wire.Pubmsg, m.s.Nick() + "!PUBLIC!orderbook"}:
			owner.send(wire.Privmsg, owner.nick+"!"+m.s.Nick()+"!absoffer 0")
		default:
			m.t.Fatalf("owner %s got %v", owner.nick, line)
		}
	}
	time.Sleep(2 * conflictPoll)
	synctest.Wait()
}

// takeOver lets a newcomer replace an owner that does not answer.
func (m *model) takeOver(r *rapid.T, owner *modelPeer) {
	if owner.verified || !owner.pings && !owner.location.Serving() {
		r.Skip("stays, or cannot be probed")
	}
	time.Sleep(m.s.opt().ConflictTimeout)
	m.announce()
	for _, p := range m.peers {
		p.want, _ = nil, p.lines()
	}
	p := &modelPeer{memPeer: connectMem(m.t, m.s, 1<<20), location: testLocation(5), told: map[*modelPeer]bool{}}
	p.hello(owner.nick, p.location)
	time.Sleep(m.s.opt().ConflictTimeout + time.Second)
	m.depart(owner)
	m.announce()
	if got := p.lines(); len(got) != 1 || !accepted(m.t, got[0]) {
		r.Fatalf("newcomer got %v", got)
	}
	if !owner.m.isClosed() {
		r.Fatalf("old owner is still connected")
	}
	m.peers = append(m.peers, p)
}

func (m *model) private(from *modelPeer, to string) {
	line := rawMessage{wire.Privmsg, from.nick + "!" + to + "!fill 0"}
	from.send(line.Type, line.Line)
	target := m.owner(to)
	if target == nil || target == from {
		return
	}
	from.spoken = true
	target.want = append(target.want, line)
	if from.location.Serving() && !target.told[from] {
		target.told[from] = true
		entry := entryOf(from.nick, from.location)
		if target.features {
			entry = m.entry(from)
		}
		target.want = append(target.want, rawMessage{wire.Peerlist, entry})
	}
}

// entry is p's entry for those who read features.
func (m *model) entry(p *modelPeer) string {
	return string(wire.AppendEntry(nil, p.c.peer.entry(), true))
}

func (m *model) peerlist(r *rapid.T, p *modelPeer) {
	synctest.Wait()
	time.Sleep(10 * time.Second) // the answer may be a moment old, and asking has a rate
	m.announce()
	m.check(r)
	p.send(wire.GetPeerlist, "")
	got := p.lines()
	if len(got) != 1 || got[0].Type != wire.Peerlist {
		r.Fatalf("got %v", got)
	}
	entries := map[string]bool{}
	for _, e := range wire.ParsePeerlist([]byte(got[0].Line)) {
		entries[string(wire.AppendEntry(nil, e, p.features))] = true
	}
	want := 0
	for _, q := range m.peers {
		if !q.location.Serving() && !q.offers {
			continue
		}
		want++
		entry := entryOf(q.nick, q.location)
		if p.features {
			entry = m.entry(q)
		}
		if !entries[entry] {
			r.Fatalf("list %v lacks %q", got, entry)
		}
	}
	if len(entries) != want {
		r.Fatalf("list %v has %d entries, want %d", got, len(entries), want)
	}
}

// consistent checks what must hold between the registry, the flushers and their outboxes.
func (s *Server) consistent() error {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	members := 0
	for _, f := range s.flushers {
		f.mu.Lock()
		defer f.mu.Unlock() // after an error, too, or Shutdown never ends
		backlog := 0
		for i, c := range f.members {
			members++
			if c.member != i || c.f != f {
				return fmt.Errorf("member %d thinks it is %d", i, c.member)
			}
			if s.registry.nicks[c.peer.nick] != c.peer {
				return fmt.Errorf("member %d is not registered", i)
			}
			bytes := -c.out.written
			for _, q := range []*frameQueue{&c.out.frames, &c.out.lane} {
				for k := range q.n {
					if k > 0 && q.seq(k) < q.seq(k-1) {
						return fmt.Errorf("an older frame waits behind a newer one")
					}
					fr := q.at(k)
					bytes += len(fr.b)
					if fr.refs.Load() < 1 {
						return fmt.Errorf("a waiting frame has %d references", fr.refs.Load())
					}
				}
			}
			if bytes != c.out.bytes {
				return fmt.Errorf("outbox says %d bytes, holds %d", c.out.bytes, bytes)
			}
			if c.out.state != outboxStalled && !c.out.dead {
				backlog += bytes
			}
		}
		if backlog > f.backlog { // connections that are not members may add to it
			return fmt.Errorf("backlog says %d bytes, is %d", f.backlog, backlog)
		}
	}
	hosts := map[string]int{}
	for nick, p := range s.registry.nicks {
		if p.nick != nick {
			return fmt.Errorf("registered under another nick")
		}
		if p.claims {
			hosts[p.location.Host]++
		}
	}
	if members != len(s.registry.nicks) {
		return fmt.Errorf("%d members, %d registered", members, len(s.registry.nicks))
	}
	if len(hosts) != len(s.registry.hosts) {
		return fmt.Errorf("%d hosts counted, %d there", len(s.registry.hosts), len(hosts))
	}
	for h, n := range hosts {
		if s.registry.hosts[h] != n {
			return fmt.Errorf("host counted %d times, there %d", s.registry.hosts[h], n)
		}
	}
	return nil
}

// leftovers checks that nothing is counted or kept but for the peers that are here: nothing of those who have left.
func (s *Server) leftovers() error {
	peers, pressing := s.registry.len(), 0
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	if n := s.pool.len(); conns != peers || n != 0 {
		return fmt.Errorf("%d connections and %d handshakes, and %d peers", conns, n, peers)
	}
	for i, f := range s.flushers {
		f.mu.Lock()
		backlog, waiting := f.backlog, f.waiting
		for _, c := range f.members {
			if c.out.state != outboxStalled {
				backlog -= c.out.bytes
			}
			if c.out.pressing {
				pressing++
			}
		}
		f.mu.Unlock()
		if backlog != 0 || waiting != 0 {
			return fmt.Errorf("flusher %d is behind by %d bytes that nobody waits for, and %d senders wait", i, backlog, waiting)
		}
	}
	if n := int(s.pressure.behind.Load()); n != pressing {
		return fmt.Errorf("%d receivers press, and %d are counted", pressing, n)
	}
	if n := s.pressure.waiting.Load(); n != 0 {
		return fmt.Errorf("%d senders wait for receivers", n)
	}
	if n := s.waiting(); n != 0 {
		return fmt.Errorf("%d wait for a budget", n)
	}
	if n, _ := s.circuits.len(); n > conns {
		return fmt.Errorf("%d circuits of %d connections", n, conns)
	}
	return nil
}
