package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// A checker is what CheckLocations is given in tests: it notes who is looked for and when, and answers what the test says.
type checker struct {
	mu     sync.Mutex
	nicks  []string
	at     []time.Duration // since start
	start  time.Time
	answer func(ctx context.Context, nick string) error // nil: reached
}

func (c *checker) check(ctx context.Context, l wire.Location, nick, network string) error {
	c.mu.Lock()
	c.nicks, c.at = append(c.nicks, nick), append(c.at, time.Since(c.start))
	c.mu.Unlock()
	if !l.Serving() || network != "mainnet" {
		return errors.New("not asked for properly")
	}
	if c.answer == nil {
		return nil
	}
	return c.answer(ctx, nick)
}

func (c *checker) seen() ([]string, []time.Duration) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nicks), slices.Clone(c.at)
}

// checking has locations checked in tests' time.
func checking(o *Options) {
	o.LocationCheck.Enabled = true
	o.LegacyIdle, o.EvictIdle = 30*24*time.Hour, 48*time.Hour // nobody is closed for being silent
	o.PingIdle = 24 * time.Hour
}

// inCheckedBubble is inBubble with a checker.
func inCheckedBubble(t *testing.T, change func(*Options), f func(t *testing.T, s *Server, c *checker)) {
	inBubble(t, func(o *Options) {
		checking(o)
		if change != nil {
			change(o)
		}
	}, func(t *testing.T, s *Server) {
		c := &checker{start: time.Now()}
		s.CheckLocations(c.check)
		f(t, s, c)
	})
}

func wantLocations(t *testing.T, s *Server, reachable, unreachable, unchecked int) {
	t.Helper()
	synctest.Wait()
	st := s.Status()
	if st.Reachable != reachable || st.Unreachable != unreachable || st.Unchecked != unchecked {
		t.Errorf("%d reachable, %d unreachable, %d unchecked; want %d, %d, %d",
			st.Reachable, st.Unreachable, st.Unchecked, reachable, unreachable, unchecked)
	}
}

// checksUnderWay and checksAhead count checks.
func checksUnderWay(s *Server) int {
	s.locations.mu.Lock()
	defer s.locations.mu.Unlock()
	return s.locations.inFlight
}

func checksAhead(s *Server) int {
	s.locations.mu.Lock()
	defer s.locations.mu.Unlock()
	return len(s.locations.of)
}

func TestPeersThatServeAreCheckedOnceAfterADelay(t *testing.T) {
	inCheckedBubble(t, func(o *Options) { o.Clearnet = true }, func(t *testing.T, s *Server, c *checker) {
		s.SetLocation(testLocation(99))
		maker := joinMem(t, s, testNick(1), testLocation(1))
		joinMem(t, s, testNick(2), wire.Location{})
		joinMem(t, s, testNick(3), wire.Location{Host: "127.0.0.1", Port: 80}) // no onion: never dialled
		s.Own(testNick(4))
		joinMem(t, s, testNick(4), testLocation(4))
		wantLocations(t, s, 0, 0, 2)
		time.Sleep(s.opt().LocationCheck.DelayMin - time.Second)
		if nicks, _ := c.seen(); len(nicks) != 0 {
			t.Errorf("%v checked before the delay", nicks)
		}
		time.Sleep(24 * time.Hour)
		if nicks, _ := c.seen(); !slices.Equal(nicks, []string{maker.nick}) {
			t.Errorf("%v checked, want the one that serves, once", nicks)
		}
		wantLocations(t, s, 1, 0, 1)
	})
}

func TestOwnLocationIsNeverChecked(t *testing.T) {
	inCheckedBubble(t, nil, func(t *testing.T, s *Server, c *checker) {
		// Before it is known, somebody may claim it.
		joinMem(t, s, testNick(1), testLocation(1))
		joinMem(t, s, testNick(2), testLocation(2))
		s.SetLocation(testLocation(1))
		time.Sleep(time.Hour)
		if nicks, _ := c.seen(); !slices.Equal(nicks, []string{testNick(2)}) {
			t.Errorf("%v checked, want %s", nicks, testNick(2))
		}
		wantLocations(t, s, 1, 0, 1)
	})
}

func TestChecksAreSpreadInTime(t *testing.T) {
	inCheckedBubble(t, func(o *Options) {
		o.LocationCheck.PerMinute = 6
	}, func(t *testing.T, s *Server, c *checker) {
		for i := range 40 {
			joinMem(t, s, testNick(i+1), testLocation(i))
		}
		time.Sleep(time.Hour)
		_, at := c.seen()
		if len(at) != 40 {
			t.Fatalf("%d checks, want 40", len(at))
		}
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] < 10*time.Second {
				t.Errorf("check %d began %v after the one before, want 10s at least", i, at[i]-at[i-1])
			}
		}
		wantLocations(t, s, 40, 0, 0)
	})
}

