package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/wire"
)

func forgedDepartures(ctx context.Context, f *field) (string, error) {
	streams, _, err := f.crowd(ctx, 10, 1)
	if err != nil {
		return "", err
	}
	var sent atomic.Int64
	types := []wire.Type{785, 787, wire.Peerlist, 797, wire.DirectoryHandshake, wire.Ping, wire.Pong}
	f.each(ctx, len(streams), 2000, func(i int) {
		n := int(sent.Add(1))
		v := f.victim(n)
		t := types[n%len(types)]
		text := v.location.String()
		if t == wire.Peerlist {
			text = v.nick() + ";" + v.location.String() + ";D"
		}
		if streams[i].send(t, text) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return fmt.Sprintf("%d forged lines", sent.Load()), nil
}

func injectedNames(ctx context.Context, f *field) (string, error) {
	var tries, in atomic.Int64
	f.each(ctx, 10, 200, func(i int) {
		n := int(tries.Add(1))
		s, err := f.connect(ctx, f.fresh())
		if err != nil {
			return
		}
		defer s.conn.Close()
		v, own := f.victim(n), newIdentity().nick
		forged := v.nick() + ";" + v.location.String() + ";D"
		nick, location, feature := own, "NOT-SERVING-ONION", "ping"
		switch n % 4 {
		case 0:
			nick = own + ";NOT-SERVING-ONION;D," + forged
		case 1:
			location = newLocation().String() + ";D," + forged
		case 2:
			feature = "x+y," + forged
		case 3:
			nick = own[:2] + ";" + own[3:]
		}
		s.send(wire.ClientHandshake, fmt.Sprintf(`{"app-name":"joinmarket","directory":false,"location-string":%q,"proto-ver":5,"features":{%q:true},"nick":%q,"network":%q}`,
			location, feature, nick, network))
		line, err := s.expect(wire.DirectoryHandshake, answerTimeout)
		if err != nil {
			return
		}
		if hello, err := wire.ParseDirectoryHello(line); err != nil || !hello.Accepted {
			return
		}
		if n%4 != 2 {
			in.Add(1)
		}
		// With a name that was dropped from its features it is a peer like others; its departure is told when it has spoken.
		s.send(wire.Pubmsg, own+"!PUBLIC!cancel 0")
	})
	if in.Load() > 0 {
		return "", hurtf("%d impossible names were accepted", in.Load())
	}
	return fmt.Sprintf("%d handshakes, no name with a separator passed on", tries.Load()), nil
}

func forgedSenders(ctx context.Context, f *field) (string, error) {
	var sent atomic.Int64
	streams := make([]*stream, 10)
	f.each(ctx, len(streams), 2000, func(i int) {
		if streams[i] == nil {
			s, err := f.join(ctx, f.fresh(), stranger())
			if err != nil {
				return
			}
			streams[i] = s
			f.swallow(s)
		}
		n := int(sent.Add(1))
		from, to := f.victim(n), f.victim(n+1)
		t, text := wire.Pubmsg, from.nick()+"!PUBLIC!forged"
		if n%2 == 0 {
			t, text = wire.Privmsg, from.nick()+"!"+to.nick()+"!forged"
		}
		if streams[i].send(t, text) != nil {
			streams[i] = nil // it was closed: come back
		}
	})
	return fmt.Sprintf("%d forged messages", sent.Load()), nil
}

func sybilLocation(ctx context.Context, f *field) (string, error) {
	victim := stranger()
	victim.location = newLocation()
	crowd, gone := context.WithCancel(context.WithoutCancel(ctx))
	defer gone()
	s, err := f.join(crowd, f.fresh(), victim)
	if err != nil {
		return "", err
	}
	defer s.conn.Close()
	f.swallow(s)
	var in, tries atomic.Int64
	f.each(ctx, 20, 100, func(int) {
		tries.Add(1)
		g := stranger()
		g.location = victim.location
		if s, err := f.join(crowd, f.fresh(), g); err == nil {
			in.Add(1)
			f.swallow(s)
		}
	})
	if err := s.send(wire.Pubmsg, victim.nick()+"!PUBLIC!cancel 0"); err != nil {
		return "", hurtf("the owner was ended: %w", err)
	}
	note := fmt.Sprintf("%d claims, %d of them let in; the owner, who was there before, stayed", tries.Load(), in.Load())
	again := stranger() // a maker that starts anew has a new nick
	again.location = victim.location
	if s, err := f.join(crowd, f.fresh(), again); errors.Is(err, errRefused) {
		return note, hurtf("the owner, starting anew, is refused")
	} else if err != nil {
		return note, err
	} else {
		s.conn.Close()
	}
	return note, nil
}

func banEvasion(ctx context.Context, f *field) (string, error) {
	circuit, g := f.fresh(), stranger()
	s, err := f.join(ctx, circuit, g)
	if err != nil {
		return "", err
	}
	defer s.conn.Close()
	if _, err := f.operator(ctx, "ban", g.nick(), "--for", "1h"); err != nil {
		return "", err
	}
	if _, err := f.operator(ctx, "ban", fmt.Sprintf("circuit:%d", circuit), "--for", "1h"); err != nil {
		return "", err
	}
	var same, other, renamed atomic.Int64
	f.each(ctx, 4, 100, func(i int) {
		again, on, counter := g, f.fresh(), &same
		switch i {
		case 1:
			again, on, counter = stranger(), circuit, &other
		case 2:
			again, counter = stranger(), &renamed
		case 3:
			on = circuit
		}
		if s, err := f.join(ctx, on, again); err == nil {
			counter.Add(1)
			s.conn.Close()
		}
	})
	if same.Load()+other.Load() > 0 {
		return "", hurtf("%s in with the banned nick, %s on the banned circuit", terminal.Counted(same.Load(), "time"), terminal.Counted(other.Load(), "time"))
	}
	return fmt.Sprintf("never in with the banned nick or on the banned circuit; with a new nick on a new circuit %s", terminal.Counted(renamed.Load(), "time")), nil
}
