package server

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// wantRefused wants the newcomer told why and closed.
func wantRefused(t *testing.T, p *memPeer, s *Server, reason Reason, text string) {
	t.Helper()
	got := p.lines()
	if len(got) != 1 || accepted(t, got[0]) || !strings.Contains(got[0].Line, text) {
		t.Fatalf("got %v, want a refusal with %q", got, text)
	}
	p.wantEnded(s, reason)
}

func TestOwnerThatAnswersKeepsItsNick(t *testing.T) {
	for _, kind := range []string{"ping", "orderbook"} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *Server) {
				var owner *memPeer
				if kind == "ping" {
					owner = joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
				} else {
					owner = joinMem(t, s, testNick(1), testLocation(1))
				}
				time.Sleep(time.Minute)
				newcomer := connectMem(t, s, 1<<20)
				newcomer.hello(testNick(1), testLocation(2))
				if kind == "ping" {
					owner.wantLines(rawMessage{wire.Ping, ""})
					newcomer.wantLines() // nothing before the answer
					owner.send(wire.Pong, "")
				} else {
					owner.wantLines(rawMessage{wire.Pubmsg, s.Nick() + "!PUBLIC!orderbook"})
					owner.send(wire.Privmsg, owner.nick+"!"+s.Nick()+"!sw0reloffer 0 1 2 0 0.1")
				}
				time.Sleep(2 * conflictPoll)
				wantRefused(t, newcomer, s, RefusedNickInUse, "nick in use")
				owner.wantConnected()
				if s.registry.get(owner.nick).conn != owner.c {
					t.Error("the owner is not routable any more")
				}
			})
		})
	}
}

func TestDeadOwnerIsReplacedInTheOrderOfATakeOver(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		owner := joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		other := joinMem(t, s, testNick(2), wire.Location{})
		time.Sleep(time.Minute)
		newcomer := connectMem(t, s, 1<<20)
		newcomer.hello(testNick(1), testLocation(2), wire.FeaturePing)
		newcomer.send(wire.Pubmsg, testNick(1)+"!PUBLIC!orderbook") // pipelined
		time.Sleep(s.opt().ConflictTimeout - time.Second)
		newcomer.wantLines()
		time.Sleep(2 * time.Second)
		if got := newcomer.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Fatalf("newcomer got %v", got)
		}
		owner.wantEnded(s, EvictedDisplaced)
		time.Sleep(2 * s.opt().DepartureDelay)
		other.wantLines(
			rawMessage{wire.Peerlist, testNick(1) + ";" + testLocation(1).String() + ";D"},
			rawMessage{wire.Pubmsg, testNick(1) + "!PUBLIC!orderbook"},
		)
		other.send(wire.Privmsg, other.nick+"!"+testNick(1)+"!fill 0")
		newcomer.wantLines(rawMessage{wire.Privmsg, other.nick + "!" + testNick(1) + "!fill 0"})
	})
}

func TestLegacyTakerIsReplacedOnlyAfterMinutesOfSilence(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		owner := joinMem(t, s, testNick(1), wire.Location{})
		time.Sleep(s.opt().ConflictSilence - time.Second)
		first := connectMem(t, s, 1<<20)
		first.hello(testNick(1), wire.Location{})
		wantRefused(t, first, s, RefusedNickInUse, "nick in use")
		owner.wantConnected()
		time.Sleep(2 * time.Second)
		second := joinMem(t, s, testNick(1), wire.Location{})
		owner.wantEnded(s, EvictedDisplaced)
		second.wantConnected()
	})
}

func TestManyNewcomersMakeOneProbe(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		owner := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		time.Sleep(time.Minute)
		var newcomers []*memPeer
		for range 20 {
			n := connectMem(t, s, 1<<20)
			n.hello(testNick(1), wire.Location{})
			newcomers = append(newcomers, n)
		}
		owner.wantLines(rawMessage{wire.Ping, ""})
		owner.send(wire.Pong, "")
		time.Sleep(2 * conflictPoll)
		for _, n := range newcomers {
			wantRefused(t, n, s, RefusedNickInUse, "nick in use")
		}
	})
}

