package server

import (
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// slowlyReads takes n bytes each second from p, until the test ends the connection.
func slowlyReads(p *memPeer, n int) {
	go func() {
		buf := make([]byte, n)
		for {
			if _, err := p.m.Read(buf); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
}

// TestPrivateFloodDoesNotCloseItsReceiver: each flooder stays within its rates, and together they send more than the receiver
// takes. It stays, and who says little still gets through to it.
func TestPrivateFloodDoesNotCloseItsReceiver(t *testing.T) {
	inBubble(t, func(o *Options) { o.OutboxAge = time.Hour }, func(t *testing.T, s *Server) {
		victim := connectOnCircuit(t, s, 1)
		victim.hello(testNick(1), wire.Location{})
		victim.lines()
		victim.m.setRoom(10_000)
		honest := connectOnCircuit(t, s, 2)
		honest.hello(testNick(2), wire.Location{})
		honest.lines()
		stop := make(chan struct{})
		body := "fill " + strings.Repeat("9", 10_000)
		for i := range 20 {
			p := connectOnCircuit(t, s, uint64(10+i))
			p.hello(testNick(10+i), wire.Location{})
			p.lines()
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(200 * time.Millisecond):
						p.send(wire.Privmsg, p.nick+"!"+victim.nick+"!"+body)
					}
				}
			}()
		}
		slowlyReads(victim, 50_000)
		for range 60 {
			honest.send(wire.Privmsg, honest.nick+"!"+victim.nick+"!fill 0")
			time.Sleep(time.Second)
		}
		close(stop)
		victim.wantConnected()

		st := s.Status()
		if st.Reasons[DroppedCrowded] == 0 {
			t.Error("nothing of the flood was dropped")
		}
		victim.c.f.mu.Lock()
		used := victim.c.crowd.bytes[2]
		victim.c.f.mu.Unlock()
		if used >= smallShare {
			t.Errorf("the honest one used %d bytes of its share, want less than %d", used, smallShare)
		}
		victim.m.close()
		time.Sleep(2 * time.Second) // for who reads it
	})
}

// TestOrderbookFloodLeavesMakersTheirRate: every maker answers every request, so requests of all together stay below what a maker may
// send, and those who ask get their turn.
func TestOrderbookFloodLeavesMakersTheirRate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		for i := range 3000 {
			p := connectOnCircuit(t, s, uint64(i))
			p.hello(testNick(10+i), wire.Location{})
			p.send(wire.Pubmsg, p.nick+"!PUBLIC!orderbook")
		}
		time.Sleep(10 * time.Second)
		asked := 0
		for _, m := range maker.lines() {
			if m.Type == wire.Pubmsg {
				asked++
			}
		}
		o := s.opt()
		if most := o.Orderbooks.Burst + 10*int(o.Orderbooks.PerSecond); asked > most+1 || asked < most-20 {
			t.Errorf("%d requests in 10 s, want about %d", asked, most)
		}
		if rate := o.Rates.Private; o.Orderbooks.PerSecond > rate.PerSecond/2 || o.Orderbooks.Burst > rate.Burst/2 {
			t.Errorf("requests %v leave a maker too little of %v", o.Orderbooks, rate)
		}
		time.Sleep(2 * o.Patience)
	})
}

// TestPublicBytesStayBelowWhatAnOutboxHolds: long messages within the rates of their senders must not fill the outbox of
// everybody who reads as fast as a circuit of Tor.
func TestPublicBytesStayBelowWhatAnOutboxHolds(t *testing.T) {
	inBubble(t, func(o *Options) { o.OutboxAge = time.Hour }, func(t *testing.T, s *Server) {
		slow := joinMem(t, s, testNick(1), wire.Location{})
		slow.m.setRoom(200_000) // as a socket's buffer
		body := "cancel " + strings.Repeat("9", 39_000)
		for i := range 5 {
			p := connectOnCircuit(t, s, uint64(10+i))
			p.hello(testNick(10+i), wire.Location{})
			p.lines()
			for range 200 {
				p.send(wire.Pubmsg, p.nick+"!PUBLIC!"+body)
			}
		}
		slowlyReads(slow, int(s.opt().PublicBytes.PerSecond))
		time.Sleep(90 * time.Second)
		slow.wantConnected()
		if s.Status().Held == 0 {
			t.Error("nothing was held back: that was no flood")
		}
		slow.m.close()
		time.Sleep(2 * time.Second) // for who reads it
	})
}

// TestOneCircuitDoesNotUseUpTheHandshakesOfAll: with the budget of handshakes used up, circuits get their turn one after the other,
// however many connections wait on one of them. A circuit that is new waits for two rounds of the others at most: for those whose turn
// it is, and for those of the next who asked before.
func TestOneCircuitDoesNotUseUpTheHandshakesOfAll(t *testing.T) {
	inBubble(t, func(o *Options) { o.Handshakes = Rate{PerSecond: 3, Burst: 1} }, func(t *testing.T, s *Server) {
		for i := range 5 * maxAdmitting {
			p := connectOnCircuit(t, s, uint64(7+i%5))
			p.hello(testNick(10+i), wire.Location{})
		}
		time.Sleep(time.Millisecond)
		honest := connectOnCircuit(t, s, 1)
		honest.hello(testNick(1), wire.Location{})
		time.Sleep(maxHold - time.Second)
		if got := honest.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Errorf("an honest client on a circuit of its own got %v", got)
		}
		time.Sleep(maxHold)
		if n := s.Status().Reasons[RefusedRate]; n == 0 {
			t.Error("nobody of the flood was refused")
		}
	})
}