func TestChecksUnderWayAreBounded(t *testing.T) {
	inCheckedBubble(t, func(o *Options) {
		o.LocationCheck.PerMinute, o.LocationCheck.Timeout = 600, 10*time.Minute
	}, func(t *testing.T, s *Server, c *checker) {
		c.answer = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		for i := range 2 * checksInFlight {
			joinMem(t, s, testNick(i+1), testLocation(i))
		}
		time.Sleep(9 * time.Minute)
		if nicks, _ := c.seen(); len(nicks) != checksInFlight {
			t.Errorf("%d checks under way, want %d", len(nicks), checksInFlight)
		}
		time.Sleep(time.Hour)
		wantLocations(t, s, 0, 2*checksInFlight, 0)
	})
}

func TestPeerIsUnreachableAfterTheSecondFailure(t *testing.T) {
	inCheckedBubble(t, nil, func(t *testing.T, s *Server, c *checker) {
		recovers := testNick(2)
		fails := map[string]int{testNick(1): 2, recovers: 1}
		c.answer = func(_ context.Context, nick string) error {
			if fails[nick]--; fails[nick] >= 0 {
				return errors.New("nobody there")
			}
			return nil
		}
		joinMem(t, s, testNick(1), testLocation(1))
		joinMem(t, s, recovers, testLocation(2))
		time.Sleep(6 * time.Minute)
		if nicks, _ := c.seen(); len(nicks) != 2 {
			t.Errorf("%v checked, want both", nicks)
		}
		wantLocations(t, s, 0, 0, 2)
		time.Sleep(24 * time.Hour)
		nicks, at := c.seen()
		if len(nicks) != 4 {
			t.Fatalf("%v checked, want both twice", nicks)
		}
		if at[2]-at[1] < s.opt().LocationCheck.Retry-s.opt().LocationCheck.DelayMax {
			t.Errorf("checked again after %v", at[2]-at[1])
		}
		wantLocations(t, s, 1, 1, 0)
	})
}

// TestFalseClaimsKeepNobodyOut: those who were looked for at an onion in vain are served, and do not count against its owner.
func TestFalseClaimsKeepNobodyOut(t *testing.T) {
	change := func(o *Options) { o.MaxNicksPerHost = 2 }
	inCheckedBubble(t, change, func(t *testing.T, s *Server, c *checker) {
		owner := testNick(9)
		c.answer = func(_ context.Context, nick string) error {
			if nick == owner {
				return nil
			}
			return errors.New("somebody else is there")
		}
		liars := []*memPeer{joinMem(t, s, testNick(1), testLocation(1)), joinMem(t, s, testNick(2), testLocation(1))}
		early := connectMem(t, s, 1<<20)
		early.hello(owner, testLocation(1))
		wantRefused(t, early, s, RefusedHostFull, "location")
		time.Sleep(12 * time.Hour)
		joinMem(t, s, owner, testLocation(1))
		for _, p := range liars {
			p.wantConnected()
		}
		if err := s.consistent(); err != nil {
			t.Error(err)
		}
		time.Sleep(12 * time.Hour)
		joinMem(t, s, testNick(3), testLocation(1)) // beside the owner
		late := connectMem(t, s, 1<<20)
		late.hello(testNick(4), testLocation(1))
		wantRefused(t, late, s, RefusedHostFull, "location")
		o := s.opt().Options
		o.LocationCheck.Enabled = false // what was found is forgotten
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		if err := s.consistent(); err != nil {
			t.Error(err)
		}
		if n := s.registry.hosts[testLocation(1).Host]; n != 4 {
			t.Errorf("%d claims count without the check, want 4", n)
		}
	})
}

func TestCheckThatCannotBeMadeSaysNothingOfThePeer(t *testing.T) {
	inCheckedBubble(t, nil, func(t *testing.T, s *Server, c *checker) {
		c.answer = func(context.Context, string) error { return errors.Join(errors.New("no Tor"), ErrNotChecked) }
		joinMem(t, s, testNick(1), testLocation(1))
		time.Sleep(24 * time.Hour)
		if nicks, _ := c.seen(); len(nicks) != 1 {
			t.Errorf("%v checked, want one check", nicks)
		}
		wantLocations(t, s, 0, 0, 1)
	})
}

