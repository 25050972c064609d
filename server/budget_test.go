package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// flood sends a public message again and again, from when it is called until the connection ends or the test stops it.
func flood(p *memPeer, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			p.send(wire.Pubmsg, p.nick+"!PUBLIC!cancel 0")
			time.Sleep(time.Millisecond)
		}
	}
}

func TestBudgetIsSharedByAgeAndProofNotByWhoAsksFastest(t *testing.T) {
	inBubble(t, func(o *Options) {
		proving(o)
		o.Rates, o.Circuits = Rates{}, CircuitLimits{Ban: time.Hour}
		o.Deliveries = Rate{PerSecond: 200, Burst: 200}
	}, func(t *testing.T, s *Server) {
		honest := joinMem(t, s, testNick(1), testLocation(1))
		proven := joinProvenMem(t, s, testProver(2), testLocation(2))
		time.Sleep(established)
		var flooders []*memPeer
		stop := make(chan struct{})
		for i := range 18 {
			flooders = append(flooders, joinMem(t, s, testNick(10+i), wire.Location{}))
		}
		for _, p := range append(flooders, honest, proven) {
			go flood(p, stop)
		}
		forwarded := make(map[string]int)
		listener := honest // hears all but itself
		for range 60 {
			time.Sleep(time.Second)
			for _, m := range listener.lines() {
				if m.Type == wire.Pubmsg {
					forwarded[m.Line[:16]]++
				}
			}
		}
		close(stop)
		// 20 peers: a message is 20 deliveries, so ten messages a second in all. Weights: 18 times 1, 4, 8: the proven one has 8
		// of 30.
		got, most := forwarded[proven.nick], 0
		for _, p := range flooders {
			most = max(most, forwarded[p.nick])
		}
		if got < 120 || got > 200 {
			t.Errorf("the old, proven peer got %d of about 600 messages through, want about 160", got)
		}
		if most > 40 || most < 10 {
			t.Errorf("a newcomer got %d of about 600 messages through, want about 20", most)
		}
		time.Sleep(2 * s.opt().Patience)
	})
}

func TestConnectionsOfOneCircuitHaveOneShareOfTheBudget(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Rates, o.Circuits = Rates{}, CircuitLimits{Ban: time.Hour}
		o.Deliveries = Rate{PerSecond: 110, Burst: 110}
	}, func(t *testing.T, s *Server) {
		stop := make(chan struct{})
		alone := connectOnCircuit(t, s, 1)
		alone.hello(testNick(1), wire.Location{})
		var many []*memPeer
		for i := range 10 {
			p := connectOnCircuit(t, s, 2)
			p.hello(testNick(10+i), wire.Location{})
			many = append(many, p)
		}
		synctest.Wait()
		for _, p := range append(many, alone) {
			p.lines()
			go flood(p, stop)
		}
		ofAlone, ofMany := 0, 0
		for range 60 {
			time.Sleep(time.Second)
			for _, m := range many[0].lines() {
				if m.Line[:16] == alone.nick {
					ofAlone++
				} else {
					ofMany++
				}
			}
		}
		close(stop)
		if ofAlone < ofMany/2 {
			t.Errorf("%d messages of one connection on its own circuit, %d of ten on another: want about as many", ofAlone, ofMany)
		}
		time.Sleep(2 * s.opt().Patience)
	})
}

func TestNobodyWaitsWhileTheBudgetLasts(t *testing.T) {
	inBubble(t, func(o *Options) { o.Rates = Rates{} }, func(t *testing.T, s *Server) {
		a, b := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), wire.Location{})
		for range 1000 {
			a.send(wire.Pubmsg, a.nick+"!PUBLIC!cancel 0")
		}
		if n := len(b.lines()); n != 1000 || s.Status().Held != 0 {
			t.Errorf("%d of 1000 messages came at once, %d were held back", n, s.Status().Held)
		}
	})
}

func TestWhoWaitsTooLongForTheBudgetIsDroppedAndCounted(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Deliveries, o.Patience = Rate{PerSecond: 0.01, Burst: 1}, 3*time.Second
	}, func(t *testing.T, s *Server) {
		a, b := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), wire.Location{})
		for range 3 {
			a.send(wire.Pubmsg, a.nick+"!PUBLIC!cancel 0")
		}
		a.send(wire.Privmsg, a.nick+"!"+b.nick+"!fill 0")
		time.Sleep(10 * time.Second)
		b.wantLines(rawMessage{wire.Pubmsg, a.nick + "!PUBLIC!cancel 0"}, rawMessage{wire.Privmsg, a.nick + "!" + b.nick + "!fill 0"})
		if n := s.Status().Reasons[DroppedBudget]; n != 2 {
			t.Errorf("%d dropped for the budget, want 2", n)
		}
		if s.waiting() != 0 {
			t.Error("a request that nobody waits for is still in the queue")
		}
	})
}

