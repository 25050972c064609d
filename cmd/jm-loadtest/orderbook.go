package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// orderbook measures what a taker waits for: it asks everybody, and each maker answers privately.
func (b *bench) orderbook(ctx context.Context) error {
	f, j, err := b.newFleet(ctx, b.o.makers+1, b.o.makers)
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	ph := newPhase(f)
	ph.taker = f.peers[b.o.makers]
	var asked atomic.Int64
	for _, p := range f.peers[:b.o.makers] {
		if err := ph.addAnswer(p); err != nil {
			return err
		}
	}
	ph.onOrderbook = func(p *peer, from []byte) {
		if p.id < b.o.makers && string(from) == ph.taker.nick {
			ph.send(ph.senders[p.id], noSlot, asked.Load(), 1)
		}
	}
	f.enter(ph)
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	request := wire.Public + "!" + orderbook
	var rounds []time.Duration // those with all answers
	before := f.delivered()
	for round := range b.o.rounds {
		b.progress.show("orderbook: round %d of %d", round+1, b.o.rounds)
		came := f.delivered()
		asked.Store(now())
		if err := ask(ph.taker, wire.Pubmsg, ph.taker.nick+"!"+request); err != nil {
			return err
		}
		took, err := b.answers(ctx, f, before+int64(b.o.makers*(round+1)), asked.Load())
		if err != nil {
			return err
		}
		if f.delivered()-came >= int64(b.o.makers) {
			rounds = append(rounds, took)
		}
		if b.o.rate > 0 && round+1 < b.o.rounds {
			if err := b.pause(ctx, time.Duration(float64(b.o.makers+1)/b.o.rate*float64(time.Second))); err != nil {
				return err
			}
		}
	}
	b.progress.clear()
	res := &result{Scenario: "orderbook", Title: "orderbook " + counted(b.o.makers, "maker"), Peers: len(f.peers), Size: answerSize}
	if _, err := m.end(res); err != nil {
		return err
	}
	t := f.exit()
	res.Latency = quantilesOf(&t.latency)
	res.Faults = ph.faults(t)
	// A maker that was never asked has nothing to lose, but its answer is missing all the same.
	due := int64(b.o.makers * b.o.rounds)
	res.Faults.Lost = max(due-t.distinct, 0)
	res.Faults.add(f.faults())
	if slices.Sort(rounds); len(rounds) > 0 {
		res.Figures = figures{{"milliseconds_to_last_answer", milliseconds(rounds[len(rounds)/2]), "ms, last answer"}}
	}
	res.Figures = append(res.Figures, figure{"complete_percent", 100 * float64(t.distinct) / float64(due), "% of all answers came"})
	b.results = append(b.results, res)
	return nil
}

// answers waits until so many have come, or nothing more does, and returns the time from the question to the last
// answer.
func (b *bench) answers(ctx context.Context, f *fleet, until int64, asked int64) (time.Duration, error) {
	since, n := time.Now(), f.delivered()
	quiet := patience
	if f.target.onion() {
		quiet = answerTimeout
	}
	for n < until && time.Since(since) < quiet {
		if err := b.pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
		if m := f.delivered(); m != n {
			n, since = m, time.Now()
		}
	}
	var last int64
	f.each(func(r *reader) {
		if r.tally != nil && r.fleet.peers[len(r.fleet.peers)-1].reader == r {
			last = r.tally.last
		}
	})
	return time.Duration(max(last-asked, 0)), nil
}
