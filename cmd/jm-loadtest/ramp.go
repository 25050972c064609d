package main

import (
	"context"
	"fmt"
	"time"
)

// settleTime is how long a server may take to put its memory in order before it is looked at, and to tell of those
// who have left before the next measurement. Tests make it shorter.
var settleTime = 2 * time.Second

// ramp measures how fast peers join, and what an idle one costs.
func (b *bench) ramp(ctx context.Context) error {
	f, err := newFleet(b.o, b.ids, b.o.peers, b.makers(b.o.peers))
	if err != nil {
		return err
	}
	defer f.close()
	return b.rampOf(ctx, f)
}

// makers is how many of n peers serve where it does not matter: half of them.
func (b *bench) makers(n int) int { return n / 2 }

func (b *bench) rampOf(ctx context.Context, f *fleet) error {
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	j, err := b.joinAt(ctx, f, f.peers, b.o.rate)
	if err != nil {
		return err
	}
	came := int(j.latency.n)
	res := &result{Scenario: "ramp", Title: fmt.Sprintf("ramp %s peers", number(float64(len(f.peers)))), Peers: len(f.peers)}
	if _, err := m.end(res); err != nil {
		return err
	}
	res.Latency = quantilesOf(&j.latency)
	res.Faults.add(f.faults())
	res.Figures = figures{{"handshakes_per_second", float64(came) / max(j.took.Seconds(), 1e-9), "handshakes/s"}}
	if b.o.pid > 0 && came > 0 {
		if err := b.pause(ctx, settleTime); err != nil {
			return err
		}
		after, err := readProcess(b.o.pid)
		if err != nil {
			return err
		}
		s := res.Server
		res.Figures = append(res.Figures, figure{"server_cpu_microseconds_per_handshake", s.CPUSeconds / float64(came) * 1e6, "µs of server CPU per handshake"})
		s.RSSBytes, s.RSSGrowth = after.rss, after.rss-m.server.rss
		s.RSSPerPeer = float64(s.RSSGrowth) / float64(came)
		res.Figures = append(res.Figures, figure{"rss_growth_per_peer_bytes", s.RSSPerPeer, "bytes of server RSS per idle peer"})
	}
	b.results = append(b.results, res)
	return nil
}

// reconnect has all peers drop and come back at once, with the nicks they had.
func (b *bench) reconnect(ctx context.Context) error {
	f, j, err := b.newFleet(ctx, b.o.peers, b.makers(b.o.peers))
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	begin := time.Now()
	f.leave(f.peers)
	sum, first := new(histogram), 0
	missing := f.peers
	var all faults // who is refused comes again: only the last refusals count
	for round := 0; len(missing) > 0 && (round == 0 || time.Since(begin) < answerTimeout); round++ {
		if round > 0 { // as clients do, they come again a little later
			if err := b.pause(ctx, time.Second); err != nil {
				return err
			}
		}
		if j, err = b.join(ctx, f, missing); err != nil {
			return err
		}
		sum.add(&j.latency)
		missing = j.refused
		if round == 0 {
			first = len(missing)
		}
		all.Refused = nil
		all.add(f.faults())
	}
	back := time.Since(begin)
	res := &result{Scenario: "reconnect", Title: fmt.Sprintf("reconnect %s peers", number(float64(len(f.peers)))), Peers: len(f.peers)}
	if _, err := m.end(res); err != nil {
		return err
	}
	res.Latency = quantilesOf(sum)
	res.Faults.add(all)
	res.Figures = figures{
		{"seconds_until_all_back", back.Seconds(), "s until all back"},
		{"refused_at_first", float64(first), "refused at the first attempt"},
	}
	b.results = append(b.results, res)
	return nil
}
