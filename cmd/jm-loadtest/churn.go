package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// eachEntry calls fn for every entry of a peer list, with whether it says that the peer has left (protocol.md 5.3).
// It MUST NOT allocate: thousands of peers may be told of thousands.
func eachEntry(text []byte, fn func(nick []byte, left bool)) {
	for len(text) > 0 {
		entry, rest, _ := bytes.Cut(text, []byte{','})
		text = rest
		if nick, fields, ok := bytes.Cut(entry, []byte{';'}); ok {
			fn(nick, bytes.HasSuffix(fields, []byte(";D")))
		}
	}
}

// churn measures how long it takes until all that stay know of a share of the peers that leave at once.
func (b *bench) churn(ctx context.Context) error {
	n := b.o.peers
	f, j, err := b.newFleet(ctx, n, n) // all serve: of a peer that was never heard of, nothing need be said
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	k := min(max(int(math.Round(b.o.share*float64(n))), 1), n-1)
	leavers, stayers := f.peers[:k], f.peers[k:]

	ph := newPhase(f)
	var told, last atomic.Int64
	seen := make([][]uint64, n) // of each that stays, the leavers it was told of; its reader's
	for _, p := range stayers {
		seen[p.id] = make([]uint64, (k+63)/64)
	}
	ph.onPeerlist = func(_ *reader, p *peer, text []byte, _ int, at int64) {
		set := seen[p.id]
		news := int64(0)
		eachEntry(text, func(nick []byte, left bool) {
			q := f.byNick[string(nick)]
			if !left || q == nil || q.id >= k || set == nil {
				return
			}
			if bit := uint64(1) << (q.id % 64); set[q.id/64]&bit == 0 {
				set[q.id/64] |= bit
				news++
			}
		})
		if news > 0 {
			told.Add(news)
			for old := last.Load(); at > old && !last.CompareAndSwap(old, at); old = last.Load() {
			}
		}
	}
	f.enter(ph)
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	begin := now()
	f.leave(leavers)
	due := int64(k) * int64(len(stayers))
	if err := b.until(ctx, &told, due, patience, "departures"); err != nil {
		return err
	}
	res := &result{Scenario: "churn", Title: fmt.Sprintf("churn %s of %s leave", number(float64(k)), number(float64(n))), Peers: n}
	if _, err := m.end(res); err != nil {
		return err
	}
	f.exit()
	res.Faults.add(f.faults())
	res.Faults.Lost = due - told.Load()
	if told.Load() > 0 { // else there is no last notice
		res.Figures = figures{{"milliseconds_to_last_notice", float64(max(last.Load()-begin, 0)) / 1e6, "ms, last notice"}}
	}
	res.Figures = append(res.Figures,
		figure{"notices", float64(told.Load()), fmt.Sprintf("of %s notices came", number(float64(due)))},
		figure{"stayed", float64(f.alive()), fmt.Sprintf("of %s stayers still connected", number(float64(len(stayers))))})
	b.results = append(b.results, res)
	return nil
}

// until waits until a count has reached due, or has not grown for quiet.
func (b *bench) until(ctx context.Context, count *atomic.Int64, due int64, quiet time.Duration, what string) error {
	defer b.progress.clear()
	since, n := time.Now(), count.Load()
	for n < due && time.Since(since) < quiet {
		b.progress.show("%s of %s %s", number(float64(n)), number(float64(due)), what)
		if err := b.pause(ctx, time.Millisecond); err != nil {
			return err
		}
		if m := count.Load(); m != n {
			n, since = m, time.Now()
		}
	}
	return nil
}

// peerlist measures the answer to getpeerlist.
func (b *bench) peerlist(ctx context.Context) error {
	n := b.o.peers
	f, j, err := b.newFleet(ctx, n, n-1) // the last one asks
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	return b.peerlistOf(ctx, f, n-1, b.o.rounds)
}

// peerlistOf has the last peer of a fleet ask for the list, on which the first makers must be.
func (b *bench) peerlistOf(ctx context.Context, f *fleet, makers, rounds int) error {
	asker := f.peers[len(f.peers)-1]
	ph := newPhase(f)
	var listed, lines, largest, last atomic.Int64
	seen := make([]int, len(f.peers)) // the round in which the asker last saw it; its reader's
	var round atomic.Int64
	ph.onPeerlist = func(_ *reader, p *peer, text []byte, size int, at int64) {
		if p != asker {
			return
		}
		now, news, departure := int(round.Load()), int64(0), false
		eachEntry(text, func(nick []byte, left bool) {
			departure = departure || left
			if q := f.byNick[string(nick)]; q != nil && !left && q.id < makers && seen[q.id] != now {
				seen[q.id] = now
				news++
			}
		})
		if departure {
			return // of others, not an answer
		}
		lines.Add(1)
		largest.Store(max(largest.Load(), int64(size)))
		last.Store(at)
		listed.Add(news)
	}
	f.enter(ph)
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	times := new(histogram) // of complete answers
	for r := range rounds {
		if b.o.rate > 0 && r > 0 {
			if err := b.pause(ctx, time.Duration(float64(time.Second)/b.o.rate)); err != nil {
				return err
			}
		}
		round.Store(int64(r + 1))
		begin, came := now(), listed.Load()
		if err := ask(asker, wire.GetPeerlist, ""); err != nil {
			return err
		}
		if err := b.until(ctx, &listed, int64((r+1)*makers), patience, "entries"); err != nil {
			return err
		}
		if listed.Load()-came >= int64(makers) {
			times.record(max(last.Load()-begin, 0))
		}
	}
	res := &result{Scenario: "peerlist", Title: "peerlist of " + counted(makers, "maker"), Peers: len(f.peers)}
	if _, err := m.end(res); err != nil {
		return err
	}
	f.exit()
	res.Faults.add(f.faults())
	res.Faults.Lost = int64(rounds*makers) - listed.Load()
	res.Latency = quantilesOf(times)
	if res.Latency != nil {
		res.Figures = figures{{"milliseconds_to_last_entry", res.Latency.P50, "ms, last entry"}}
	}
	res.Figures = append(res.Figures,
		figure{"largest_line_bytes", float64(largest.Load()), "bytes in the largest line"},
		figure{"lines", float64(lines.Load()) / float64(rounds), "lines each time"},
		figure{"complete_percent", 100 * float64(listed.Load()) / float64(rounds*makers), "% of all entries came"})
	b.results = append(b.results, res)
	return nil
}
