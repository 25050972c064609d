package main

import (
	"context"
	"fmt"

	"jm-directory-server/cmd/terminal"
)

// private measures private messages between pairs: a window of each, or one at a time.
func (b *bench) private(ctx context.Context) error {
	f, j, err := b.newFleet(ctx, 2*b.o.pairs, b.o.pairs)
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	if b.o.light {
		return b.pingPong(ctx, f)
	}
	return b.saturate(ctx, f, b.o.window)
}

// saturate has the first of each pair keep window messages in flight to the second.
func (b *bench) saturate(ctx context.Context, f *fleet, window int) error {
	pairs := len(f.peers) / 2
	ph := newPhase(f)
	ph.pairs = true
	for i := range pairs {
		if err := ph.addPrivate(f.peers[i], f.peers[pairs+i], b.o.size); err != nil {
			return err
		}
	}
	ph.addSlots(pairs)
	how := fmt.Sprintf("%d each", window)
	res, deliveries, sent, err := b.do(ctx, f, run{
		phase: ph, start: func() { ph.start(window) }, depth: window, length: b.o.duration,
		title: rateTitle("private, "+how, b.o.duration),
	})
	if err != nil {
		return err
	}
	b.privateResult(res, terminal.Counted(pairs, "pair")+", "+how, deliveries, sent)
	return nil
}

// pingPong has one message at a time under way: of one pair there and back, then of the next pair.
func (b *bench) pingPong(ctx context.Context, f *fleet) error {
	pairs := len(f.peers) / 2
	ph := newPhase(f)
	ph.pairs, ph.light = true, true
	for i := range pairs {
		for _, p := range [][2]*peer{{f.peers[i], f.peers[pairs+i]}, {f.peers[pairs+i], f.peers[i]}} {
			if err := ph.addPrivate(p[0], p[1], b.o.size); err != nil {
				return err
			}
		}
	}
	r := run{phase: ph, length: b.o.duration, title: rateTitle("private, one at a time", b.o.duration)}
	how := "one at a time"
	if b.o.rate > 0 {
		how = fmt.Sprintf("%s a second", number(b.o.rate))
		r.pump = func(ctx context.Context) int64 { return ph.pump(ctx, ph.senders, b.o.rate) }
	} else {
		ph.addSlots(1)
		r.start, r.depth = func() { ph.start(1) }, 1
	}
	res, deliveries, sent, err := b.do(ctx, f, r)
	if err != nil {
		return err
	}
	b.privateResult(res, terminal.Counted(pairs, "pair")+", "+how, deliveries, sent)
	return nil
}

func (b *bench) privateResult(res *result, how string, deliveries, sent int64) {
	res.Scenario = "private"
	res.Title = "private " + how
	res.Figures = figures{
		{"deliveries_per_second", float64(deliveries) / res.Seconds, "deliveries/s"},
		{"messages_per_second", float64(sent) / res.Seconds, "messages/s sent"},
	}
	b.results = append(b.results, res)
}
