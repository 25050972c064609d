package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// A circuit is what is known of one circuit of Tor, which is the only identity that a client cannot choose (protocol.md 8):
// what its connections have used up together, and how often one of them had to be closed.
type circuit struct {
	id uint64
	sharedBuckets
	flow      flow         // its shares of the budgets
	admitting atomic.Int32 // its connections that wait for their handshake
	waiting   int          // its connections that keep a place while they wait for a nick; guarded by handshakePool.mu

	// Guarded by circuits.mu.
	conns  int
	closes int   // connections closed for violations, since the circuit was last ended
	unused int64 // Server.now since which it has no connection
}

// circuits are those that are known. One without connections is remembered for a while: who comes back on it has used up
// what it had used up before.
type circuits struct {
	mu   sync.Mutex
	byID map[uint64]*circuit
	seen uint64 // how many there have been
}

const (
	// circuitMemory is how long a circuit without connections is remembered: its buckets are full again by then.
	circuitMemory = 10 * time.Minute
	// spareCircuits is how many are remembered beyond those that can have connections; above it those without
	// any are forgotten.
	spareCircuits = 100_000
)

// join counts a connection of a circuit. There can be at most so many connections.
func (cs *circuits) join(id uint64, conns int) *circuit {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byID == nil {
		cs.byID = make(map[uint64]*circuit)
	}
	via := cs.byID[id]
	if via == nil {
		if len(cs.byID) >= conns+spareCircuits {
			cs.forget(0)
		}
		via = &circuit{id: id}
		cs.seen++
		cs.byID[id] = via
	}
	via.conns++
	return via
}

// leave undoes join; closed says that the connection was closed for violations. It reports whether that was one too many:
// there are at most so many, 0 for any number, until the circuit is ended, and then they count anew.
func (cs *circuits) leave(via *circuit, now int64, closed bool, most int) (end bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if via.conns--; via.conns == 0 {
		via.unused = now
	}
	if !closed {
		return false
	}
	if via.closes++; most == 0 || via.closes < most {
		return false
	}
	via.closes = 0
	return true
}

// sweep forgets circuits that have had no connection for circuitMemory.
func (cs *circuits) sweep(now int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.forget(now)
}

// forget forgets circuits without connections, for now of 0 all of them. The lock must be held.
func (cs *circuits) forget(now int64) {
	for id, via := range cs.byID {
		if via.conns == 0 && (now == 0 || time.Duration(now-via.unused) >= circuitMemory) {
			delete(cs.byID, id)
		}
	}
}

// len returns how many circuits have connections, and how many there have been.
func (cs *circuits) len() (n int, seen uint64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, via := range cs.byID {
		if via.conns > 0 {
			n++
		}
	}
	return n, cs.seen
}

// CloseCircuits tells the server how to have a circuit closed by Tor (control-spec CLOSECIRCUIT), with all connections on it.
// closing is called in a goroutine of its own, and at most once at a time for a circuit. To be called before Serve.
func (s *Server) CloseCircuits(closing func(id uint64)) { s.closeCircuit = closing }

// endCircuit bans a circuit whose connections had to be closed too often, ends those that it has, and has Tor close it.
func (s *Server) endCircuit(id uint64) {
	s.count.circuitsClosed.Add(1)
	d := s.opt().Circuits.Ban
	s.bans.put(Ban{Kind: BanCircuit, Subject: circuitSubject(id), Reason: "violations",
		Created: time.Now().UTC().Truncate(time.Second), Expires: time.Now().UTC().Truncate(time.Second).Add(d)})
	s.dismiss(s.find(Target{Circuit: id}), EvictedCircuit)
	if s.closeCircuit != nil {
		s.wg.Go(func() { s.closeCircuit(id) })
	}
}