func TestNickIsFreeAtOnceWhenItsOwnerLeavesDuringTheProbe(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		owner := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		time.Sleep(time.Minute)
		newcomer := connectMem(t, s, 1<<20)
		newcomer.hello(testNick(1), wire.Location{})
		owner.lines()
		owner.m.closeClient()
		time.Sleep(2 * conflictPoll)
		if got := newcomer.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Fatalf("newcomer got %v", got)
		}
	})
}

// heldPeer joins a peer whose request for the orderbook waits for the budget.
func heldPeer(t *testing.T, s *Server, features ...string) *memPeer {
	t.Helper()
	p := joinMem(t, s, testNick(1), wire.Location{}, features...)
	for i := range 2 { // who spend it
		other := joinMem(t, s, testNick(2+i), wire.Location{})
		other.send(wire.Pubmsg, other.nick+"!PUBLIC!orderbook")
		time.Sleep(time.Second)
	}
	p.lines()
	p.send(wire.Pubmsg, p.nick+"!PUBLIC!orderbook")
	synctest.Wait()
	if s.budgets[scarceOrderbooks].waiting() == 0 || !p.c.held.Load() {
		t.Fatal("nobody waits for the budget")
	}
	return p
}

func scarceOrderbook(o *Options) { o.Orderbooks, o.Patience = Rate{0.01, 1}, 40*time.Second }

// TestOwnerThatIsHeldBackKeepsItsNick: its answer lies in the socket, which we do not read.
func TestOwnerThatIsHeldBackKeepsItsNick(t *testing.T) {
	for _, before := range []time.Duration{5 * time.Second, 30 * time.Second} { // the wait ends after the probe, or within
		t.Run(before.String(), func(t *testing.T) {
			inBubble(t, scarceOrderbook, func(t *testing.T, s *Server) {
				owner := heldPeer(t, s, wire.FeaturePing)
				time.Sleep(before)
				newcomer := connectMem(t, s, 1<<20)
				newcomer.hello(testNick(1), wire.Location{}, wire.FeaturePing)
				owner.wantLines(rawMessage{wire.Ping, ""})
				owner.send(wire.Pong, "")
				time.Sleep(s.opt().ConflictTimeout + time.Second)
				wantRefused(t, newcomer, s, RefusedNickInUse, "nick in use")
				owner.wantConnected()
			})
		})
	}
}

// TestHeldOwnerLosesItsNickWhenItIsSilentAfterwards: being held back is life only while it lasts.
func TestHeldOwnerLosesItsNickWhenItIsSilentAfterwards(t *testing.T) {
	inBubble(t, scarceOrderbook, func(t *testing.T, s *Server) {
		owner := heldPeer(t, s, wire.FeaturePing)
		time.Sleep(s.opt().Patience + s.opt().ConflictTimeout)
		newcomer := connectMem(t, s, 1<<20)
		newcomer.hello(testNick(1), wire.Location{}, wire.FeaturePing)
		time.Sleep(s.opt().ConflictTimeout + time.Second)
		if got := newcomer.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Errorf("newcomer got %v", got)
		}
		owner.wantEnded(s, EvictedDisplaced)
	})
}