func TestWhoLeavesIsNotLookedFor(t *testing.T) {
	inCheckedBubble(t, nil, func(t *testing.T, s *Server, c *checker) {
		var cut error
		c.answer = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			c.mu.Lock()
			defer c.mu.Unlock()
			cut = ctx.Err()
			return cut
		}
		early := joinMem(t, s, testNick(1), testLocation(1))
		early.m.closeClient()
		synctest.Wait()
		if n := checksAhead(s); n != 0 {
			t.Errorf("%d checks wait for a peer that has left", n)
		}
		late := joinMem(t, s, testNick(2), testLocation(2))
		for checksUnderWay(s) == 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		late.m.closeClient()
		c.seen()
		if !errors.Is(cut, context.Canceled) || checksUnderWay(s) != 0 {
			t.Errorf("the check of a peer that has left goes on: %v", cut)
		}
		time.Sleep(24 * time.Hour)
		if nicks, _ := c.seen(); !slices.Equal(nicks, []string{late.nick}) {
			t.Errorf("%v checked", nicks)
		}
	})
}

func TestQueueOfChecksIsBounded(t *testing.T) {
	s := newServer(t, func(o *Options) { unlimited(o); checking(o); o.MaxPeers = maxChecks + 100 })
	s.CheckLocations((&checker{}).check)
	for _, c := range addPeers(t, s, maxChecks+100) {
		s.locations.add(c.peer)
		s.locations.add(c.peer) // twice is once
	}
	if n := len(s.locations.queue); n != maxChecks {
		t.Errorf("%d checks wait, want %d", n, maxChecks)
	}
}

func TestChecksFollowAReload(t *testing.T) {
	inCheckedBubble(t, func(o *Options) { o.LocationCheck.Enabled = false }, func(t *testing.T, s *Server, c *checker) {
		set := func(change func(*LocationCheck)) {
			t.Helper()
			o := s.opt().Options
			change(&o.LocationCheck)
			if err := s.Reload(o); err != nil {
				t.Fatal(err)
			}
		}
		joinMem(t, s, testNick(1), testLocation(1))
		time.Sleep(time.Hour)
		wantLocations(t, s, 0, 0, 1)
		set(func(l *LocationCheck) { l.Enabled = true })
		time.Sleep(time.Hour)
		wantLocations(t, s, 1, 0, 0)
		joinMem(t, s, testNick(2), testLocation(2))
		set(func(l *LocationCheck) { l.Enabled = false })
		time.Sleep(time.Hour)
		wantLocations(t, s, 0, 0, 2)
		if nicks, _ := c.seen(); len(nicks) != 1 || checksAhead(s) != 0 {
			t.Errorf("%v checked, %d wait", nicks, checksAhead(s))
		}
	})
}

// TestOnlyTheDirectorySaysThatAPeerIsReachable, and only to those who read features: a client that does not would lose
// the whole entry (protocol.md 5.3).
func TestOnlyTheDirectorySaysThatAPeerIsReachable(t *testing.T) {
	inCheckedBubble(t, nil, func(t *testing.T, s *Server, c *checker) {
		honest, boaster := testLocation(1), testLocation(2)
		c.answer = func(_ context.Context, nick string) error {
			if nick == testNick(2) {
				return errors.New("nobody there")
			}
			return nil
		}
		joinMem(t, s, testNick(1), honest, "ping", "zebra")
		joinMem(t, s, testNick(2), boaster, "ping", wire.FeatureReachable)
		reader := joinMem(t, s, testNick(3), wire.Location{}, wire.FeaturePeerlist)
		plain := joinMem(t, s, testNick(4), wire.Location{})
		list := func(p *memPeer) (entries []string) {
			t.Helper()
			p.send(wire.GetPeerlist, "")
			for _, m := range p.lines() {
				entries = append(entries, strings.Split(m.Line, ",")...)
			}
			slices.Sort(entries)
			return entries
		}
		want := func(got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("list %q, want %q", got, want)
			}
		}
		first, second := entryOf(testNick(1), honest), entryOf(testNick(2), boaster)
		want(list(reader), first+";F:ping+zebra", second+";F:ping")
		time.Sleep(time.Hour)
		want(list(reader), first+";F:ping+reachable+zebra", second+";F:ping")
		want(list(plain), first, second)
	})
}

func TestStoppingServerEndsItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		checking(&o)
		s, err := New(o, quietLogger())
		if err != nil {
			t.Fatal(err)
		}
		c := &checker{answer: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
		s.CheckLocations(c.check)
		joinMem(t, s, testNick(1), testLocation(1))
		for checksUnderWay(s) == 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		begun := time.Now()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > o.ShutdownTimeout {
			t.Errorf("the server stopped after %v: a check held it up", took)
		}
	})
}
