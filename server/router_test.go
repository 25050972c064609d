package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

func TestLocationIsToldOncePerPair(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		legacy := joinMem(t, s, testNick(2), wire.Location{})
		modern := joinMem(t, s, testNick(3), wire.Location{}, wire.FeaturePeerlist)
		say := func(to *memPeer) rawMessage {
			m := rawMessage{wire.Privmsg, maker.nick + "!" + to.nick + "!pubkey 00"}
			maker.send(m.Type, m.Line)
			return m
		}
		legacy.wantLines(say(legacy), rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(1))})
		legacy.wantLines(say(legacy))
		modern.wantLines(say(modern), rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(1)) + ";F:ping"})
		time.Sleep(s.opt().LocationRepeat)
		legacy.wantLines(say(legacy), rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(1))})
		maker.m.closeClient()
		time.Sleep(2 * s.opt().DepartureDelay)
		gone := rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(1)) + ";D"}
		legacy.wantLines(gone)
		maker = joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		legacy.wantLines(say(legacy), rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(1))})
	})
}

func TestMemoryOfLocationsToldIsBoundedAndGivenBack(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxNicksPerHost = 0 }, func(t *testing.T, s *Server) {
		taker := joinMem(t, s, testNick(0), wire.Location{}, wire.FeaturePing)
		told := func() int {
			taker.c.f.mu.Lock()
			defer taker.c.f.mu.Unlock()
			return len(taker.c.told)
		}
		for i := range maxTold + 10 {
			maker := joinMem(t, s, testNick(1+i), testLocation(1))
			maker.send(wire.Privmsg, maker.nick+"!"+taker.nick+"!pubkey 00")
			if got := taker.lines(); len(got) != 2 {
				t.Fatalf("got %v, want the message and the location", got)
			}
			if n := told(); n > maxTold {
				t.Fatalf("%d remembered, want at most %d", n, maxTold)
			}
		}
		if told() == 0 {
			t.Fatal("nothing is remembered")
		}
		time.Sleep(s.opt().LocationRepeat + 2*s.opt().SweepInterval)
		if n := told(); n != 0 {
			t.Errorf("%d are remembered for ever", n)
		}
	})
}

func TestDeparturesGatherIntoOneLine(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		stay := joinMem(t, s, testNick(0), wire.Location{}, wire.FeaturePeerlist)
		var leavers []*memPeer
		for i := range 250 {
			leavers = append(leavers, joinMem(t, s, testNick(1+i), testLocation(1+i), wire.FeaturePing))
		}
		early := joinMem(t, s, testNick(500), testLocation(500))
		early.m.closeClient() // nobody has left for long: it is told early, and the others are not
		time.Sleep(s.opt().DepartureDelay/4 - time.Millisecond)
		stay.wantLines()
		time.Sleep(2 * time.Millisecond)
		stay.wantLines(rawMessage{wire.Peerlist, entryOf(early.nick, testLocation(500)) + ";D"})
		for _, p := range leavers {
			p.m.closeClient()
		}
		time.Sleep(s.opt().DepartureDelay - time.Millisecond)
		stay.wantLines()
		time.Sleep(2 * time.Millisecond)
		got := stay.lines()
		gone := map[string]bool{}
		for _, m := range got {
			for _, e := range wire.ParsePeerlist([]byte(m.Line)) {
				if !e.Gone || len(e.Features) != 0 || gone[e.Nick] {
					t.Fatalf("entry %+v", e)
				}
				gone[e.Nick] = true
			}
		}
		if len(gone) != 250 || len(got) != 3 {
			t.Errorf("%d departures in %d lines, want 250 in 3", len(gone), len(got))
		}
	})
}

func TestDepartureOfANickNobodyHeardOfIsSilent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		stay := joinMem(t, s, testNick(0), wire.Location{})
		joinMem(t, s, testNick(1), wire.Location{}).m.closeClient()
		connectMem(t, s, 1<<20).m.closeClient()
		time.Sleep(2 * s.opt().DepartureDelay)
		stay.wantLines()
	})
}

