package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
)

// A powTuner lowers and raises how many introductions a second Tor lets through while proof of work is asked for
// (tor.pow_queue_rate). Tor raises the effort by itself when more come than that; what Tor cannot know is that they are too
// many for the directory. A change is not free: Tor begins with an effort of 0 again, and for a second or two nobody new gets
// in (onion.Service.SetPoW). So it is made only where newcomers are the load, after overload of minutes, and taken back after
// a long calm in which no effort is asked for.
type powTuner struct {
	tor    powService
	status func() server.Status
	cpu    func() float64 // seconds that the process has used
	config func() *Config // in force
	log    logrus.FieldLogger
}

// powService is what the tuner needs of an onion.Service.
type powService interface {
	State() onion.State
	SetPoW(ctx context.Context, rate, burst int) error
}

const (
	// powLook is how often the load is looked at.
	powLook = 15 * time.Second
	// powOverload is how long overload must last until the rate is lowered, powCalm how long there must be none until it is raised.
	powOverload, powCalm = 4 * time.Minute, 30 * time.Minute
	// powPace is the least time between two changes. Tor decides about the effort every 5 minutes, and has to have had the
	// chance to.
	powPace = 12 * time.Minute
	// powStep is the factor of a change, powRange the one between the configured rate and the least.
	powStep, powRange = 2, 16
	// powFew is how many new circuits a second are no flood, whatever else is wrong: proof of work would not help.
	powFew = 5
)

// powSight is what one look shows.
type powSight struct {
	circuits    float64 // new ones a second
	handshaking float64 // part of limits.max_handshakes that is used
	refused     float64 // handshakes refused for their rate, a second
	waiting     int     // public messages that wait for a budget
	cores       float64 // part of the cores that is used
	effort      int     // asked of clients; -1: not known
}

// overloaded reports whether newcomers are too many for the directory: many circuits come, and it shows.
func (s powSight) overloaded() bool {
	return s.circuits > powFew && (s.handshaking >= 0.8 || s.refused >= 1 || s.waiting >= 10 || s.cores >= 0.9)
}

// calm reports whether there is nothing of that, with a distance, and no effort that a change would throw away.
func (s powSight) calm() bool {
	return s.handshaking < 0.4 && s.refused == 0 && s.waiting == 0 && s.cores < 0.6 && s.effort <= 0
}

// powState is what the tuner remembers between two looks.
type powState struct {
	overload, calm time.Duration // how long it has lasted without a break
	changed        time.Duration // since the last change
}

// next returns the rate to have after a look, a time of d after the one before; now is the rate in force and most the
// configured one.
func (p *powState) next(s powSight, d time.Duration, now, most int) int {
	p.changed += d
	switch {
	case s.overloaded():
		p.overload, p.calm = p.overload+d, 0
	case s.calm():
		p.overload, p.calm = 0, p.calm+d
	default:
		p.overload, p.calm = 0, 0
	}
	least := max(1, most/powRange)
	switch {
	case p.changed < powPace:
	case p.overload >= powOverload && now > least:
		return max(least, now/powStep)
	case p.calm >= powCalm && now < most:
		return min(most, now*powStep)
	}
	return now
}

// keep looks and changes until ctx ends, or until this Tor turns out to offer no way to.
func (t *powTuner) keep(ctx context.Context) {
	state := powState{changed: powPace}
	tick := time.NewTicker(powLook)
	defer tick.Stop()
	last, lastCPU, lastTime := t.status(), t.cpu(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st, cpu, now, tor := t.status(), t.cpu(), time.Now(), t.tor.State()
		d := now.Sub(lastTime)
		c := t.config()
		sight := powSight{
			circuits:    float64(st.CircuitsSeen-last.CircuitsSeen) / d.Seconds(),
			handshaking: float64(st.Handshaking) / float64(c.Limits.MaxHandshakes),
			refused:     float64(st.Reasons[server.RefusedRate]-last.Reasons[server.RefusedRate]) / d.Seconds(),
			waiting:     st.Waiting, cores: (cpu - lastCPU) / d.Seconds() / float64(runtime.GOMAXPROCS(0)),
			effort: tor.Effort,
		}
		last, lastCPU, lastTime = st, cpu, now
		if !tor.PoW {
			return
		}
		rate := state.next(sight, d, tor.PoWQueueRate, c.Tor.PoWQueueRate)
		if rate == tor.PoWQueueRate {
			continue
		}
		state.changed = 0
		burst := max(rate, c.Tor.PoWQueueBurst*rate/c.Tor.PoWQueueRate)
		switch err := t.tor.SetPoW(ctx, rate, burst); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, onion.ErrNotLive):
			t.log.WithError(err).Info("proof of work is not tuned")
			return
		case err != nil: // tried again after powPace
			t.log.WithError(err).Warn("the rate of newcomers behind proof of work was not changed")
		default:
			t.log.WithFields(logrus.Fields{"rate": rate, "before": tor.PoWQueueRate, "circuits_per_second": int(sight.circuits)}).
				Info("changed how many newcomers a second proof of work lets through")
		}
	}
}
