package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// maxSenders is how many peers take turns in sending: enough to use many of the server's readers, and few enough
// that what a receiver must remember of each stays in the cache.
const maxSenders = 128

// noSlot is the place of messages that belong to no window.
const noSlot = math.MaxUint32

// maxHeld is how many bytes may wait for a sender's socket before its messages are held back and counted.
const maxHeld = 64 << 10

// broadcast measures public messages in one of three ways: a window, a rate, or everybody at once.
func (b *bench) broadcast(ctx context.Context) error {
	f, j, err := b.newFleet(ctx, b.o.peers, 0)
	if err != nil {
		return err
	}
	defer f.close()
	if err := b.all(f, j); err != nil {
		return err
	}
	switch {
	case b.o.burst:
		return b.burst(ctx, f)
	case b.o.rate > 0:
		return b.openLoop(ctx, f, b.o.rate)
	}
	return b.closedLoop(ctx, f, b.o.window)
}

// broadcastResult fills in names and figures of public messages.
func (b *bench) broadcastResult(res *result, how string, deliveries, sent int64) {
	res.Scenario = "broadcast"
	res.Title = fmt.Sprintf("broadcast %s peers, %s", number(float64(res.Peers)), how)
	res.Figures = figures{
		{"deliveries_per_second", float64(deliveries) / res.Seconds, "deliveries/s"},
		{"messages_per_second", float64(sent) / res.Seconds, "messages/s sent"},
	}
	b.results = append(b.results, res)
}

// publicPhase is a phase in which some peers of a fleet send to everybody.
func (b *bench) publicPhase(f *fleet, senders []*peer) (*phase, error) {
	ph := newPhase(f)
	for _, p := range senders {
		if err := ph.addPublic(p, b.o.size); err != nil {
			return nil, err
		}
	}
	return ph, nil
}

// spread picks n peers, evenly.
func spread(peers []*peer, n int) (some []*peer) {
	for i := range min(n, len(peers)) {
		some = append(some, peers[i*len(peers)/min(n, len(peers))])
	}
	return some
}

// closedLoop keeps window public messages in flight; the next one is sent when all have got one.
func (b *bench) closedLoop(ctx context.Context, f *fleet, window int) error {
	ph, err := b.publicPhase(f, spread(f.peers, min(window, maxSenders)))
	if err != nil {
		return err
	}
	ph.addSlots(window)
	how := fmt.Sprintf("%d in flight", window)
	res, deliveries, sent, err := b.do(ctx, f, run{
		phase: ph, start: func() { ph.start(1) }, depth: 1, length: b.o.duration, title: rateTitle("broadcast, "+how, b.o.duration),
	})
	if err != nil {
		return err
	}
	b.broadcastResult(res, how, deliveries, sent)
	return nil
}

// openLoop sends so many public messages a second, whatever comes back. Their time counts from when they were
// due.
func (b *bench) openLoop(ctx context.Context, f *fleet, rate float64) error {
	ph, err := b.publicPhase(f, spread(f.peers, maxSenders))
	if err != nil {
		return err
	}
	how := fmt.Sprintf("%s a second", number(rate))
	res, deliveries, sent, err := b.do(ctx, f, run{
		phase: ph, pump: func(ctx context.Context) int64 { return ph.pump(ctx, ph.senders, rate) },
		length: b.o.duration, title: rateTitle("broadcast, "+how, b.o.duration),
	})
	if err != nil {
		return err
	}
	b.broadcastResult(res, how, deliveries, sent)
	if res.Generator.Held > 0 {
		res.Figures = append(res.Figures, figure{"messages_held", float64(res.Generator.Held), "messages held back: the server took fewer than that"})
	}
	return nil
}

// pump has senders in turn send at a rate until ctx ends, and returns how many messages were held back because
// the server did not take what their senders had sent before.
func (ph *phase) pump(ctx context.Context, senders []*sender, rate float64) (held int64) {
	begin := now()
	for n := int64(0); ctx.Err() == nil; {
		due := begin + int64(float64(n)/rate*1e9)
		if wait := due - now(); wait > 0 {
			select {
			case <-time.After(time.Duration(wait)):
			case <-ctx.Done():
				return held
			}
		}
		s := senders[n%int64(len(senders))]
		if n++; s.peer.waiting() > maxHeld {
			held++
			continue
		}
		ph.send(s, noSlot, due, 1)
	}
	return held
}

// burst has every peer send one public message at once.
func (b *bench) burst(ctx context.Context, f *fleet) error {
	ph, err := b.publicPhase(f, f.peers)
	if err != nil {
		return err
	}
	f.enter(ph)
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	before, first := f.delivered(), now()
	for _, s := range ph.senders {
		ph.send(s, noSlot, now(), 1)
	}
	b.drain(ctx, f, ph, before)
	b.progress.clear()
	res := &result{Peers: len(f.peers), Size: b.o.size}
	deliveries, err := m.end(res)
	t := f.exit()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	res.Seconds = time.Duration(max(t.last-first, 1)).Seconds()
	res.Latency = quantilesOf(&t.latency)
	res.Faults = ph.faults(t)
	res.Faults.add(f.faults())
	b.broadcastResult(res, "all at once", deliveries, ph.sent())
	res.Figures = append(res.Figures, figure{"seconds_to_last", res.Seconds, "s until the last one had the last one"})
	return nil
}
