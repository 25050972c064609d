package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// messageAttacks are about how much is said.
var messageAttacks = []attack{
	{name: "orderbook-circuits", what: "orderbook requests of throw-away nicks, each on a circuit of its own", run: func(ctx context.Context, f *field) (string, error) {
		return orderbooks(ctx, f, f.fresh)
	}},
	{name: "orderbook-circuit", what: "the same, all on one circuit", run: func(ctx context.Context, f *field) (string, error) {
		circuit := f.fresh()
		return orderbooks(ctx, f, func() uint32 { return circuit })
	}},
	{name: "public-one", what: "public messages of one connection, as fast as they are taken", run: func(ctx context.Context, f *field) (string, error) {
		return publicFlood(ctx, f, 1, 1, "cancel 0")
	}},
	{name: "public-many", what: "the same from 60 connections on 60 circuits", run: func(ctx context.Context, f *field) (string, error) {
		return publicFlood(ctx, f, 60, 1, "cancel 0")
	}},
	{name: "public-circuit", what: "the same from 60 connections on one circuit", run: func(ctx context.Context, f *field) (string, error) {
		return publicFlood(ctx, f, 60, 60, "cancel 0")
	}},
	{name: "public-large", what: "public messages of nearly 40 000 bytes from 5 circuits", run: func(ctx context.Context, f *field) (string, error) {
		return publicFlood(ctx, f, 5, 1, "cancel "+strings.Repeat("9", 39_000))
	}},
	{name: "private-victim", what: "private messages of 60 circuits to the slowest reader", run: privateFlood},
	{name: "peerlist", what: "requests for the list of peers", run: peerlistFlood},
	{name: "legal-bursts", what: "no attack: offers of 100 makers at once, orderbook requests, within the rates", run: legalBursts},
}

// orderbooks come, ask for the orderbook and leave.
func orderbooks(ctx context.Context, f *field, circuit func() uint32) (string, error) {
	var asked atomic.Int64
	f.each(ctx, 50, 0, func(int) {
		g := stranger()
		s, err := f.join(ctx, circuit(), g)
		if err != nil {
			return
		}
		defer s.conn.Close()
		if s.send(wire.Pubmsg, g.nick()+"!PUBLIC!orderbook") == nil {
			asked.Add(1)
		}
	})
	return fmt.Sprintf("%d requests sent", asked.Load()), nil
}

func publicFlood(ctx context.Context, f *field, n, onCircuit int, body string) (string, error) {
	streams, greetings, err := f.crowd(ctx, n, onCircuit)
	if err != nil {
		return "", err
	}
	var sent atomic.Int64
	f.each(ctx, n, 20_000, func(i int) {
		if streams[i].send(wire.Pubmsg, greetings[i].nick()+"!PUBLIC!"+body) != nil {
			time.Sleep(10 * time.Millisecond) // closed: it is its turn no more
			return
		}
		sent.Add(1)
	})
	return fmt.Sprintf("%d messages sent", sent.Load()), nil
}

func privateFlood(ctx context.Context, f *field) (string, error) {
	const n = 60
	streams, greetings, err := f.crowd(ctx, n, 1)
	if err != nil {
		return "", err
	}
	victim := f.honest.members[0].nick()
	body := "fill " + strings.Repeat("9", 4000)
	var sent atomic.Int64
	f.each(ctx, n, 20_000, func(i int) {
		if streams[i].send(wire.Privmsg, greetings[i].nick()+"!"+victim+"!"+body) != nil {
			time.Sleep(10 * time.Millisecond)
			return
		}
		sent.Add(1)
	})
	return fmt.Sprintf("%d messages sent", sent.Load()), nil
}

func peerlistFlood(ctx context.Context, f *field) (string, error) {
	const n = 100
	streams, _, err := f.crowd(ctx, n, 10)
	if err != nil {
		return "", err
	}
	var sent atomic.Int64
	f.each(ctx, n, 20_000, func(i int) {
		if streams[i].send(wire.GetPeerlist, "") != nil {
			time.Sleep(10 * time.Millisecond)
			return
		}
		sent.Add(1)
	})
	return fmt.Sprintf("%d requests sent", sent.Load()), nil
}

// legalBursts is what a directory sees after a restart, and must let pass (protocol.md 9.3, 10.6).
func legalBursts(ctx context.Context, f *field) (string, error) {
	const makers, offers = 100, 20
	staying, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	streams, greetings, err := f.crowd(staying, makers, 1)
	if err != nil {
		return "", err
	}
	for i, s := range streams {
		for o := range offers {
			if err := s.send(wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!sw0absoffer %d 27300 500000000 1000 250", greetings[i].nick(), o)); err != nil {
				return "", hurtf("a maker was ended while it announced its offers: %w", err)
			}
		}
	}
	taker := stranger()
	s, err := f.join(staying, f.fresh(), taker)
	if err != nil {
		return "", err
	}
	defer s.conn.Close()
	if err := s.send(wire.Pubmsg, taker.nick()+"!PUBLIC!orderbook"); err != nil {
		return "", err
	}
	got := 0
	for i, m := range streams {
		if err := m.send(wire.Privmsg, greetings[i].nick()+"!"+taker.nick()+"!sw0absoffer 0 27300 500000000 1000 250!tbond "+bond); err != nil {
			return "", hurtf("a maker was ended while it answered: %w", err)
		}
	}
	for end := time.Now().Add(15 * time.Second); got < makers && time.Now().Before(end); {
		s.conn.SetReadDeadline(end)
		env, err := s.next()
		if err != nil {
			return "", hurtf("the taker got %d of %d answers: %w", got, makers, err)
		}
		if msg, err := wire.SplitMessage(env.Line); err == nil && env.Type == wire.Privmsg && f.honest.byNick[string(msg.From)] == nil {
			got++
		}
	}
	for _, m := range streams {
		if err := m.send(wire.Ping, ""); err != nil {
			return "", hurtf("a maker was ended: %w", err)
		}
	}
	if got < makers {
		return "", hurtf("the taker got %d of %d answers", got, makers)
	}
	return fmt.Sprintf("%d offers at once, %d of %d answers within 15 s, nobody ended", makers*offers, got, makers), nil
}
