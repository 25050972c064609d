package server

import (
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// underPressure runs f with a server without rates, a sender, and nine receivers whose sockets have little room.
func underPressure(t *testing.T, f func(t *testing.T, s *Server, sender *memPeer, receivers []*memPeer)) {
	inBubble(t, func(o *Options) {
		*o = o.Unlimited()
		o.OutboxBytes, o.OutboxAge, o.WriteTimeout = MinOutboxBytes, time.Hour, time.Minute
	}, func(t *testing.T, s *Server) {
		sender := joinMem(t, s, testNick(0), wire.Location{})
		var receivers []*memPeer
		for i := range 9 {
			p := joinMem(t, s, testNick(1+i), wire.Location{})
			p.m.setRoom(20_000)
			receivers = append(receivers, p)
		}
		f(t, s, sender, receivers)
		for _, p := range append(receivers, sender) {
			p.m.close() // first: nothing more comes then, and who reads slowly is soon through
			p.m.take()
		}
		time.Sleep(2 * lingerTimeout) // for who reads
	})
}

// sendAll has p send n public messages of 10 kB, and returns how many of them the server took until d was over.
func sendAll(p *memPeer, n int, d time.Duration) (taken int) {
	line := p.nick + "!PUBLIC!hp2 " + strings.Repeat("x", 10_000)
	for range n {
		p.send(wire.Pubmsg, line)
	}
	time.Sleep(d)
	return int(p.c.s.Status().Public)
}

// TestSendersWaitWhenMostReceiversCannotKeepUp: all of them read, more slowly than is sent. They stay, and nothing is lost.
func TestSendersWaitWhenMostReceiversCannotKeepUp(t *testing.T) {
	underPressure(t, func(t *testing.T, s *Server, sender *memPeer, receivers []*memPeer) {
		for _, p := range receivers {
			slowlyReads(p, 20_000)
		}
		const n, seconds = 1000, 120
		taken := sendAll(sender, n, seconds*time.Second)
		for _, p := range append(receivers, sender) {
			p.wantConnected()
		}
		// What was read, and as much as may wait.
		if most := (seconds*20_000 + MinOutboxBytes/2) / 10_000; taken > most || taken < seconds*20_000/10_000/2 {
			t.Errorf("%d messages were taken, want at most %d and not much fewer", taken, most)
		}
		if s.Status().Held == 0 {
			t.Error("nothing was held back")
		}
	})
}

// TestReceiversThatTakeNothingHoldNobodyBack for longer than it takes to see that they take nothing, even when they are the most.
func TestReceiversThatTakeNothingHoldNobodyBack(t *testing.T) {
	underPressure(t, func(t *testing.T, s *Server, sender *memPeer, _ []*memPeer) {
		reader := joinMem(t, s, testNick(20), wire.Location{})
		if taken := sendAll(sender, 90, 2*stillAfter); taken != 90 {
			t.Errorf("%d of 90 messages were taken", taken)
		}
		if got := reader.lines(); len(got) != 90 {
			t.Errorf("who reads got %d of 90 messages", len(got))
		}
		if n := s.pressure.behind.Load(); n != 0 {
			t.Errorf("%d receivers that take nothing count", n)
		}
	})
}

// TestReceiversThatReadALittleHoldNobodyBackForLong: each message waits for pressureWait at the most.
func TestReceiversThatReadALittleHoldNobodyBackForLong(t *testing.T) {
	underPressure(t, func(t *testing.T, s *Server, sender *memPeer, receivers []*memPeer) {
		for _, p := range receivers {
			slowlyReads(p, 10)
		}
		// Before messages are held back, a flusher that comes late has as much before it as makes senders wait for it: a quarter
		// of an outbox for each member, and one of them may be the sender, who gets none.
		const first, over = MinOutboxBytes / 2 / 10_000, 40
		if taken := sendAll(sender, first+over, (first+over)*pressureWait+10*time.Second); taken != first+over {
			t.Errorf("%d messages were taken, want all %d", taken, first+over)
		}
		if held := s.Status().Held; held < over || held > first+over {
			t.Errorf("%d messages were held back, want %d at least", held, over)
		}
	})
}

// TestWhoIsFurtherBehindThanMostIsNotClosedForIt while most cannot keep up: a straggler may have twice as much waiting, not more.
func TestWhoIsFurtherBehindThanMostIsNotClosedForIt(t *testing.T) {
	for _, test := range []struct {
		name    string
		seconds time.Duration
		stays   bool
	}{
		{"an outbox and a half behind", 105, true},
		{"three outboxes behind", 210, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			underPressure(t, func(t *testing.T, s *Server, sender *memPeer, receivers []*memPeer) {
				straggler, others := receivers[0], receivers[1:]
				slowlyReads(straggler, 5_000)
				for _, p := range others {
					slowlyReads(p, 20_000)
				}
				sendAll(sender, 1000, test.seconds*time.Second)
				for _, p := range append(others, sender) {
					p.wantConnected()
				}
				if full := s.count.reasons[EvictedOutboxFull].Load() > 0; full == test.stays {
					t.Errorf("closed for a full outbox: %v", full)
				}
			})
		})
	}
}