// TestDeparturePrecedesTheReturnOfTheSameNick: who comes back waits until its departure is announced, and what it sends meanwhile
// comes behind that.
func TestDeparturePrecedesTheReturnOfTheSameNick(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		stay := joinMem(t, s, testNick(0), wire.Location{})
		joinMem(t, s, testNick(1), testLocation(1)).m.closeClient()
		stay.wantLines() // the departure is noted, not yet sent
		back := connectMem(t, s, 1<<20)
		back.hello(testNick(1), testLocation(1))
		back.send(wire.Pubmsg, back.nick+"!PUBLIC!orderbook") // pipelined
		back.wantLines()
		time.Sleep(s.opt().DepartureDelay)
		stay.wantLines(
			rawMessage{wire.Peerlist, entryOf(testNick(1), testLocation(1)) + ";D"},
			rawMessage{wire.Pubmsg, back.nick + "!PUBLIC!orderbook"},
		)
		if got := back.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Errorf("who came back got %v", got)
		}
	})
}

// TestNickThatComesAndGoesIsAnnouncedOnceInAWhile: leaving and coming back does not make a line to all each time.
func TestNickThatComesAndGoesIsAnnouncedOnceInAWhile(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		stay := joinMem(t, s, testNick(0), wire.Location{})
		delay := s.opt().DepartureDelay
		const times = 90
		for range times {
			p := connectOnCircuit(t, s, 7)
			p.hello(testNick(1), testLocation(1))
			synctest.Wait()
			p.m.closeClient()
			time.Sleep(10 * delay / times)
		}
		if n := len(stay.lines()); n < 5 || n > 11 {
			t.Errorf("%d lines in 10 times %v", n, delay)
		}
		time.Sleep(2 * s.opt().ConflictTimeout)
		if err := s.consistent(); err != nil || s.Status().Peers != 1 {
			t.Errorf("%d peers, want one: %v", s.Status().Peers, err)
		}
	})
}

// TestWhoWaitsToComeBackIsNotLost: the server may stop, and the pool may be full, while somebody waits for its own departure.
func TestWhoWaitsToComeBackIsNotLost(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxHandshakes = 1 }, func(t *testing.T, s *Server) {
		waiting := func() *memPeer {
			joinMem(t, s, testNick(1), testLocation(1)).m.closeClient()
			synctest.Wait()
			p := connectMem(t, s, 1<<20)
			p.hello(testNick(1), testLocation(1))
			p.wantLines()
			return p
		}
		back := waiting()
		connectMem(t, s, 1<<20)
		time.Sleep(2 * s.opt().DepartureDelay)
		back.wantEnded(s, EvictedPool)
		if n := s.Status().Peers; n != 0 {
			t.Errorf("%d peers, want none", n)
		}
		back = waiting()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		back.wantEnded(s, EvictedShutdown)
	})
}

