package main

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
)

var (
	flooded = powSight{circuits: 60, handshaking: 0.9}
	quiet   = powSight{circuits: 1}
)

func TestPoWRateFollowsLastingLoadOnly(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sight  powSight
		during time.Duration
		now    int
		want   int
	}{
		{"overload of minutes halves it", flooded, powOverload, 250, 125},
		{"a short one does not", flooded, powOverload - powLook, 250, 250},
		{"never below the least", flooded, powOverload, 20, 15},
		{"the least stays", flooded, powOverload, 15, 15},
		{"refusals are overload", powSight{circuits: 60, refused: 3}, powOverload, 250, 125},
		{"so are messages that wait for a budget", powSight{circuits: 60, waiting: 50}, powOverload, 250, 125},
		{"so is a process that uses its cores", powSight{circuits: 60, cores: 0.95}, powOverload, 250, 125},
		{"load that is not of newcomers is none", powSight{circuits: 1, waiting: 50, cores: 1, refused: 9, handshaking: 1}, time.Hour, 250, 250},
		{"a long calm doubles it", quiet, powCalm, 100, 200},
		{"never above what is configured", quiet, powCalm, 200, 250},
		{"a shorter calm does not", quiet, powCalm - powLook, 100, 100},
		{"an effort is not thrown away in calm", powSight{effort: 7}, 2 * powCalm, 100, 100},
		{"between overload and calm nothing changes", powSight{circuits: 60, handshaking: 0.6}, time.Hour, 100, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, rate := powState{changed: powPace}, tt.now
			for d := time.Duration(0); d < tt.during; d += powLook {
				rate = p.next(tt.sight, powLook, tt.now, 250)
			}
			if rate != tt.want {
				t.Errorf("%d, want %d", rate, tt.want)
			}
		})
	}
}

func TestPoWLoadThatComesAndGoesChangesNothing(t *testing.T) {
	p := powState{changed: powPace}
	for i := range 1000 {
		s := flooded
		if i%10 == 9 {
			s = quiet
		}
		if rate := p.next(s, powLook, 250, 250); rate != 250 {
			t.Fatalf("%d after %d looks", rate, i)
		}
	}
}

// fakePoW is an onion service with a rate.
type fakePoW struct {
	rates  []int
	bursts []int
	at     []time.Time
	err    error
	rate   int
}

func (f *fakePoW) State() onion.State { return onion.State{PoW: true, PoWQueueRate: f.rate} }

func (f *fakePoW) SetPoW(_ context.Context, rate, burst int) error {
	f.rates, f.bursts, f.at = append(f.rates, rate), append(f.bursts, burst), append(f.at, time.Now())
	if f.err == nil {
		f.rate = rate
	}
	return f.err
}

// tune runs a tuner for an hour of flood and, unless that made it end, three hours of calm.
func tune(t *testing.T, tor *fakePoW) {
	synctest.Test(t, func(t *testing.T) {
		config := DefaultConfig()
		tor.rate = config.Tor.PoWQueueRate
		log := logrus.New()
		log.SetOutput(io.Discard)
		begin := time.Now()
		flood := func() bool { return time.Since(begin) < time.Hour }
		tuner := &powTuner{tor: tor, log: log, config: func() *Config { return &config }, cpu: func() float64 { return 0 },
			status: func() server.Status {
				st := server.Status{CircuitsSeen: uint64(min(time.Since(begin), time.Hour).Seconds() * 60)}
				if flood() {
					st.Handshaking = config.Limits.MaxHandshakes
				}
				return st
			}}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
		defer cancel()
		tuner.keep(ctx)
	})
}

func TestPoWTunerGoesDownAndUpWithPauses(t *testing.T) {
	tor := &fakePoW{}
	tune(t, tor)
	down, up := 0, 0
	for i, rate := range tor.rates {
		before := 250
		if i > 0 {
			before = tor.rates[i-1]
			if d := tor.at[i].Sub(tor.at[i-1]); d < powPace {
				t.Errorf("two changes within %v", d)
			}
		}
		if rate < before {
			down++
		} else {
			up++
		}
		if tor.bursts[i] != 10*rate {
			t.Errorf("burst %d for a rate of %d, want the same proportion as configured", tor.bursts[i], rate)
		}
	}
	if down != 4 || up != 5 || tor.rate != 250 {
		t.Errorf("rates %v: want down to 15 in the flood, and up to 250 in the calm", tor.rates)
	}
}

func TestPoWTunerEndsWhereTorCannotChange(t *testing.T) {
	tor := &fakePoW{err: onion.ErrNotLive}
	tune(t, tor)
	if len(tor.rates) != 1 {
		t.Errorf("%d attempts, want one", len(tor.rates))
	}
}

func TestPoWTunerDoesNotPress(t *testing.T) {
	tor := &fakePoW{err: onion.ErrTooSoon}
	tune(t, tor)
	if n := len(tor.rates); n < 2 || n > 5 {
		t.Errorf("%d attempts in an hour, want one every %v", n, powPace)
	}
}
