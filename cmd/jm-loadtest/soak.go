package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/wire"
)

const (
	soakOrderbook = 15 * time.Second       // between two questions of the taker; directories may drop those that come sooner
	soakVisit     = 500 * time.Millisecond // between two comings or goings of visitors
	soakVisitors  = 10                     // one visitor for so many peers that stay
	soakDeaf      = 2 * time.Minute        // who does not read stays until the directory ends it, but no longer
)

// soak runs a mix such as a directory sees: makers announce, peers write to each other, a taker asks for the
// orderbook and all makers answer, and visitors come, and listen and go, or read nothing until they are ended. Everything that is sent is accounted for.
func (b *bench) soak(ctx context.Context) error {
	n := b.o.peers
	makers := min(max(n*4/5, 1), n-1)
	visitors := max(1, n/soakVisitors)
	f, err := newFleet(b.o, b.ids, n+visitors, makers)
	if err != nil {
		return err
	}
	defer f.close()
	stay, visit := f.peers[:n], f.peers[n:]
	for i, p := range visit {
		p.deaf = i%2 == 1
	}
	j, err := b.join(ctx, f, stay)
	if err != nil {
		return err
	}
	if err := b.all(f, j); err != nil {
		return err
	}

	ph := newPhase(f)
	ph.taker = stay[n-1]
	for _, p := range spread(stay[:makers], maxSenders) {
		if err := ph.addPublic(p, b.o.size); err != nil {
			return err
		}
	}
	announcers := len(ph.senders)
	for i, to := range stay[makers : n-1] {
		if err := ph.addPrivate(stay[i%makers], to, b.o.size); err != nil {
			return err
		}
	}
	writers := ph.senders[announcers:]
	answerers := len(ph.senders)
	for _, p := range stay[:makers] {
		if err := ph.addAnswer(p); err != nil {
			return err
		}
	}
	var asked, heard, visits, ended atomic.Int64
	var askedAt atomic.Int64
	ph.onOrderbook = func(p *peer, from []byte) {
		if p.id < makers && string(from) == ph.taker.nick {
			heard.Add(1)
			ph.send(ph.senders[answerers+p.id], noSlot, askedAt.Load(), 1)
		}
	}

	// The load, until its context ends.
	question := func(ctx context.Context) {
		for ctx.Err() == nil {
			askedAt.Store(now())
			asked.Add(1)
			if err := ask(ph.taker, wire.Pubmsg, ph.taker.nick+"!"+wire.Public+"!"+orderbook); err != nil {
				panic(err) // it is short and ASCII
			}
			select {
			case <-time.After(soakOrderbook):
			case <-ctx.Done():
			}
		}
	}
	coming := func(ctx context.Context) {
		came := make([]time.Time, len(visit)) // zero: it is not there
		for i := 0; ctx.Err() == nil; i++ {
			k := i % len(visit)
			switch p := visit[k]; {
			case p.connected() && p.deaf && time.Since(came[k]) < soakDeaf:
			case p.connected():
				f.leave([]*peer{p})
				came[k] = time.Time{}
			default:
				if p.deaf && !came[k].IsZero() {
					ended.Add(1)
				}
				came[k] = time.Time{}
				if _, err := f.join(ctx, []*peer{p}, 1, nil, nil); err == nil {
					visits.Add(1)
					came[k] = time.Now()
				}
			}
			select {
			case <-time.After(soakVisit):
			case <-ctx.Done():
			}
		}
	}
	pump := func(ctx context.Context) int64 {
		var all sync.WaitGroup
		var held atomic.Int64
		all.Go(func() { question(ctx) })
		all.Go(func() { coming(ctx) })
		all.Go(func() { held.Add(ph.pump(ctx, ph.senders[:announcers], b.o.rate/2)) })
		if len(writers) > 0 {
			all.Go(func() { held.Add(ph.pump(ctx, writers, b.o.rate/2)) })
		}
		all.Wait()
		return held.Load()
	}
	res, deliveries, sent, err := b.do(ctx, f, run{phase: ph, pump: pump, length: b.o.duration, title: rateTitle("soak", b.o.duration)})
	if err != nil {
		return err
	}
	res.Faults.Lost += max(asked.Load()*int64(makers)-heard.Load(), 0) // questions that a maker did not hear
	res.Scenario = "soak"
	res.Title = fmt.Sprintf("soak %s peers, %s a second", number(float64(n)), number(b.o.rate))
	res.Figures = figures{
		{"deliveries_per_second", float64(deliveries) / res.Seconds, "deliveries/s"},
		{"messages_per_second", float64(sent) / res.Seconds, "messages/s sent, answers included"},
		{"orderbooks", float64(asked.Load()), "orderbooks asked for, of " + terminal.Counted(makers, "maker")},
		{"visits", float64(visits.Load()), "visitors came"},
		{"deaf_ended", float64(ended.Load()), "of those who never read were ended for that"},
	}
	if res.Server != nil {
		res.Figures = append(res.Figures, figure{"server_rss_growth_bytes", float64(res.Server.RSSGrowth), "bytes of growth of the server's RSS"})
	}
	b.results = append(b.results, res)
	return nil
}