// TestAboveARateOneIsHeldBackThenDroppedThenClosed guards the order of reaction: who is merely bursty is slowed down
// and loses nothing (protocol.md 10.6).
func TestAboveARateOneIsHeldBackThenDroppedThenClosed(t *testing.T) {
	classes := []struct {
		name   string
		rate   func(*Rates) *Rate
		line   rawMessage
		reason Reason
	}{
		{"public", func(r *Rates) *Rate { return &r.Public }, rawMessage{wire.Pubmsg, testNick(1) + "!PUBLIC!cancel 0"}, DroppedRatePublic},
		{"private", func(r *Rates) *Rate { return &r.Private }, rawMessage{wire.Privmsg, testNick(1) + "!" + testNick(2) + "!fill"}, DroppedRatePrivate},
		{"peerlist", func(r *Rates) *Rate { return &r.Peerlist }, rawMessage{wire.GetPeerlist, ""}, DroppedRatePeerlist},
		{"control", func(r *Rates) *Rate { return &r.Control }, rawMessage{wire.Ping, ""}, DroppedRateControl},
		{"pong", func(r *Rates) *Rate { return &r.Control }, rawMessage{wire.Pong, ""}, DroppedRateControl},
		{"inert", func(r *Rates) *Rate { return &r.Control }, rawMessage{wire.LocalDisconnect, "x"}, DroppedRateControl},
	}
	for _, class := range classes {
		t.Run(class.name, func(t *testing.T) {
			inBubble(t, func(o *Options) {
				*class.rate(&o.Rates) = Rate{PerSecond: 1, Burst: 5}
				o.MaxViolations = 20
			}, func(t *testing.T, s *Server) {
				p := joinMem(t, s, testNick(1), wire.Location{})
				burst := func(n int) {
					for range n {
						p.send(class.line.Type, class.line.Line)
					}
					p.lines()
				}
				dropped := func() uint64 { return s.Status().Reasons[class.reason] }
				burst(5)
				if st := s.Status(); dropped() != 0 || st.Held != 0 {
					t.Fatalf("%d dropped, %d held back within the burst", dropped(), st.Held)
				}
				burst(15) // one a second from now on
				time.Sleep(16 * time.Second)
				if st := s.Status(); dropped() != 0 || st.Held != 15 {
					t.Fatalf("%d dropped, %d held back, want 15 held back", dropped(), st.Held)
				}
				burst(20)
				time.Sleep(10 * time.Second)
				if n := dropped(); n < 10 || n > 19 {
					t.Fatalf("%d dropped once patience is over, want most of 20", n)
				}
				p.wantConnected()
				time.Sleep(time.Minute) // forgiven, and the bucket is full again
				was := dropped()
				burst(15)
				time.Sleep(15 * time.Second)
				if dropped() != was {
					t.Fatalf("%d dropped of another burst", dropped()-was)
				}
				p.wantConnected()
				burst(60)
				time.Sleep(s.opt().Patience + 10*time.Second)
				p.wantEnded(s, ClosedViolation)
			})
		})
	}
}

func TestForgedSenderIsAViolation(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxViolations = 3 }, func(t *testing.T, s *Server) {
		victim := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		forger := joinMem(t, s, testNick(3), wire.Location{})
		for range 3 {
			forger.send(wire.Pubmsg, victim.nick+"!PUBLIC!cancel 0")
		}
		forger.wantConnected()
		forger.send(wire.Privmsg, victim.nick+"!"+other.nick+"!fill")
		forger.wantEnded(s, ClosedViolation)
		other.wantLines()
		victim.wantConnected()
	})
}

// TestAddresseeThatCannotBeIsAViolation: one that is not here is none.
func TestAddresseeThatCannotBeIsAViolation(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxViolations = 4 }, func(t *testing.T, s *Server) {
		other := joinMem(t, s, testNick(1), wire.Location{})
		c := joinMem(t, s, testNick(2), wire.Location{})
		for range 10 {
			c.send(wire.Privmsg, c.nick+"!"+testNick(3)+"!fill")
		}
		for _, to := range []string{"", wire.Public, "J5short"} {
			c.send(wire.Privmsg, c.nick+"!"+to+"!fill")
		}
		c.send(wire.Pubmsg, c.nick+"!!orderbook")
		c.wantConnected()
		c.send(wire.Pubmsg, c.nick+"!"+other.nick+"!orderbook")
		c.wantEnded(s, ClosedViolation)
		other.wantLines()
	})
}

func TestProbeAnswersCostNothing(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Rates.Private = Rate{PerSecond: 0.001, Burst: 1}
		o.Rates.Control = Rate{PerSecond: 0.001, Burst: 1}
	}, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		for range 10 {
			time.Sleep(s.opt().PingIdle + s.opt().SweepInterval)
			if len(maker.lines()) != 1 {
				t.Fatal("not probed")
			}
			maker.send(wire.Privmsg, maker.nick+"!"+s.Nick()+"!sw0reloffer 0 1 2 0 0.1")
		}
		maker.lines()
		if n := len(s.Status().Reasons); n != 0 {
			t.Errorf("reasons counted: %v", s.Status().Reasons)
		}
	})
}