// TestClientThatComesBackWhileItIsHeldBackGetsItsNick: what is left in its old connection keeps the nick for as long as one message may
// wait at the most, once we know that the client has ended it. What is left then is dropped, and counted.
func TestClientThatComesBackWhileItIsHeldBackGetsItsNick(t *testing.T) {
	patience := 40 * time.Second
	for _, test := range []struct {
		name     string
		features []string
		early    bool // it is back before we know that its old connection has ended
		wait     time.Duration
	}{
		{name: "legacy", wait: patience},
		{name: "ping", features: []string{wire.FeaturePing}, wait: patience},
		{name: "ping, early", features: []string{wire.FeaturePing}, early: true, wait: patience},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, scarceOrderbook, func(t *testing.T, s *Server) {
				watcher := joinMem(t, s, testNick(9), wire.Location{})
				old := heldPeer(t, s, test.features...)
				old.send(wire.Pubmsg, old.nick+"!PUBLIC!orderbook")
				watcher.lines()
				time.Sleep(5 * time.Second)
				if !test.early {
					old.m.closeClient()
				}
				back := connectMem(t, s, 1<<20)
				back.hello(testNick(1), wire.Location{}, test.features...)
				back.wantLines()
				old.m.closeClient()
				time.Sleep(test.wait + time.Second)
				if got := back.lines(); len(got) != 1 || !accepted(t, got[0]) {
					t.Fatalf("got %v", got)
				}
				old.wantEnded(s, EvictedDisplaced)
				time.Sleep(2 * s.opt().Patience)
				watcher.wantLines() // what was held back is not said any more: the nick has a new connection
				back.wantConnected()
				st := s.Status()
				if n := st.Reasons[DroppedBudget] + st.Reasons[DroppedDisplaced]; n != 2 || st.Public != 2 {
					t.Errorf("%d messages were dropped and %d passed on, want 2 and 2", n, st.Public)
				}
			})
		})
	}
}

// TestWhatAClientSaidBeforeItCameBackIsSaid: a message that was read before its client hung up has its turn, and comes before the departure,
// although the client is back already and waits for its nick.
func TestWhatAClientSaidBeforeItCameBackIsSaid(t *testing.T) {
	for _, early := range []bool{false, true} { // it is back before we know that its old connection has ended
		t.Run(fmt.Sprintf("early %t", early), func(t *testing.T) {
			scarce := func(o *Options) { o.Orderbooks, o.Patience = Rate{1.0 / 18, 1}, 20*time.Second }
			inBubble(t, scarce, func(t *testing.T, s *Server) {
				watcher := joinMem(t, s, testNick(9), wire.Location{})
				old := heldPeer(t, s, wire.FeaturePing)
				watcher.lines()
				said := rawMessage{wire.Pubmsg, testNick(1) + "!PUBLIC!orderbook"}
				if !early {
					old.m.closeClient()
				}
				time.Sleep(2 * time.Second)
				back := connectMem(t, s, 1<<20)
				back.hello(testNick(1), wire.Location{}, wire.FeaturePing)
				back.wantLines()
				old.m.closeClient()
				time.Sleep(s.opt().Patience)
				watcher.wantLines(said, rawMessage{wire.Peerlist, entryOf(old.nick, wire.Location{}) + ";D"})
				if got := back.lines(); len(got) != 1 || !accepted(t, got[0]) {
					t.Fatalf("got %v", got)
				}
			})
		})
	}
}

// readsSlowly has p take n bytes a second at the most, and answer each ping when it comes; stop ends that, and p.
func (p *memPeer) readsSlowly(n int) (stop func()) {
	p.m.setRoom(n)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ping := envelopeOf(p.t, wire.Ping, "")
		buf, last := make([]byte, n), []byte(nil)
		for {
			k, err := p.m.Read(buf)
			if err != nil {
				return
			}
			last = append(last, buf[:k]...)
			if bytes.Contains(last, ping) {
				last = nil
				p.send(wire.Pong, "")
			}
			last = slices.Clone(last[max(0, len(last)-len(ping)):])
			time.Sleep(time.Second)
		}
	}()
	return func() {
		p.m.close()
		<-ended
	}
}

// TestOwnerThatReadsSlowlyKeepsItsNick: what waits for it takes longer than an owner has to show life, and it answers at once.
func TestOwnerThatReadsSlowlyKeepsItsNick(t *testing.T) {
	const perSecond = 50_000
	floods := map[string]func(s *Server, owner *memPeer){
		"public messages": func(s *Server, owner *memPeer) {
			p := joinMem(t, s, testNick(2), wire.Location{})
			for range 60 { // within the budget: a burst of 1 MB and 128 kB a second
				p.send(wire.Pubmsg, p.nick+"!PUBLIC!"+strings.Repeat("9", 30_000))
			}
		},
		"private messages": func(s *Server, owner *memPeer) {
			for i := range 30 {
				p := joinMem(t, s, testNick(2+i), wire.Location{})
				for range 2 {
					p.send(wire.Privmsg, p.nick+"!"+owner.nick+"!"+strings.Repeat("9", 30_000))
				}
			}
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *Server) {
				owner := joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
				stop := owner.readsSlowly(perSecond)
				defer stop()
				flood(s, owner)
				time.Sleep(3 * time.Second)
				if st := s.Status(); st.OutboxBytes < perSecond*int(s.opt().ConflictTimeout/time.Second) {
					t.Fatalf("only %d bytes wait", st.OutboxBytes)
				}
				newcomer := connectMem(t, s, 1<<20)
				newcomer.hello(testNick(1), wire.Location{})
				time.Sleep(s.opt().ConflictTimeout + time.Second)
				wantRefused(t, newcomer, s, RefusedNickInUse, "nick in use")
				owner.wantConnected()
			})
		})
	}
}

