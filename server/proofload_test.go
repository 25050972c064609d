package server

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// proofFlood keeps n connections waiting for the result of a proof that costs as much as can be and is not good, until
// stop: each that gets its result leaves, and another comes.
type proofFlood struct {
	s    *Server
	n    int
	sent []byte // handshake and proof
	stop chan struct{}
	done sync.WaitGroup
}

func startProofFlood(b *testing.B, s *Server, n int) *proofFlood {
	owner := testProver(1)
	handshake := owner.handshake(wire.Location{})
	// The signature is of another challenge: right in form, and every step of the check has to be gone.
	proof := owner.proof(b, string(wire.NewChallenge(testID).AppendLine(nil)), handshake)
	f := &proofFlood{s: s, n: n, stop: make(chan struct{})}
	f.sent, _ = wire.AppendEnvelope(nil, wire.ClientHandshake, []byte(handshake))
	f.sent, _ = wire.AppendEnvelope(f.sent, wire.NickProof, []byte(proof))
	f.done.Go(f.run)
	return f
}

func (f *proofFlood) run() {
	for {
		select {
		case <-f.stop:
			return
		case <-time.After(time.Millisecond):
		}
		for range f.n - f.s.pool.len() {
			m := newMemTransport(1 << 20)
			m.Write(f.sent)
			m.closeClient()
			f.s.start(f.s.newConn(m, nil))
		}
	}
}

// end stops the flood. Those that still wait end with the server.
func (f *proofFlood) end() {
	close(f.stop)
	f.done.Wait()
}

// BenchmarkRoundTripDuringProofs is what established peers notice of strangers that have their proofs checked: the
// times of a private message there and back over sockets. "unbounded" is without the bound on checks at once.
func BenchmarkRoundTripDuringProofs(b *testing.B) {
	for _, c := range []struct {
		waiting int
		checks  int // at once; 0: as the server has it
	}{{0, 0}, {10_000, 0}, {10_000, 1 << 20}} {
		name := fmt.Sprintf("waiting=%d", c.waiting)
		if c.checks > 0 {
			name += ",unbounded"
		}
		b.Run(name, func(b *testing.B) {
			s := newServer(b, func(o *Options) { unlimited(o); proving(o); o.MaxHandshakes = c.waiting + 10 })
			if c.checks > 0 {
				s.checks = make(chan struct{}, c.checks)
			}
			echo := startEcho(b, s)
			if c.waiting > 0 {
				flood := startProofFlood(b, s, c.waiting)
				defer flood.end()
				eventually(b, "proofs are checked", func() bool { return len(s.checks) > 0 })
			}
			before, start := s.count.reasons[RefusedProofInvalid].Load(), time.Now()
			var took []time.Duration
			for b.Loop() {
				sent := time.Now()
				echo.roundTrip(b)
				took = append(took, time.Since(sent))
			}
			checked := s.count.reasons[RefusedProofInvalid].Load() - before
			slices.Sort(took)
			for _, q := range []struct {
				name string
				per  int // mille
			}{{"p50-µs", 500}, {"p99-µs", 990}, {"max-µs", 1000}} {
				b.ReportMetric(float64(took[(len(took)-1)*q.per/1000].Microseconds()), q.name)
			}
			b.ReportMetric(float64(checked)/time.Since(start).Seconds(), "proofs/s")
		})
	}
}
