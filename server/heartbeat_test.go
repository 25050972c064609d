package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

func TestPingIsAnsweredOrThePeerIsEvicted(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		good := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		bad := joinMem(t, s, testNick(2), wire.Location{}, wire.FeaturePing)
		time.Sleep(s.opt().PingIdle - s.opt().SweepInterval)
		good.wantLines()
		time.Sleep(2 * s.opt().SweepInterval)
		good.wantLines(rawMessage{wire.Ping, ""})
		bad.wantLines(rawMessage{wire.Ping, ""})
		good.send(wire.Pong, "")
		time.Sleep(s.opt().PongTimeout + s.opt().SweepInterval)
		good.wantConnected()
		bad.wantEnded(s, EvictedNoPong)
	})
}

// TestAnswerToAPingCostsNothing: one for each ping, and no more (protocol.md 5.4).
func TestAnswerToAPingCostsNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		time.Sleep(s.opt().PingIdle + s.opt().SweepInterval)
		p.wantLines(rawMessage{wire.Ping, ""})
		p.send(wire.Pong, "")
		p.wantLines()
		if p.c.limits.buckets != (buckets{}) {
			t.Error("the answer was charged")
		}
		p.send(wire.Pong, "")
		p.wantLines()
		if b := p.c.limits.buckets; b[classBytes] == nil || b[classControl] == nil {
			t.Error("a pong that nobody asked for was not charged")
		}
	})
}

func TestAnyLineCountsAsLifeAfterAPing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		time.Sleep(s.opt().PingIdle + s.opt().SweepInterval)
		p.wantLines(rawMessage{wire.Ping, ""})
		p.send(wire.Pubmsg, p.nick+"!PUBLIC!orderbook")
		time.Sleep(s.opt().PongTimeout + s.opt().SweepInterval)
		p.wantConnected()
	})
}

// TestPingDoesNotWaitBehindBroadcasts: they may take a slow circuit longer than the answer may.
func TestPingDoesNotWaitBehindBroadcasts(t *testing.T) {
	inBubble(t, func(o *Options) { o.PingIdle = 5 * time.Second }, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		flooder := joinMem(t, s, testNick(2), wire.Location{})
		stop := p.readsSlowly(20_000)
		defer stop()
		for range 36 {
			flooder.send(wire.Pubmsg, flooder.nick+"!PUBLIC!"+strings.Repeat("9", 30_000))
		}
		time.Sleep(55 * time.Second)
		p.wantConnected()
	})
}

// TestPeerThatIsHeldBackIsNotTakenForDead: its pong comes at once, and is read when its turn for the budget comes.
func TestPeerThatIsHeldBackIsNotTakenForDead(t *testing.T) {
	inBubble(t, func(o *Options) {
		scarceOrderbook(o)
		o.PingIdle, o.PongTimeout, o.SweepInterval = 5*time.Second, 10*time.Second, time.Second
	}, func(t *testing.T, s *Server) {
		p := heldPeer(t, s, wire.FeaturePing)
		for range 60 {
			time.Sleep(time.Second)
			for range p.lines() {
				p.send(wire.Pong, "")
			}
		}
		p.wantConnected()
	})
}

func TestLegacyMakerIsProbedByOrderbook(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		alive := joinMem(t, s, testNick(1), testLocation(1))
		dead := joinMem(t, s, testNick(2), testLocation(2))
		probe := rawMessage{wire.Pubmsg, s.Nick() + "!PUBLIC!orderbook"}
		for range 2 {
			time.Sleep(s.opt().PingIdle + s.opt().SweepInterval)
			alive.wantLines(probe)
			alive.send(wire.Privmsg, alive.nick+"!"+s.Nick()+"!sw0reloffer 0 1 2 0 0.1")
		}
		time.Sleep(s.opt().EvictIdle - 2*(s.opt().PingIdle+s.opt().SweepInterval) + s.opt().SweepInterval + 2*s.opt().DepartureDelay)
		alive.wantConnected()
		dead.wantEnded(s, EvictedIdle)
		alive.wantLines(rawMessage{wire.Peerlist, dead.nick + ";" + testLocation(2).String() + ";D"})
	})
}

// A reference client waits longer after every disconnect and never forgets (protocol.md 10.6).
func TestSilentLegacyTakerIsKeptForHours(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		own := testLocation(99)
		s.SetLocation(own)
		p := joinMem(t, s, testNick(1), wire.Location{})
		time.Sleep(s.opt().LegacyIdle - time.Hour)
		p.wantConnected()
		got := p.lines()
		if len(got) == 0 {
			t.Fatal("never probed")
		}
		for _, m := range got {
			if want := (rawMessage{wire.Peerlist, entryOf(s.Nick(), own)}); m != want {
				t.Fatalf("probed with %v, want %v", m, want)
			}
		}
		time.Sleep(time.Hour + s.opt().SweepInterval)
		p.wantEnded(s, EvictedLegacyIdle)
	})
}

