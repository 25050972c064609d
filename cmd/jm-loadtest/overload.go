package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// bystanderRate is how many private messages a second the pairs send meanwhile, all of them together.
const bystanderRate = 200

// overload measures what happens when more public messages are sent than can be delivered: first how many can, with a window
// that keeps the directory busy, then so many times that, while pairs of other peers write to each other.
func (b *bench) overload(ctx context.Context) error {
	n := b.o.peers
	f, err := newFleet(b.o, b.ids, n+2*b.o.pairs, 0)
	if err != nil {
		return err
	}
	defer f.close()
	loud, pairs := f.peers[:n], f.peers[n:]
	// What the pairs see must be the directory's doing, not that of a reader that is behind with all others.
	if err := f.readApart(pairs); err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	j, err := b.join(ctx, f, f.peers)
	if err != nil {
		return err
	}
	if err := b.all(f, j); err != nil {
		return err
	}

	const busy = 2048 // messages in flight
	ph, err := b.publicPhase(f, spread(loud, maxSenders))
	if err != nil {
		return err
	}
	ph.addSlots(busy)
	capacity, _, sent, err := b.do(ctx, f, run{
		phase: ph, start: func() { ph.start(1) }, depth: 1, length: b.o.duration, title: rateTitle("overload, what can be delivered", b.o.duration),
	})
	if err != nil {
		return err
	}
	possible := float64(sent) / capacity.Seconds
	if possible <= 0 {
		return fmt.Errorf("overload: nothing was delivered in %s", b.o.duration)
	}

	if ph, err = b.publicPhase(f, spread(loud, maxSenders)); err != nil {
		return err
	}
	ph.apart = true
	senders := ph.senders
	for i := range b.o.pairs {
		if err := ph.addPrivate(pairs[i], pairs[b.o.pairs+i], b.o.size); err != nil {
			return err
		}
	}
	rate := possible * b.o.factor
	var heldPrivate atomic.Int64
	res, deliveries, sent, err := b.do(ctx, f, run{
		phase: ph, length: b.o.duration, title: rateTitle(fmt.Sprintf("overload, %s a second", number(rate)), b.o.duration),
		pump: func(ctx context.Context) (held int64) {
			var beside sync.WaitGroup
			beside.Go(func() { heldPrivate.Add(ph.pump(ctx, ph.senders[len(senders):], bystanderRate)) })
			defer beside.Wait()
			return ph.pump(ctx, senders, rate)
		},
	})
	if err != nil {
		return err
	}
	res.Faults.add(capacity.Faults)
	res.Scenario = "overload"
	res.Title = fmt.Sprintf("overload %s peers, %s times what goes", number(float64(n)), number(b.o.factor))
	res.Figures = figures{
		{"deliveries_per_second", float64(deliveries) / res.Seconds, "deliveries/s"},
		{"messages_per_second", float64(sent) / res.Seconds, "messages/s sent"},
		{"messages_per_second_possible", possible, "messages/s, of which as many can be delivered"},
		{"messages_held", float64(res.Generator.Held), "messages held back: the server took fewer than that"},
		{"private_held", float64(heldPrivate.Load()), "private messages held back"},
	}
	if q := res.apart; q != nil {
		res.Figures = append(res.Figures,
			figure{"private_p50_ms", q.P50, "ms, private messages of others, median"},
			figure{"private_p99_ms", q.P99, "ms, private messages of others, 99 of 100"})
	}
	b.results = append(b.results, res)
	return nil
}