func TestFullDirectoryAnswers(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxPeers = 2 }, func(t *testing.T, s *Server) {
		joinMem(t, s, testNick(1), wire.Location{})
		second := joinMem(t, s, testNick(2), wire.Location{})
		third := connectMem(t, s, 1<<20)
		third.hello(testNick(3), wire.Location{})
		wantRefused(t, third, s, RefusedFull, "full")
		second.m.closeClient()
		second.lines()
		joinMem(t, s, testNick(3), wire.Location{})
	})
}

func TestOneHostHasFewNicks(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxNicksPerHost = 2 }, func(t *testing.T, s *Server) {
		first := joinMem(t, s, testNick(1), testLocation(1))
		joinMem(t, s, testNick(2), testLocation(1))
		third := connectMem(t, s, 1<<20)
		third.hello(testNick(3), testLocation(1))
		wantRefused(t, third, s, RefusedHostFull, "location")
		first.m.closeClient()
		first.lines()
		joinMem(t, s, testNick(3), testLocation(1))
		for i := range 5 {
			joinMem(t, s, testNick(10+i), wire.Location{}) // not serving is no host
		}
	})
}

func TestTheDirectorysOwnNameIsRefused(t *testing.T) {
	inBubble(t, func(o *Options) { o.Location = testLocation(7) }, func(t *testing.T, s *Server) {
		p := connectMem(t, s, 1<<20)
		p.hello(s.Nick(), wire.Location{})
		wantRefused(t, p, s, RefusedOwnNick, "own")
		p = connectMem(t, s, 1<<20)
		l := testLocation(7)
		l.Port = 1
		p.hello(testNick(1), l)
		wantRefused(t, p, s, RefusedOwnLocation, "own")
	})
}

func TestNetworkAliasIsAnsweredWithTheNameUsed(t *testing.T) {
	inBubble(t, func(o *Options) { o.Network, o.NetworkAliases = "regtest", []string{"testnet"} }, func(t *testing.T, s *Server) {
		for i, name := range []string{"regtest", "TestNet"} {
			p := connectMem(t, s, 1<<20)
			p.send(wire.ClientHandshake, strings.ReplaceAll(handshakeOf(testNick(i), wire.Location{}), "mainnet", name))
			got := p.lines()
			if len(got) != 1 || !accepted(t, got[0]) || !strings.Contains(got[0].Line, fmt.Sprintf(`"network": %q`, strings.ToLower(name))) {
				t.Errorf("%s: got %v", name, got)
			}
		}
		p := connectMem(t, s, 1<<20)
		p.hello(testNick(9), wire.Location{}) // mainnet
		wantRefused(t, p, s, RefusedNetwork, "network")
	})
}

func TestMOTDShowsTextAndVersion(t *testing.T) {
	for text, want := range map[string]string{
		"":        "jm-directory-server version: 1.2.3",
		"Hi\nyou": "Hi\nyou\njm-directory-server version: 1.2.3",
	} {
		if got := versionedMOTD(text, "1.2.3"); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestHandshakePoolIsSeparateFromPeers(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxHandshakes = 3 }, func(t *testing.T, s *Server) {
		peer := joinMem(t, s, testNick(1), wire.Location{})
		var idle []*memPeer
		for range 5 {
			idle = append(idle, connectMem(t, s, 1<<20))
			idle[0].lines()
		}
		idle[0].wantEnded(s, EvictedPool)
		idle[1].wantEnded(s, EvictedPool)
		for _, p := range idle[2:] {
			p.wantConnected()
		}
		joinMem(t, s, testNick(2), wire.Location{}) // who speaks at once gets in
		peer.wantConnected()
		if n := s.pool.len(); n != 2 {
			t.Errorf("%d in handshake, want 2", n)
		}
	})
}

