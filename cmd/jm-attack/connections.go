package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// connectionAttacks are about how somebody comes, stays and goes.
var connectionAttacks = []attack{
	{name: "slow-loris", what: "300 connections that send one byte a second", run: slowLoris},
	{name: "half-open", what: "connections that say nothing, each on a circuit of its own", run: func(ctx context.Context, f *field) (string, error) {
		return halfOpen(ctx, f, 1)
	}},
	{name: "half-open-circuits", what: "the same, 64 on each circuit", run: func(ctx context.Context, f *field) (string, error) {
		return halfOpen(ctx, f, 64)
	}},
	{name: "churn", what: "join, one message, leave, on ever new circuits", run: churn},
	{name: "vanish", what: "join and vanish, 20 circuits again and again", run: vanish},
	{name: "never-read", what: "one peer in ten never reads, and others talk much", run: neverRead},
}

func slowLoris(ctx context.Context, f *field) (string, error) {
	const n = 300
	var held sync.WaitGroup
	var closed atomic.Int64
	for i := range n {
		held.Go(func() {
			s, err := f.connect(ctx, f.fresh())
			if err != nil {
				return
			}
			defer s.conn.Close()
			if i%2 == 0 { // half of them after the handshake
				if s.handshake(stranger()) != nil {
					return
				}
				f.swallow(s)
			}
			for _, b := range []byte(`{"type": 687, "line": "` + newIdentity().nick + `!PUBLIC!cancel 0"}`) {
				if _, err := s.conn.Write([]byte{b}); err != nil {
					closed.Add(1)
					return
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return
				}
			}
		})
	}
	held.Wait()
	return fmt.Sprintf("%d connections, %d closed meanwhile", n, closed.Load()), nil
}

// most bounds how many silent connections there are at once: descriptors of this process.
const most = 4000

func halfOpen(ctx context.Context, f *field, onCircuit uint32) (string, error) {
	var opened atomic.Int64
	room := make(chan struct{}, most)
	var base atomic.Uint32
	first := f.circuit.Add(100_000) // a range of circuits of its own
	perSecond := 300.0              // circuits: ten times what one Tor does here
	if onCircuit > 1 {
		perSecond = 2000
	}
	f.each(ctx, 20, perSecond, func(int) {
		s, err := f.connect(ctx, first-base.Add(1)/onCircuit)
		if err != nil {
			return
		}
		room <- struct{}{}
		opened.Add(1)
		f.work.Go(func() {
			io.Copy(io.Discard, s.conn) // until one of us ends it
			s.conn.Close()
			<-room
		})
	})
	return fmt.Sprintf("%d connections opened", opened.Load()), nil
}

func churn(ctx context.Context, f *field) (string, error) {
	var came atomic.Int64
	f.each(ctx, 40, 0, func(int) {
		g := stranger()
		g.location = newLocation()
		s, err := f.join(ctx, f.fresh(), g)
		if err != nil {
			return
		}
		came.Add(1)
		s.send(wire.Pubmsg, g.nick()+"!PUBLIC!sw0absoffer 0 27300 500000000 1000 250")
		s.conn.Close()
	})
	return fmt.Sprintf("%d peers came and went", came.Load()), nil
}

func vanish(ctx context.Context, f *field) (string, error) {
	circuits := make([]uint32, 20)
	for i := range circuits {
		circuits[i] = f.fresh()
	}
	var came, tries atomic.Int64
	f.each(ctx, 40, 0, func(i int) {
		tries.Add(1)
		s, err := f.join(ctx, circuits[i%len(circuits)], stranger())
		if err != nil {
			return
		}
		came.Add(1)
		s.conn.Close()
	})
	return fmt.Sprintf("%d attempts, %d let in", tries.Load(), came.Load()), nil
}

func neverRead(ctx context.Context, f *field) (string, error) {
	deaf := max(2, len(f.honest.members)/10)
	staying, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	var streams []*stream
	for range deaf {
		s, err := f.join(staying, f.fresh(), stranger())
		if err != nil {
			return "", err
		}
		streams = append(streams, s)
	}
	// Without traffic nobody can tell that they do not read.
	note, err := publicFlood(ctx, f, 10, 1, "cancel 000000000000000000000000000000000000000000000000")
	if err != nil {
		return "", err
	}
	// limits.write_timeout is 30 s.
	ended := 0
	for end := time.Now().Add(45 * time.Second); ended < deaf && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		c, err := f.count(staying)
		if err != nil {
			return "", err
		}
		e := c.Reasons["evicted"]
		ended = int(e["no_progress"] + e["outbox_full"] + e["outbox_age"])
	}
	for _, s := range streams {
		s.conn.Close()
	}
	if ended < deaf {
		return "", hurtf("only %d of %d deaf peers were ended", ended, deaf)
	}
	return fmt.Sprintf("%s; all %d deaf peers were ended", note, deaf), nil
}
