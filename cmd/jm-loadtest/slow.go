package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// slow measures what peers that never read do to the others, and when the directory ends them.
func (b *bench) slow(ctx context.Context) error {
	n, k := b.o.peers, b.o.slow
	f, err := newFleet(b.o, b.ids, n, n)
	if err != nil {
		return err
	}
	defer f.close()
	for _, p := range f.peers[:k] {
		p.deaf = true
	}
	j, err := b.join(ctx, f, f.peers)
	if err != nil {
		return err
	}
	if err := b.all(f, j); err != nil {
		return err
	}
	ph, err := b.publicPhase(f, spread(f.peers[k:], min(b.o.window, maxSenders)))
	if err != nil {
		return err
	}
	ph.addSlots(b.o.window)

	// That a connection was ended shows at its socket, or by the notice that others get: the end of a TCP
	// connection stands behind what was not read.
	var mu sync.Mutex
	gone := map[*peer]time.Duration{}
	var begin time.Time
	note := func(p *peer) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := gone[p]; !ok && p.deaf {
			gone[p] = time.Since(begin)
		}
	}
	ph.onEnd = note
	ph.onPeerlist = func(_ *reader, _ *peer, text []byte, _ int, _ int64) {
		eachEntry(text, func(nick []byte, left bool) {
			if p := f.byNick[string(nick)]; p != nil && left {
				note(p)
			}
		})
	}
	last := func() (count int, first, last time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range gone {
			if count++; count == 1 || d < first {
				first = d
			}
			if d > last {
				last = d
			}
		}
		return count, first, last
	}
	const after = 2 * time.Second // the others are watched for so long once the slow ones are gone
	begin = time.Now()
	res, deliveries, sent, err := b.do(ctx, f, run{
		phase: ph, start: func() { ph.start(1) }, depth: 1, length: b.o.duration,
		enough: func() bool {
			count, _, last := last()
			return count == k && time.Since(begin) > last+after
		},
		title: func(n int64, d time.Duration) string {
			count, _, _ := last()
			return fmt.Sprintf("slow: %d of %d ended, others %s deliveries/s, %.0f s", count, k, number(float64(n)/d.Seconds()), d.Seconds())
		},
	})
	if err != nil {
		return err
	}
	count, _, end := last()
	res.Scenario = "slow"
	res.Title = fmt.Sprintf("slow %d of %s never read", k, number(float64(n)))
	res.Figures = figures{
		{"deliveries_per_second", float64(deliveries) / res.Seconds, "deliveries/s"},
		{"messages_per_second", float64(sent) / res.Seconds, "messages/s sent"},
		{"slow_ended", float64(count), fmt.Sprintf("of %d slow ones ended by the directory", k)},
	}
	if count > 0 {
		res.Figures = append(res.Figures, figure{"seconds_until_slow_ended", end.Seconds(), "s until the last of them was ended"})
	}
	b.results = append(b.results, res)
	return nil
}
