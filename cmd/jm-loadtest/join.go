package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// joined is how a number of handshakes went.
type joined struct {
	latency histogram // of those accepted
	took    time.Duration
	refused []*peer
}

// join connects peers, with at most inFlight of them between connection and answer, and not faster than pace
// (nil: as fast as it goes). Whoever is refused is counted, and returned. progress is told how many have come. The
// error is the context's.
func (f *fleet) join(ctx context.Context, peers []*peer, inFlight int, pace *rate.Limiter, progress func(done int)) (*joined, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := now()
	outcomes := make(chan joinEvent, len(peers)) // each peer says it once, so nobody waits
	room := make(chan struct{}, inFlight)
	next := make(chan *peer)
	var dialers sync.WaitGroup
	defer dialers.Wait()
	defer cancel()
	dialers.Go(func() {
		defer close(next)
		for _, p := range peers {
			if pace != nil && pace.Wait(ctx) != nil {
				return
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case next <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	workers := 2
	if f.target.onion() {
		workers = inFlight
	}
	for range workers {
		dialers.Go(func() {
			for p := range next {
				began := now()
				fd, err := f.target.dial(ctx, p.id, f.socks)
				if err != nil {
					if ctx.Err() == nil { // else it was cut off by who called, which is nobody's refusal
						outcomes <- joinEvent{peer: p, refused: err.Error()}
					}
					continue
				}
				p.reader.do(func() { p.reader.adopt(p, fd, began, outcomes) })
			}
		})
	}
	j := &joined{}
	waiting := answerTimeout
	if f.target.onion() {
		waiting += circuitTimeout
	}
	silence := time.NewTimer(waiting)
	defer silence.Stop()
	for done := range len(peers) {
		select {
		case e := <-outcomes:
			<-room
			if progress != nil {
				progress(done + 1)
			}
			silence.Reset(waiting)
			if e.refused == "" {
				j.latency.record(e.took)
				j.took = time.Duration(now() - begin)
				continue
			}
			j.refused = append(j.refused, e.peer)
			f.mu.Lock()
			f.refused[e.refused]++
			f.mu.Unlock()
		case <-silence.C:
			return j, fmt.Errorf("join: %d of %d peers have no answer after %s of silence", len(peers)-done, len(peers), waiting)
		case <-ctx.Done():
			return j, fmt.Errorf("join: %w", context.Cause(ctx))
		}
	}
	return j, nil
}