// features32 are as many and as long as a handshake may have.
func features32() []string {
	features := make([]string, wire.MaxFeatures)
	for i := range features {
		features[i] = fmt.Sprintf("%s%02d", strings.Repeat("f", wire.MaxFeatureName-2), i)
	}
	return features
}

func TestPeerlistIsSplitAndComplete(t *testing.T) {
	inBubble(t, func(o *Options) { o.Location = testLocation(0); o.MaxNicksPerHost = 0 }, func(t *testing.T, s *Server) {
		const makers = 450
		for i := range makers {
			joinMem(t, s, testNick(i), testLocation(1), features32()...)
		}
		asker := joinMem(t, s, testNick(makers), wire.Location{}, wire.FeaturePeerlist)
		legacy := joinMem(t, s, testNick(makers+1), wire.Location{})
		for _, p := range []*memPeer{asker, legacy} {
			p.send(wire.GetPeerlist, "")
			seen := map[string]bool{}
			for _, m := range p.lines() {
				if len(m.Line) > wire.MaxLine-30 {
					t.Errorf("line of %d bytes", len(m.Line))
				}
				entries := wire.ParsePeerlist([]byte(m.Line))
				if len(entries) > s.opt().PeerlistChunk {
					t.Errorf("%d entries in a line", len(entries))
				}
				for _, e := range entries {
					if seen[e.Nick] || (len(e.Features) > 0) != (p == asker) {
						t.Fatalf("entry %+v", e)
					}
					seen[e.Nick] = true
				}
			}
			if len(seen) != makers+1 || !seen[s.Nick()] {
				t.Errorf("%d listed, want %d and the directory", len(seen), makers)
			}
		}
	})
}

// TestPeerlistIsNoOlderThanDepartures: also when making it took long once, nobody is listed whose departure was told before.
func TestPeerlistIsNoOlderThanDepartures(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		asks, maker := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), testLocation(2))
		entry := entryOf(maker.nick, testLocation(2))
		asks.send(wire.GetPeerlist, "")
		asks.wantLines(rawMessage{wire.Peerlist, entry})
		s.peerlist.mu.Lock()
		s.peerlist.took = int64(time.Minute) // a stall
		s.peerlist.mu.Unlock()
		maker.m.closeClient()
		time.Sleep(s.opt().DepartureDelay / quietDeparture)
		asks.wantLines(rawMessage{wire.Peerlist, entry + ";D"})
		asks.send(wire.GetPeerlist, "")
		asks.wantLines(rawMessage{wire.Peerlist, ""})
	})
}

// TestPeerlistIsNoOlderThanATakeOver: its departure is announced at once, and whoever asks then must not learn the old location again.
func TestPeerlistIsNoOlderThanATakeOver(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		asks := joinMem(t, s, testNick(1), wire.Location{})
		owner := testProver(2)
		joinMem(t, s, owner.nick, testLocation(2))
		asks.send(wire.GetPeerlist, "")
		asks.wantLines(rawMessage{wire.Peerlist, entryOf(owner.nick, testLocation(2))})
		s.peerlist.mu.Lock()
		s.peerlist.took = int64(time.Second) // as with many peers
		s.peerlist.mu.Unlock()
		list, told := s.peerlist.get(false)
		joinProvenMem(t, s, owner, testLocation(3))
		if s.queuePeerlist(asks.c, list, told) { // what the asker's reader does that had the list in its hands
			t.Error("a list was queued behind the departure of a peer in it")
		}
		asks.send(wire.GetPeerlist, "")
		asks.wantLines(
			rawMessage{wire.Peerlist, entryOf(owner.nick, testLocation(2)) + ";D"},
			rawMessage{wire.Peerlist, entryOf(owner.nick, testLocation(3))},
		)
	})
}