func TestHandshakeDeadline(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		silent := connectMem(t, s, 1<<20)
		slow := connectMem(t, s, 1<<20)
		slow.m.Write([]byte(`{"type": 793, `))
		time.Sleep(s.opt().HandshakeTimeout - time.Millisecond)
		silent.wantConnected()
		time.Sleep(2 * time.Millisecond)
		silent.wantEnded(s, EvictedHandshake)
		slow.wantEnded(s, EvictedHandshake)
	})
}

func TestLineOnceBegunMustEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{})
		time.Sleep(time.Hour) // no line begun: no deadline
		p.wantConnected()
		for range 40 { // one byte a second is not a line
			p.m.Write([]byte("{"))
			time.Sleep(time.Second)
		}
		p.wantConnected()
		time.Sleep(s.opt().LineTimeout - 40*time.Second + time.Millisecond)
		p.wantEnded(s, ClosedLineSlow)
	})
}

// slowAndSender joins a peer whose socket takes 600 bytes, and one that sends.
func slowAndSender(t *testing.T, s *Server) (slow, sender *memPeer) {
	t.Helper()
	slow = connectMem(t, s, 600)
	slow.hello(testNick(1), wire.Location{})
	slow.lines()
	return slow, joinMem(t, s, testNick(2), wire.Location{})
}

func TestReceiverThatTakesNothingIsEvicted(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		slow, sender := slowAndSender(t, s)
		for range 10 {
			sender.send(wire.Pubmsg, sender.nick+"!PUBLIC!cancel 0 "+string(make100()))
		}
		time.Sleep(s.opt().WriteTimeout - time.Millisecond)
		slow.wantConnected()
		time.Sleep(2 * time.Millisecond)
		slow.wantEnded(s, EvictedNoProgress)
		sender.wantConnected()
	})
}

func TestReceiverThatIsMerelySlowIsKeptUntilItsMessagesAreOld(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		slow, sender := slowAndSender(t, s)
		for range 400 {
			sender.send(wire.Pubmsg, sender.nick+"!PUBLIC!cancel 0 "+string(make100()))
		}
		start := time.Now()
		time.Sleep(s.opt().SweepInterval / 4) // no read takes place during a sweep: what is just being written to is not too slow
		for !slow.m.isClosed() {
			time.Sleep(s.opt().SweepInterval / 2)
			b := make([]byte, 100)
			slow.m.Read(b)
		}
		if d := time.Since(start); d < s.opt().OutboxAge || d > s.opt().OutboxAge+2*s.opt().SweepInterval {
			t.Errorf("evicted after %v, want about %v", d, s.opt().OutboxAge)
		}
		slow.wantEnded(s, EvictedOutboxAge)
	})
}

func TestStalledOutboxIsBoundedInBytes(t *testing.T) {
	inBubble(t, func(o *Options) { o.OutboxBytes, o.PublicBytes = MinOutboxBytes, Rate{} }, func(t *testing.T, s *Server) {
		slow, sender := slowAndSender(t, s)
		big := make([]byte, 30_000)
		for i := range big {
			big[i] = 'x'
		}
		for i := 0; i < 100 && !slow.m.isClosed(); i++ {
			sender.send(wire.Pubmsg, sender.nick+"!PUBLIC!"+string(big))
			if st := s.Status(); st.OutboxBytes > MinOutboxBytes {
				t.Fatalf("%d bytes wait", st.OutboxBytes)
			}
			sender.lines()
		}
		slow.wantEnded(s, EvictedOutboxFull)
	})
}

func make100() []byte {
	b := make([]byte, 100)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// TestProbeHidesNotHowLongOthersWait: it goes before them, and they are as old as before. Who asks for a nick again and again must not
// keep a receiver that is too slow from being seen, and ended.
func TestProbeHidesNotHowLongOthersWait(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		other := joinMem(t, s, testNick(2), wire.Location{})
		p.m.setRoom(0)
		other.send(wire.Privmsg, other.nick+"!"+p.nick+"!fill 0")
		time.Sleep(20 * time.Second)
		newcomer := connectMem(t, s, 1<<20)
		newcomer.hello(p.nick, wire.Location{})
		synctest.Wait()
		if p.c.out.lane.n != 2 {
			t.Fatalf("%d frames wait in the lane, want a probe and a message", p.c.out.lane.n)
		}
		if st := s.Status(); st.Oldest < 20*time.Second {
			t.Errorf("the oldest message waits for %v", st.Oldest)
		}
	})
}
