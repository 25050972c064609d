package main

import (
	"context"
	"time"
)

// A step is a part of "all": a fleet of its own, and what is measured with it.
type step struct {
	name string
	set  func(o *options) // on a copy of the options
	run  func(b *bench, ctx context.Context) error
}

// steps are the rows of "all", in order. Numbers of peers are scaled by --scale, except for those of windows and
// slow peers.
func steps(scale float64) []step {
	n := func(peers int) int { return max(4, int(float64(peers)*scale+.5)) }
	share := func(s float64) func(o *options) {
		return func(o *options) { o.peers, o.share = n(1000), s }
	}
	answers := func(makers int) func(o *options) {
		return func(o *options) { o.makers, o.rounds = n(makers), 9 }
	}
	return []step{
		// First, for the memory of a server that has just started is what its peers need.
		{"ramp", func(o *options) { o.peers = n(10_000) }, (*bench).crowd},
		{"broadcast", func(o *options) { o.peers = n(1000) }, (*bench).windows},
		{"broadcast", func(o *options) { o.peers, o.window = n(100), 16 }, (*bench).broadcast},
		{"broadcast", func(o *options) { o.peers, o.window = n(5000), 16 }, (*bench).broadcast},
		{"private", func(o *options) { o.pairs, o.window = n(100), 16 }, (*bench).private},
		{"private", func(o *options) { o.pairs, o.light = n(100), true }, (*bench).private},
		{"churn", share(.25), (*bench).churn},
		{"churn", share(.5), (*bench).churn},
		{"reconnect", func(o *options) { o.peers = n(1000) }, (*bench).reconnect},
		{"slow", func(o *options) { o.peers, o.slow, o.window, o.duration = n(100), 1, 16, time.Minute }, (*bench).slow},
		{"overload", func(o *options) { o.peers, o.pairs, o.factor = n(500), max(1, int(10*scale+.5)), 1.5 }, (*bench).overload},
		{"orderbook", answers(100), (*bench).orderbook},
		{"orderbook", answers(500), (*bench).orderbook},
		{"orderbook", answers(1000), (*bench).orderbook},
		{"limit", func(o *options) { o.peers, o.pid = n(1000), 0 }, (*bench).yardstick},
	}
}

// everything runs all steps. One that fails is reported and does not keep the others from running.
func (b *bench) everything(ctx context.Context) error {
	given := *b.o
	defer func() { *b.o = given }()
	for _, s := range steps(given.scale) {
		*b.o = given
		s.set(b.o)
		if err := s.run(b, ctx); err != nil {
			if ctx.Err() != nil {
				return err
			}
			b.results = append(b.results, &result{Scenario: s.name, Title: s.name, Peers: b.o.peers, Failure: err.Error()})
		}
		// The directory may still have to tell of those who have just left.
		if err := b.pause(ctx, settleTime); err != nil {
			return err
		}
	}
	return nil
}

// windows measures three windows and a burst with one fleet.
func (b *bench) windows(ctx context.Context) error {
	f, j, err := b.newFleet(ctx, b.o.peers, 0)
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	for _, window := range []int{1, 16, 128} {
		if err := b.closedLoop(ctx, f, window); err != nil {
			return err
		}
	}
	return b.burst(ctx, f)
}

// crowd measures joining, idle memory and the list of peers with one fleet, of which all but one serve.
func (b *bench) crowd(ctx context.Context) error {
	f, err := newFleet(b.o, b.ids, b.o.peers, b.o.peers-1)
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.rampOf(ctx, f); err != nil {
		return err
	}
	if b.results[len(b.results)-1].Faults.any() {
		return nil // said there; a list would miss those who were refused
	}
	return b.peerlistOf(ctx, f, len(f.peers)-1, 5)
}
