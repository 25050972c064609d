package server

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

func TestConnectionsOfOneCircuitShareItsLimits(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Circuits.Private = Rate{PerSecond: 1, Burst: 10}
	}, func(t *testing.T, s *Server) {
		var p [2]*memPeer
		for i := range p {
			p[i] = connectOnCircuit(t, s, 7)
			p[i].hello(testNick(i), wire.Location{})
			p[i].lines()
		}
		target := joinMem(t, s, testNick(9), wire.Location{})
		free := connectOnCircuit(t, s, 8)
		free.hello(testNick(8), wire.Location{})
		free.lines()
		for range 10 {
			for _, p := range append(p[:], free) {
				p.send(wire.Privmsg, p.nick+"!"+target.nick+"!fill 0")
			}
		}
		if n := len(target.lines()); n != 20 {
			t.Errorf("%d messages came at once, want 10 of either circuit", n)
		}
		time.Sleep(11 * time.Second)
		if n := len(target.lines()); n != 10 {
			t.Errorf("%d messages came later, want the 10 that were held back", n)
		}
	})
}

func TestHandshakesAreLimitedByCircuitAndTheOthersGetIn(t *testing.T) {
	inBubble(t, func(o *Options) { o.Circuits.Handshakes = Rate{PerSecond: 0.1, Burst: 5} }, func(t *testing.T, s *Server) {
		var flood []*memPeer
		for i := range 20 {
			p := connectOnCircuit(t, s, 7)
			p.hello(testNick(i), wire.Location{})
			flood = append(flood, p)
		}
		synctest.Wait()
		in := 0
		for _, p := range flood {
			if got := p.lines(); len(got) == 1 && accepted(t, got[0]) {
				in++
			}
		}
		if in != 5 {
			t.Errorf("%d of a circuit got in, want 5", in)
		}
		if n := s.Status().Reasons[RefusedRate]; n != 15 {
			t.Errorf("%d refused, want 15: they would have to wait for longer than %v", n, maxHold)
		}
		honest := connectOnCircuit(t, s, 8)
		honest.hello(testNick(99), wire.Location{})
		if got := honest.lines(); len(got) != 1 || !accepted(t, got[0]) {
			t.Errorf("an honest client got %v", got)
		}
	})
}

func TestCircuitWithoutConnectionsIsRememberedAndThenForgotten(t *testing.T) {
	inBubble(t, func(o *Options) { o.Circuits.Handshakes = Rate{PerSecond: 0.01, Burst: 2} }, func(t *testing.T, s *Server) {
		join := func() *memPeer {
			p := connectOnCircuit(t, s, 7)
			p.hello(testNick(1), wire.Location{})
			synctest.Wait()
			p.m.closeClient()
			time.Sleep(10 * time.Second)
			return p
		}
		join()
		join()
		join().wantEnded(s, RefusedRate) // leaving does not fill the bucket
		synctest.Wait()
		if used, seen := s.circuits.len(); known(&s.circuits) != 1 || used != 0 || seen != 1 {
			t.Errorf("%d circuits known, %d with connections, %d seen", known(&s.circuits), used, seen)
		}
		time.Sleep(circuitMemory + s.opt().SweepInterval)
		synctest.Wait() // the sweep may be of this very moment
		if known(&s.circuits) != 0 {
			t.Error("the circuit is never forgotten")
		}
	})
}

func TestCircuitIsClosedWhenTooManyOfItsConnectionsHadToBe(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxViolations, o.Circuits.MaxCloses = 3, 2 }, func(t *testing.T, s *Server) {
		var mu sync.Mutex
		var closed []uint64
		s.CloseCircuits(func(id uint64) { mu.Lock(); closed = append(closed, id); mu.Unlock() })
		bystander := connectOnCircuit(t, s, 7)
		bystander.hello(testNick(9), wire.Location{})
		other := connectOnCircuit(t, s, 8)
		other.hello(testNick(8), wire.Location{})
		abuse(t, s, 1)
		bystander.wantConnected()
		abuse(t, s, 2)
		bystander.wantEnded(s, EvictedCircuit)
		other.wantConnected()
		mu.Lock()
		if !slices.Equal(closed, []uint64{7}) {
			t.Errorf("Tor was asked to close %v, want circuit 7 once", closed)
		}
		mu.Unlock()
		connectOnCircuit(t, s, 7).wantEnded(s, EvictedBanned)
		if st := s.Status(); st.CircuitsClosed != 1 {
			t.Errorf("%d circuits closed", st.CircuitsClosed)
		}
	})
}