// TestDisplacedOwnerSaysNothingMore: a message that was read before its sender was replaced, and not yet routed, must not
// follow the departure (protocol.md 6.4).
func TestDisplacedOwnerSaysNothingMore(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		watcher := joinMem(t, s, testNick(1), wire.Location{})
		owner := testProver(1)
		old := joinMem(t, s, owner.nick, wire.Location{})
		old.send(wire.Pubmsg, owner.nick+"!PUBLIC!orderbook")
		watcher.wantLines(rawMessage{wire.Pubmsg, owner.nick + "!PUBLIC!orderbook"})
		joinProvenMem(t, s, owner, wire.Location{})
		watcher.wantLines(rawMessage{wire.Peerlist, entryOf(owner.nick, wire.Location{}) + ";D"})
		// What the old owner's goroutine does that has a message in its hands.
		s.route(old.c, wire.Envelope{Type: wire.Pubmsg, Line: []byte(owner.nick + "!PUBLIC!cancel 0")})
		s.route(old.c, wire.Envelope{Type: wire.Privmsg, Line: []byte(owner.nick + "!" + watcher.nick + "!fill")})
		watcher.wantLines()
		if st := s.Status(); st.Reasons[DroppedDisplaced] != 2 || st.Public != 1 || st.Private != 0 {
			t.Errorf("%d dropped, %d and %d passed on, want 2, 1 and 0", st.Reasons[DroppedDisplaced], st.Public, st.Private)
		}
	})
}

// TestClientThatComesBackAtOnceGetsItsNick guards that a new connection which is faster than the news of the old one's end
// is not refused, whatever kind of client it is.
func TestClientThatComesBackAtOnceGetsItsNick(t *testing.T) {
	for range 50 {
		s := newServer(t, unlimited)
		addr := listen(t, s)
		old := make([]*client, 20)
		for i := range old {
			old[i] = join(t, addr, testNick(i), wire.Location{})
		}
		for _, c := range old {
			c.close()
		}
		for i := range old {
			join(t, addr, testNick(i), wire.Location{})
		}
	}
}

// TestRushForANickDoesNotKeepOutWhoProvesIt: many ask for a nick before it is announced that its owner has left; each that gets in has left
// again before it is the turn of who proves the nick, if it is the first to be run.
func TestRushForANickDoesNotKeepOutWhoProvesIt(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		public := rawMessage{wire.Pubmsg, owner.nick + "!PUBLIC!hp2 P0"}
		rush := func() {
			for range 20 {
				p := connectMem(t, s, 1<<20)
				p.hello(owner.nick, wire.Location{})
				p.send(public.Type, public.Line)
				synctest.Wait()
				go func() { // it leaves as soon as it has spoken, or was refused
					p.m.Read(make([]byte, 1<<10))
					p.m.closeClient()
				}()
			}
		}
		first := joinMem(t, s, owner.nick, wire.Location{})
		first.send(public.Type, public.Line)
		synctest.Wait()
		first.m.closeClient()
		synctest.Wait()
		rush()
		back := proveMem(t, s, owner, wire.Location{})
		rush()
		time.Sleep(s.opt().DepartureDelay)
		back.wantLines(resultLine(wire.ProofOK))
		if p := s.registry.get(owner.nick); p == nil || p.conn != back.c {
			t.Error("somebody else has the nick")
		}
		rush()
		back.wantConnected()
	})
}
