package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

func TestReloadAppliesToThoseWhoAreHereAndThoseWhoCome(t *testing.T) {
	inBubble(t, func(o *Options) { o.MOTD = "old" }, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), wire.Location{}, wire.FeaturePing)
		ping := func(n int) (answers int) {
			for range n {
				p.send(wire.Ping, "")
			}
			return len(p.lines())
		}
		if n := ping(50); n != 50 {
			t.Fatalf("%d answers before the reload, want 50", n)
		}
		o := s.opt().Options
		o.MOTD, o.MaxPeers, o.SweepInterval, o.PingIdle = "new", 1, time.Second, 20*time.Second
		o.Rates.Control, o.Patience = Rate{PerSecond: 1, Burst: 3}, 0
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := ping(50); n != 3 {
			t.Errorf("%d answers with a burst of 3", n)
		}
		full := connectMem(t, s, 1<<20)
		full.hello(testNick(2), wire.Location{})
		wantRefused(t, full, s, RefusedFull, "full")
		time.Sleep(25 * time.Second)
		p.wantLines(rawMessage{wire.Ping, ""})
		p.m.closeClient()
		p.lines()
		next := connectMem(t, s, 1<<20)
		next.hello(testNick(2), wire.Location{})
		if got := next.lines(); len(got) != 1 || !strings.Contains(got[0].Line, `"motd": "new\njm-directory-server`) {
			t.Errorf("got %v, want the new motd", got)
		}
	})
}

func TestReloadIsAllOrNothing(t *testing.T) {
	s := newServer(t, nil)
	for field, change := range map[string]func(*Options){
		"Network":     func(o *Options) { o.Network = "signet" },
		"Flushers":    func(o *Options) { o.Flushers = 7 },
		"Location":    func(o *Options) { o.Location = testLocation(1) },
		"DirectoryID": func(o *Options) { o.DirectoryID = testID },
		"OutboxBytes": func(o *Options) { o.OutboxBytes = 1 },
		"MOTD":        func(o *Options) { o.MOTD = "\x1b" },
	} {
		o := s.opt().Options
		o.MaxPeers = 3
		change(&o)
		err := s.Reload(o)
		var bad *OptionError
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		if s.opt().MaxPeers == 3 {
			t.Fatalf("%s: a part was applied", field)
		}
	}
}

func TestAlivePassesThroughRegistryAndFlushers(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Flushers = 3 })
	short := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	if err := s.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := short()
	defer cancel()
	s.registry.mu.Lock()
	if err := s.Alive(ctx); err == nil || !strings.Contains(err.Error(), "registry") {
		t.Errorf("registry is held: %v", err)
	}
	s.registry.mu.Unlock()
	ctx, cancel = short()
	defer cancel()
	s.flushers[1].mu.Lock()
	if err := s.Alive(ctx); err == nil {
		t.Error("a flusher is held, and the server is alive")
	}
	s.flushers[1].mu.Unlock()
	if err := s.Alive(t.Context()); err != nil {
		t.Error(err)
	}
}
