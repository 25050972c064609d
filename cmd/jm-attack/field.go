package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"jm-directory-server/server/wire"
)

// A field is where one attack happens: a server, honest peers on it, and what the attack may use.
type field struct {
	*directory
	honest  *group
	quick   bool
	circuit atomic.Uint32 // the last one that was used
	work    sync.WaitGroup
}

// fresh is a circuit that nobody has used.
func (f *field) fresh() uint32 { return f.circuit.Add(1) }

// connect connects on a circuit. It ends with ctx.
func (f *field) connect(ctx context.Context, circuit uint32) (*stream, error) {
	conn, err := dial(ctx, f.socket(), circuit)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return newStream(conn, 0), nil
}

// join connects and shakes hands.
func (f *field) join(ctx context.Context, circuit uint32, g greeting) (*stream, error) {
	s, err := f.connect(ctx, circuit)
	if err != nil {
		return nil, err
	}
	if err := s.handshake(g); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// stranger is somebody with a fresh nick.
func stranger() greeting { return greeting{identity: newIdentity()} }

// swallow reads all that comes and forgets it.
func (f *field) swallow(s *stream) { f.work.Go(func() { io.Copy(io.Discard, s.conn) }) }

// each runs what in n goroutines again and again until ctx ends, at most perSecond times a second in all (0: as often as
// it goes), and waits for them.
func (f *field) each(ctx context.Context, n int, perSecond float64, what func(i int)) {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	l := rate.NewLimiter(limit, max(1, int(perSecond/50)))
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil && l.Wait(ctx) == nil {
				what(i)
			}
		})
	}
	all.Wait()
}

// crowd has n strangers join, onCircuit of them on each circuit, and swallow what comes.
func (f *field) crowd(ctx context.Context, n, onCircuit int) ([]*stream, []greeting, error) {
	streams, greetings := make([]*stream, n), make([]greeting, n)
	errs := make([]error, n)
	var joining sync.WaitGroup
	circuit := uint32(0)
	for i := range n {
		if i%onCircuit == 0 {
			circuit = f.fresh()
		}
		on := circuit
		joining.Go(func() {
			greetings[i] = stranger()
			if streams[i], errs[i] = f.join(ctx, on, greetings[i]); errs[i] == nil {
				f.swallow(streams[i])
			}
		})
	}
	joining.Wait()
	return streams, greetings, errors.Join(errs...)
}

// newcomerPause is the time between two newcomers, thinking the one between their connection and their first line: half
// a round trip through six relays.
const newcomerPause, thinking = 300 * time.Millisecond, 400 * time.Millisecond

// arrivals are newcomers that are honest: they come, ask for the list of peers, and leave.
type arrivals struct {
	mu       sync.Mutex
	in, out  int
	slowest  time.Duration // from the first line to the answer
	refusals map[string]int
}

// come lets newcomers come until ctx ends.
func (a *arrivals) come(ctx context.Context, connect func(ctx context.Context) (*stream, error)) {
	a.refusals = map[string]int{}
	var all sync.WaitGroup
	tick := time.NewTicker(newcomerPause)
	defer tick.Stop()
	for i := 0; ; i++ {
		all.Go(func() {
			took, err := a.one(context.WithoutCancel(ctx), i, connect)
			a.mu.Lock()
			defer a.mu.Unlock()
			if err != nil {
				a.out++
				a.refusals[err.Error()]++
				return
			}
			a.in++
			a.slowest = max(a.slowest, took)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			all.Wait()
			return
		}
	}
}

func (a *arrivals) one(ctx context.Context, i int, connect func(ctx context.Context) (*stream, error)) (time.Duration, error) {
	s, err := connect(ctx)
	if err != nil {
		return 0, err
	}
	defer s.conn.Close()
	time.Sleep(thinking)
	g := stranger()
	g.proves = i%2 == 0
	begin := time.Now()
	if err := s.handshake(g); err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	took := time.Since(begin)
	if err := s.send(wire.GetPeerlist, ""); err != nil {
		return 0, err
	}
	s.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	for {
		env, err := s.next()
		if err != nil {
			return 0, fmt.Errorf("list of peers: %w", err)
		}
		if env.Type == wire.Peerlist {
			return took, nil
		}
	}
}
