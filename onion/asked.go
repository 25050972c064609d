package onion

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// askEvery is how often Tor is asked for what it does not tell by itself.
	askEvery = 15 * time.Second
	// askWait is how long it may take to answer.
	askWait = 10 * time.Second
)

// asked keeps the newest answers.
type asked struct {
	mu       sync.Mutex
	circuits circuitCount
	pow      powParams
	// When the answers came; zero if there was none.
	circuitsAt, powAt time.Time
}

func (a *asked) fill(st *State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	st.Circuits, st.Joining, st.IntroPoints, st.PaidCircuits, st.TopEffort, st.Effort = -1, -1, -1, -1, -1, -1
	if !a.circuitsAt.IsZero() {
		c := a.circuits
		st.Circuits, st.Joining, st.IntroPoints, st.PaidCircuits, st.TopEffort = c.joined, c.joining, c.intro, c.paid, c.topEffort
		st.CircuitsAt = a.circuitsAt
	}
	if a.pow.on {
		st.Effort, st.SeedExpires, st.EffortAt = a.pow.effort, a.pow.expires, a.powAt
	}
}

// keepAsking asks at once, when the service is published, and then time after
// time, until life or the control channel ends.
func (s *Service) keepAsking(life context.Context) {
	tick := time.NewTicker(s.config.askEvery)
	defer tick.Stop()
	published := s.published
	for {
		s.ask(life)
		s.look(life)
		select {
		case <-life.Done():
			return
		case <-s.control.lost:
			return
		case <-published:
			published = nil
		case <-tick.C:
		}
	}
}

// look keeps the service in a Tor that is not ours, once.
func (s *Service) look(ctx context.Context) {
	if s.keep == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.keep(ctx); errors.Is(err, ErrServiceDropped) {
		select {
		case s.dropped <- err:
		default: // one is enough
		}
	}
}

// ask asks once. What is not answered keeps its value and its time: a Tor that
// has no descriptor yet has none to tell about either.
func (s *Service) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if c, err := s.circuits(ctx); err == nil {
		s.asked.mu.Lock()
		s.asked.circuits, s.asked.circuitsAt = c, time.Now()
		s.asked.mu.Unlock()
	}
	if !s.features.pow {
		return
	}
	if p, err := s.effort(ctx); err == nil {
		s.asked.mu.Lock()
		s.asked.pow, s.asked.powAt = p, time.Now()
		s.asked.mu.Unlock()
	}
}
