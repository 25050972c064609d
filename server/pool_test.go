package server

import (
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// halfOpen opens n connections that say nothing.
func halfOpen(t *testing.T, s *Server, n int) (all []*memPeer) {
	t.Helper()
	for range n {
		p := connectMem(t, s, 1<<20)
		p.lines() // one after the other
		all = append(all, p)
	}
	return all
}

// wantWaiting wants the newcomers to be here, and not answered.
func wantWaiting(t *testing.T, waiting ...*memPeer) {
	t.Helper()
	for _, p := range waiting {
		p.wantConnected()
		p.wantLines()
	}
}

// TestWhoWaitsForItsNickOutlastsAFloodOfHalfOpenConnections: it has said who it is, and waits for us.
func TestWhoWaitsForItsNickOutlastsAFloodOfHalfOpenConnections(t *testing.T) {
	few := func(o *Options) { scarceTakeOvers(o); o.MaxHandshakes = 8 }
	t.Run("for a sign of life and for the price", func(t *testing.T) {
		inBubble(t, few, func(t *testing.T, s *Server) {
			joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
			time.Sleep(time.Minute)
			newcomer := connectMem(t, s, 1<<20)
			newcomer.hello(testNick(1), wire.Location{})
			wantWaiting(t, newcomer)
			flood := halfOpen(t, s, 30)
			flood[0].wantEnded(s, EvictedPool)
			wantWaiting(t, newcomer)
			spendDeliveries(s)
			time.Sleep(s.opt().ConflictTimeout + time.Second)
			halfOpen(t, s, 30)
			wantWaiting(t, newcomer)
			freeDeliveries(s)
			wantAccepted(t, newcomer)
		})
	})
	t.Run("for what the owner has said", func(t *testing.T) {
		inBubble(t, func(o *Options) { scarceOrderbook(o); o.MaxHandshakes = 8 }, func(t *testing.T, s *Server) {
			heldPeer(t, s).m.closeClient()
			newcomer := connectMem(t, s, 1<<20)
			newcomer.hello(testNick(1), wire.Location{})
			wantWaiting(t, newcomer)
			halfOpen(t, s, 30)
			wantWaiting(t, newcomer)
			time.Sleep(s.opt().Patience + s.opt().DepartureDelay)
			wantAccepted(t, newcomer)
		})
	})
	t.Run("for an announcement", func(t *testing.T) {
		inBubble(t, few, func(t *testing.T, s *Server) {
			joinMem(t, s, testNick(1), testLocation(1)).m.closeClient()
			synctest.Wait() // it has left
			newcomer := connectMem(t, s, 1<<20)
			newcomer.hello(testNick(1), wire.Location{})
			wantWaiting(t, newcomer)
			halfOpen(t, s, 30)
			time.Sleep(s.opt().DepartureDelay)
			wantAccepted(t, newcomer)
		})
	})
	t.Run("for the price, with a proof", func(t *testing.T) {
		inBubble(t, few, func(t *testing.T, s *Server) {
			prover := testProver(1)
			joinMem(t, s, prover.nick, testLocation(1))
			spendDeliveries(s)
			newcomer := proveMem(t, s, prover, wire.Location{})
			halfOpen(t, s, 30)
			wantWaiting(t, newcomer)
			freeDeliveries(s)
			newcomer.wantLines(resultLine(wire.ProofOK))
		})
	})
}

// TestThoseWhoWaitForANickHaveAShareOfThePool: whoever has many wait takes the places of no more than that, and who speaks at once gets in.
func TestThoseWhoWaitForANickHaveAShareOfThePool(t *testing.T) {
	const places = 8 * waitingShare
	inBubble(t, func(o *Options) { o.MaxHandshakes = places }, func(t *testing.T, s *Server) {
		joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		time.Sleep(time.Minute)
		var waiting []*memPeer
		for range places {
			p := connectMem(t, s, 1<<20)
			p.hello(testNick(1), wire.Location{})
			p.lines()
			waiting = append(waiting, p)
		}
		wantWaiting(t, waiting...) // as long as nobody else wants their places
		flood := halfOpen(t, s, places)
		wantWaiting(t, waiting[:places/waitingShare]...)
		for _, p := range waiting[places/waitingShare:] {
			p.wantEnded(s, EvictedPool)
		}
		if n := s.pool.len(); n != places {
			t.Errorf("%d in handshake, want %d", n, places)
		}
		joinMem(t, s, testNick(2), wire.Location{})
		flood[len(flood)-1].wantConnected()
		time.Sleep(2 * s.opt().HandshakeTimeout)
		s.pool.mu.Lock()
		defer s.pool.mu.Unlock()
		if w, o := s.pool.waiting, s.pool.others; w != (byAge{}) || o != (byAge{}) {
			t.Errorf("%d and %d are left in the pool", w.n, o.n)
		}
	})
}

// TestThoseWhoWaitForANickOnOneCircuitAreFew: one circuit does not take the places of all who wait.
func TestThoseWhoWaitForANickOnOneCircuitAreFew(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxHandshakes = 8 * maxWaiting }, func(t *testing.T, s *Server) {
		joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		time.Sleep(time.Minute)
		var greedy []*memPeer
		for range 4 * maxWaiting {
			p := connectOnCircuit(t, s, 7)
			p.hello(testNick(1), wire.Location{})
			p.lines()
			greedy = append(greedy, p)
		}
		honest := connectOnCircuit(t, s, 8)
		honest.hello(testNick(1), wire.Location{})
		honest.lines()
		halfOpen(t, s, 8*maxWaiting)
		wantWaiting(t, greedy[:maxWaiting]...)
		for _, p := range greedy[maxWaiting:] {
			p.wantEnded(s, EvictedPool)
		}
		wantWaiting(t, honest)
		via := greedy[0].c.via
		time.Sleep(2 * s.opt().HandshakeTimeout)
		s.pool.mu.Lock()
		defer s.pool.mu.Unlock()
		if via.waiting != 0 {
			t.Errorf("%d count as waiting on a circuit without connections", via.waiting)
		}
	})
}