// listBytes sums up an answer to getpeerlist, and counts its entries and those with features.
func listBytes(lines []rawMessage) (bytes, entries, rich int) {
	for _, m := range lines {
		bytes += len(m.Line)
		for _, e := range wire.ParsePeerlist([]byte(m.Line)) {
			entries++
			if len(e.Features) > 0 {
				rich++
			}
		}
	}
	return bytes, entries, rich
}

func TestPeerlistNeverFillsTheOutboxOfWhoAsks(t *testing.T) {
	small := func(o *Options) { o.OutboxBytes, o.MaxNicksPerHost, o.Handshakes = MinOutboxBytes, 0, Rate{} }
	t.Run("features", func(t *testing.T) {
		inBubble(t, small, func(t *testing.T, s *Server) {
			const makers = 300 // 600 kB with their features
			for i := range makers {
				joinMem(t, s, testNick(i), testLocation(1), features32()...)
			}
			asker := joinMem(t, s, testNick(makers), wire.Location{}, wire.FeaturePeerlist)
			asker.send(wire.GetPeerlist, "")
			if bytes, entries, rich := listBytes(asker.lines()); entries != makers || rich != 0 || bytes > MinOutboxBytes/2 {
				t.Errorf("%d entries, %d of them with features, in %d bytes", entries, rich, bytes)
			}
		})
	})
	t.Run("peers", func(t *testing.T) {
		inBubble(t, small, func(t *testing.T, s *Server) {
			const makers = 7000 // 600 kB without features
			for i := range makers {
				joinMem(t, s, testNick(i), testLocation(1))
			}
			asker := joinMem(t, s, testNick(makers), wire.Location{})
			asker.send(wire.GetPeerlist, "")
			if bytes, entries, _ := listBytes(asker.lines()); entries < makers/2 || bytes > MinOutboxBytes/2 {
				t.Errorf("%d entries in %d bytes", entries, bytes)
			}
		})
	})
}

func TestPreparedPeerlistIsNotOldForWhoAsksLate(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxNicksPerHost = 0 }, func(t *testing.T, s *Server) {
		for i := range 20 {
			joinMem(t, s, testNick(10+i), testLocation(1))
		}
		slow, other := slowAndSender(t, s)
		other.send(wire.GetPeerlist, "")
		other.lines()
		time.Sleep(2 * s.opt().OutboxAge) // nobody comes or goes: the list is not made anew
		slow.send(wire.GetPeerlist, "")
		for range 2 * s.opt().SweepInterval / time.Second {
			time.Sleep(time.Second)
			slow.m.Read(make([]byte, 10))
		}
		slow.wantConnected()
	})
}

func TestNothingAcceptedIsLostAtShutdown(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Rates = Rates{} })
	addr := listen(t, s)
	const receivers, messages = 20, 50
	var rs []*client
	for i := range receivers {
		rs = append(rs, join(t, addr, testNick(i), wire.Location{}))
	}
	sender := join(t, addr, testNick(receivers), wire.Location{})
	for i := range messages {
		sender.public(fmt.Sprintf("cancel %d", i))
	}
	sender.send(wire.Ping, "")
	sender.expectLine(wire.Pong, "") // all before it is accepted
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	for _, r := range rs {
		for i := range messages {
			r.expectLine(wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!cancel %d", sender.nick, i))
		}
		r.closed()
		r.close()
	}
	sender.close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRefusedConnectionsThatLingerAreBounded(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxHandshakes = 3 }, func(t *testing.T, s *Server) {
		var refused []*memPeer
		for range 10 {
			p := connectMem(t, s, 1<<20)
			p.hello(s.Nick(), wire.Location{})
			p.lines() // told why, and does not close its end
			refused = append(refused, p)
		}
		open := 0
		for _, p := range refused {
			p.m.mu.Lock()
			if !p.m.closed {
				open++
			}
			p.m.mu.Unlock()
		}
		if open > 3 {
			t.Errorf("%d refused connections are open, want at most 3", open)
		}
		time.Sleep(2 * lingerTimeout)
		if n := s.pool.len(); n != 0 {
			t.Errorf("%d linger for ever", n)
		}
	})
}