// abuse has a connection of circuit 7 closed for violations, unless the circuit is banned.
func abuse(t *testing.T, s *Server, i int) {
	p := connectOnCircuit(t, s, 7)
	p.hello(testNick(i), wire.Location{})
	for range s.opt().MaxViolations + 2 {
		p.send(wire.Pubmsg, testNick(50)+"!PUBLIC!forged")
	}
	p.lines()
	time.Sleep(10 * time.Second)
}

// TestCircuitIsClosedAlsoWhenMoreIsAllowedNoLonger: a bound that is set below what a circuit already has holds from the next
// time on.
func TestCircuitIsClosedAlsoWhenMoreIsAllowedNoLonger(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxViolations, o.Circuits.MaxCloses = 3, 5 }, func(t *testing.T, s *Server) {
		for i := range 3 {
			abuse(t, s, 1+i)
		}
		o := s.opt().Options
		o.Circuits.MaxCloses = 2
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		if n := s.Status().CircuitsClosed; n != 0 {
			t.Errorf("%d circuits closed by a reload", n)
		}
		abuse(t, s, 5)
		if n := s.Status().CircuitsClosed; n != 1 {
			t.Errorf("%d circuits closed, want 1", n)
		}
	})
}

// TestCircuitIsClosedAgainAfterItsBan: who kept on coming while the circuit was banned is remembered, and not let off for it.
func TestCircuitIsClosedAgainAfterItsBan(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxViolations, o.Circuits.MaxCloses = 3, 2 }, func(t *testing.T, s *Server) {
		abuse(t, s, 1)
		abuse(t, s, 2)
		for until := time.Now().Add(s.opt().Circuits.Ban); time.Now().Before(until); time.Sleep(circuitMemory / 2) {
			abuse(t, s, 3)
		}
		if n := s.Status().CircuitsClosed; n != 1 {
			t.Errorf("%d circuits closed, want 1", n)
		}
		abuse(t, s, 4)
		abuse(t, s, 5)
		if n := s.Status().CircuitsClosed; n != 2 {
			t.Errorf("%d circuits closed, want the same once more", n)
		}
	})
}

// TestWhatHonestPeersDoIsNeitherDroppedNorClosed states what the defaults let through (protocol.md 10.6, 9.3).
func TestWhatHonestPeersDoIsNeitherDroppedNorClosed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		const makers = 300
		taker := joinMem(t, s, testNick(1000), wire.Location{})
		all := make([]*memPeer, makers)
		for i := range all { // each on a circuit of its own
			all[i] = connectOnCircuit(t, s, uint64(i+1))
			all[i].hello(testNick(i), testLocation(i))
			all[i].lines()
			for offer := range 40 {
				all[i].send(wire.Pubmsg, all[i].nick+"!PUBLIC!sw0reloffer "+string(rune('0'+offer%10))+" 1 2 0 0.1")
			}
		}
		if got := len(taker.lines()); got != makers*40 {
			t.Fatalf("%d announcements came, want %d", got, makers*40)
		}
		taker.send(wire.Pubmsg, taker.nick+"!PUBLIC!orderbook")
		for _, m := range all {
			m.send(wire.Privmsg, m.nick+"!"+taker.nick+"!sw0reloffer 0 1 2 0 0.1!tbond "+string(make650()))
		}
		answers := 0
		for _, m := range taker.lines() {
			if m.Type == wire.Privmsg {
				answers++
			}
		}
		if answers != makers {
			t.Errorf("%d answers, want %d", answers, makers)
		}
		st := s.Status()
		for reason, n := range st.Reasons {
			if reason.Kind() == "dropped" || reason.Kind() == "evicted" || reason == ClosedViolation {
				t.Errorf("%d %s %s", n, reason.Kind(), reason)
			}
		}
	})
}

func make650() []byte {
	b := make([]byte, 650)
	for i := range b {
		b[i] = 'A'
	}
	return b
}

func TestCircuitsWithoutConnectionsAreForgottenWhenThereAreTooMany(t *testing.T) {
	var cs circuits
	kept := cs.join(1, 10)
	for id := range uint64(2 * spareCircuits) {
		cs.leave(cs.join(id+2, 10), 1, false, 0)
	}
	if n := len(cs.byID); n > 10+spareCircuits {
		t.Errorf("%d circuits are remembered", n)
	}
	if cs.byID[1] != kept {
		t.Error("a circuit with a connection was forgotten")
	}
}

// known returns how many circuits are remembered.
func known(cs *circuits) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.byID)
}