// fullOfWaiting is a pool of which a part waits for a nick, since 1, and who waits, oldest first.
func fullOfWaiting(t *testing.T) (p *handshakePool, waiting []*conn, o Options) {
	t.Helper()
	p, o = &handshakePool{}, DefaultOptions()
	o.MaxHandshakes = 4 * waitingShare
	p.set(&o)
	for i := range o.MaxHandshakes {
		c := &conn{}
		if p.add(c, 1) != nil {
			t.Fatal("somebody was given up")
		}
		if p.wait(c, 1); i < 4 {
			waiting = append(waiting, c)
		}
	}
	if p.waiting.n != len(waiting) {
		t.Fatalf("%d wait, want %d", p.waiting.n, len(waiting))
	}
	return p, waiting, o
}

// TestPoolWithTooManyWhoWaitGivesUpItsOldest: it does not grow when it is made smaller.
func TestPoolWithTooManyWhoWaitGivesUpItsOldest(t *testing.T) {
	p, waiting, o := fullOfWaiting(t)
	o.MaxHandshakes = 2
	p.set(&o)
	for p.others.n > 0 {
		p.remove(p.others.oldest)
	}
	if got := p.add(&conn{}, 2); got != waiting[0] {
		t.Errorf("%p was given up, want the oldest, %p", got, waiting[0])
	}
	p.wait(waiting[0], 2) // it ends soon, and has no place any more
	p.remove(waiting[0])
	if n := p.len(); n != 4 || p.waiting.n != 3 {
		t.Errorf("%d in the pool, %d wait", n, p.waiting.n)
	}
}

// TestNobodyKeepsAPlaceForLongerThanANickCanTake: a nick that has one owner after the other is waited for without end.
func TestNobodyKeepsAPlaceForLongerThanANickCanTake(t *testing.T) {
	p, waiting, _ := fullOfWaiting(t)
	oldest := p.others.oldest
	if got := p.add(&conn{}, int64(p.longest)); got != oldest {
		t.Errorf("%p was given up, want the oldest of those who do not wait, %p", got, oldest)
	}
	if got := p.add(&conn{}, 1+int64(p.longest)); got != waiting[0] {
		t.Errorf("%p was given up, want who has waited for the longest, %p", got, waiting[0])
	}
}

func TestReloadChangesTheBoundOfThePool(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		o := s.opt().Options
		o.MaxHandshakes = 2
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		all := halfOpen(t, s, 3)
		all[0].wantEnded(s, EvictedPool)
		all[1].wantConnected()
		all[2].wantConnected()
	})
}