func TestOrderbookIsDroppedWithinTheWindowOnly(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		taker, maker := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), testLocation(2))
		want := rawMessage{wire.Pubmsg, taker.nick + "!PUBLIC!orderbook"}
		for range 3 {
			taker.send(want.Type, want.Line)
		}
		maker.wantLines(want)
		if n := s.Status().Reasons[DroppedOrderbook]; n != 2 {
			t.Errorf("%d dropped, want 2", n)
		}
		time.Sleep(s.opt().OrderbookWindow)
		taker.send(want.Type, want.Line)
		maker.wantLines(want)
	})
}

// TestOrderbookIsOneHoweverItIsWritten: what any client takes for a request, with blanks around or behind another command,
// comes out of the same window.
func TestOrderbookIsOneHoweverItIsWritten(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		taker, maker := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), testLocation(2))
		bodies := []string{"orderbook", " orderbook", "orderbook\t", "orderbook\n", "\u00a0orderbook", "cancel 0!orderbook "}
		for _, body := range bodies {
			taker.send(wire.Pubmsg, taker.nick+"!PUBLIC!"+body)
		}
		maker.wantLines(rawMessage{wire.Pubmsg, taker.nick + "!PUBLIC!orderbook"})
		if n := s.Status().Reasons[DroppedOrderbook]; n != uint64(len(bodies)-1) {
			t.Errorf("%d dropped, want %d", n, len(bodies)-1)
		}
	})
}

// TestOrderbooksInOneMessageArePaidForEach: two in one message are two for the makers and for the budget, and more are not
// passed on.
func TestOrderbooksInOneMessageArePaidForEach(t *testing.T) {
	inBubble(t, func(o *Options) { o.OrderbookWindow = 0 }, func(t *testing.T, s *Server) {
		taker, maker := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), testLocation(2))
		spent := func() float64 { return float64(s.opt().Orderbooks.Burst) - s.budgets[scarceOrderbooks].tokens }
		two := rawMessage{wire.Pubmsg, taker.nick + "!PUBLIC!orderbook !orderbook "}
		taker.send(two.Type, two.Line)
		maker.wantLines(two)
		if got := spent(); got != 2 {
			t.Errorf("two requests cost %v", got)
		}
		taker.send(wire.Pubmsg, taker.nick+"!PUBLIC!"+strings.Repeat("orderbook !", 3600)+"orderbook ")
		maker.wantLines()
		if st := s.Status(); st.Reasons[DroppedMalformed] != 1 || spent() != 2 {
			t.Errorf("thousands of requests: %v, %v spent", st.Reasons, spent())
		}
		taker.wantConnected()
	})
}

// TestNoMessageOfATakerHasMakersClosed: makers answer each request in a message, as the reference client does, and stay
// within what they may send.
func TestNoMessageOfATakerHasMakersClosed(t *testing.T) {
	for _, requests := range []int{1, 2, 3, 100, 3601} {
		inBubble(t, nil, func(t *testing.T, s *Server) {
			maker, taker := joinMem(t, s, testNick(1), testLocation(1)), joinMem(t, s, testNick(2), wire.Location{})
			answer := maker.nick + "!" + taker.nick + "!sw0reloffer 0 27300 500000000 0 0.0002!tbond " + strings.Repeat("x", 500)
			for range 3 {
				taker.send(wire.Pubmsg, taker.nick+"!PUBLIC!"+strings.Repeat("orderbook !", requests-1)+"orderbook ")
				for _, m := range maker.lines() {
					for range strings.Count(m.Line, "orderbook") {
						maker.send(wire.Privmsg, answer)
					}
				}
				for range 30 {
					time.Sleep(time.Second)
					taker.m.take()
				}
			}
			maker.wantConnected()
			if st := s.Status(); st.Reasons[DroppedRatePrivate] != 0 {
				t.Errorf("%d requests in a message: answers are above their rate: %v", requests, st.Reasons)
			}
		})
	}
}
