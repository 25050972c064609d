package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire"
)

// wantOffers compares the counts of those types that are not 0.
func wantOffers(t *testing.T, s *Server, want map[wire.OfferType]int) {
	t.Helper()
	st := s.Status()
	if len(st.Offers) != int(wire.NumOfferTypes) {
		t.Errorf("%d types of offers in the status, want all %d", len(st.Offers), wire.NumOfferTypes)
	}
	all := 0
	for kind, n := range st.Offers {
		all += n
		if n != want[kind] {
			t.Errorf("%d offers of type %v, want %d", n, kind, want[kind])
		}
	}
	if st.AllOffers() != all {
		t.Errorf("%d offers in all, want %d", st.AllOffers(), all)
	}
}

func (p *memPeer) public(body string) { p.send(wire.Pubmsg, p.nick+"!PUBLIC!"+body) }

func TestOffersAreCountedByTypeWhileTheirPeerIsHere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		step := func(p *memPeer, body string, want map[wire.OfferType]int) {
			t.Helper()
			p.public(body)
			p.lines()
			wantOffers(t, s, want)
		}
		step(maker, "sw0reloffer 0 27300 500000000 0 0.0002", map[wire.OfferType]int{wire.OfferSW0Rel: 1})
		step(maker, "sw0reloffer 0 27300 400000000 0 0.0003", map[wire.OfferType]int{wire.OfferSW0Rel: 1})
		step(maker, "sw0absoffer 1 1 2 3 4!newreloffer 2 1 2 3 4", map[wire.OfferType]int{wire.OfferSW0Rel: 1, wire.OfferSW0Abs: 1, wire.OfferOther: 1})
		step(maker, "tr0absoffer 1 1 2 3 4", map[wire.OfferType]int{wire.OfferSW0Rel: 1, wire.OfferTR0Abs: 1, wire.OfferOther: 1})
		step(maker, "cancel 0!cancel 7", map[wire.OfferType]int{wire.OfferTR0Abs: 1, wire.OfferOther: 1})
		step(other, "cancel 1", map[wire.OfferType]int{wire.OfferTR0Abs: 1, wire.OfferOther: 1})
		step(other, "reloffer 1 1 2 3 4", map[wire.OfferType]int{wire.OfferTR0Abs: 1, wire.OfferOther: 1, wire.OfferRel: 1})
		if got := len(other.lines()); got != 0 {
			t.Fatalf("%d lines are left", got)
		}
		maker.m.closeClient()
		other.lines()
		wantOffers(t, s, map[wire.OfferType]int{wire.OfferRel: 1})
		// The same nick on another connection: what the old one offered is gone with it.
		s.find(Target{Nick: other.nick})[0].evict(EvictedKicked)
		other.lines()
		time.Sleep(s.opt().DepartureDelay)
		joinMem(t, s, testNick(2), wire.Location{})
		wantOffers(t, s, nil)
	})
}

func TestOffersAboveTheBoundOfMemoryArePassedOnAndNotCounted(t *testing.T) {
	inBubble(t, func(o *Options) { *o = o.Unlimited() }, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		for i := range maxOffers + 44 {
			maker.public(fmt.Sprintf("sw0reloffer %d 27300 500000000 0 0.0002", i))
		}
		if n := len(other.lines()); n != maxOffers+44 {
			t.Errorf("%d offers came, want all %d", n, maxOffers+44)
		}
		wantOffers(t, s, map[wire.OfferType]int{wire.OfferSW0Rel: maxOffers})
		maker.public("cancel 0!sw0absoffer 1000 1 2 3 4")
		other.lines()
		wantOffers(t, s, map[wire.OfferType]int{wire.OfferSW0Rel: maxOffers - 1, wire.OfferSW0Abs: 1})
	})
}

// TestOffersAreLimitedOnlyWhereThatIsSet: of each limit, what is within it passes unchanged, and what is above it is dropped
// with its own reason; other messages do not count.
func TestOffersAreLimitedOnlyWhereThatIsSet(t *testing.T) {
	long := "sw0reloffer 0 1 2 3 4!tbond " + strings.Repeat("A", 1000)
	several := "sw0reloffer 0 1 2 3 4!sw0reloffer 1 1 2 3 4!sw0reloffer 2 1 2 3 4"
	for _, c := range []struct {
		name   string
		limits OfferLimits
		send   []string
		passed int // of send, the first ones, and those after "|"
		reason Reason
	}{
		{"no limit", OfferLimits{}, []string{long, several, long, several}, 4, ReasonNone},
		{"size", OfferLimits{Bytes: 500}, []string{several, "hp2 " + strings.Repeat("A", 600), long}, 2, DroppedOfferSize},
		{"number", OfferLimits{Max: 2}, []string{"reloffer 0", "reloffer 1", "absoffer 1", "cancel 0!reloffer 5", "reloffer 7"}, 4, DroppedOfferLimit},
		{"number in one message", OfferLimits{Max: 2}, []string{several}, 0, DroppedOfferLimit},
		{"the same one twice in a message", OfferLimits{Max: 1}, []string{"reloffer 0!absoffer 0"}, 1, ReasonNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(o *Options) { o.Offers = c.limits }, func(t *testing.T, s *Server) {
				maker := joinMem(t, s, testNick(1), testLocation(1))
				other := joinMem(t, s, testNick(2), wire.Location{})
				for i, body := range c.send {
					maker.public(body)
					if i < c.passed {
						other.wantLines(rawMessage{wire.Pubmsg, maker.nick + "!PUBLIC!" + body})
					} else {
						other.wantLines()
					}
				}
				if c.reason != ReasonNone {
					if n := s.Status().Reasons[c.reason]; n != uint64(len(c.send)-c.passed) {
						t.Errorf("%d dropped for %v, want %d: %v", n, c.reason, len(c.send)-c.passed, s.Status().Reasons)
					}
				} else if len(s.Status().Reasons) != 0 {
					t.Error(s.Status().Reasons)
				}
				maker.wantConnected()
			})
		})
	}
}

func TestOffersAboveTheRateAreHeldBackAndThenDropped(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Offers.Rate = Rate{PerSecond: 1, Burst: 3}
	}, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		for i := range 5 {
			maker.public(fmt.Sprintf("reloffer %d", i))
		}
		maker.public("hp2 P00")
		if n := len(other.lines()); n != 3 {
			t.Errorf("%d came at once, want 3", n)
		}
		time.Sleep(2500 * time.Millisecond)
		if n := len(other.lines()); n != 3 {
			t.Errorf("%d came later, want the 2 that were held back, and what followed", n)
		}
		for i := range 60 {
			maker.public(fmt.Sprintf("reloffer %d", i))
		}
		time.Sleep(s.opt().Patience + 2*maxHold)
		if st := s.Status(); st.Reasons[DroppedRateOffer] == 0 || st.Held == 0 {
			t.Errorf("held %d, %v: want offers dropped after the patience", st.Held, st.Reasons)
		}
		maker.wantConnected()
	})
}

// TestLoweredLimitKeepsOffersThatAreThere: who has more offers than a new limit allows may announce them anew, but no
// others.
func TestLoweredLimitKeepsOffersThatAreThere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		maker := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		maker.public("reloffer 0!reloffer 1!reloffer 2")
		other.lines()
		o := s.opt().Options
		o.Offers.Max = 1
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		maker.public("absoffer 2")
		maker.public("absoffer 3")
		other.wantLines(rawMessage{wire.Pubmsg, maker.nick + "!PUBLIC!absoffer 2"})
		wantOffers(t, s, map[wire.OfferType]int{wire.OfferRel: 2, wire.OfferAbs: 1})
	})
}

// TestOffersFollowAModel holds a connection's offers and their counts against a map.
func TestOffersFollowAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set offers
		var counts offerCounts
		model := make(map[uint32]wire.OfferType)
		command := rapid.Custom(func(t *rapid.T) string {
			name := rapid.SampledFrom([]string{"cancel", "sw0reloffer", "sw0absoffer", "newabsoffer", "orderbook"}).Draw(t, "name")
			return name + " " + rapid.SampledFrom([]string{"0", "1", "2", "3", "4", "5", "x", ""}).Draw(t, "id")
		})
		const most = 4
		for _, commands := range rapid.SliceOf(rapid.SliceOfN(command, 1, 4)).Draw(t, "bodies") {
			over := false
			for _, one := range commands {
				said, _, ok := wire.NextOffer([]byte(one))
				_, known := model[said.ID]
				switch {
				case !ok:
				case said.Cancelled:
					delete(model, said.ID)
				case known || len(model) < most:
					model[said.ID] = said.Type
				default:
					over = true
				}
			}
			body := []byte(strings.Join(commands, "!"))
			if got := set.exceeds(body, most); got != over {
				t.Fatalf("%q on %v exceeds %d: %v, want %v", body, set, most, got, over)
			}
			var left bool
			if set, left = set.with(body, most, &counts); left != over {
				t.Fatalf("%q leaves one out: %v, want %v", body, left, over)
			}
			if len(set) != len(model) {
				t.Fatalf("%v after %q, want %v", set, body, model)
			}
			want := make(map[wire.OfferType]int)
			for _, o := range set {
				if kind, ok := model[o.id]; !ok || kind != o.kind {
					t.Fatalf("%v after %q, want %v", set, body, model)
				}
				want[o.kind]++
			}
			for kind, n := range counts.all() {
				if n != want[kind] {
					t.Fatalf("%d of %v counted, want %d", n, kind, want[kind])
				}
			}
		}
		set.drop(&counts)
		for kind, n := range counts.all() {
			if n != 0 {
				t.Fatalf("%d of %v counted of nobody", n, kind)
			}
		}
	})
}

func TestAnnouncingTheSameAgainDoesNotAllocate(t *testing.T) {
	var set offers
	var counts offerCounts
	body := []byte("sw0reloffer 0 27300 500000000 0 0.0002!sw0absoffer 1 27300 500000000 0 500")
	set, _ = set.with(body, maxOffers, &counts)
	if n := testing.AllocsPerRun(100, func() {
		set, _ = set.with(body, maxOffers, &counts)
		if set.exceeds(body, 2) {
			t.Error("two offers are more than two")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// BenchmarkOffers is what counting adds to a public message: a maker with a few offers and one with very many, which
// announces its last one.
func BenchmarkOffers(b *testing.B) {
	for _, n := range []int{1, 10, maxOffers} {
		b.Run(fmt.Sprintf("offers=%d", n), func(b *testing.B) {
			var set offers
			var counts offerCounts
			var body []byte
			for i := range n {
				body = fmt.Appendf(nil, "sw0reloffer %d 27300 500000000 0 0.0002", i)
				set, _ = set.with(body, maxOffers, &counts)
			}
			b.ReportAllocs()
			for b.Loop() {
				set, _ = set.with(body, maxOffers, &counts)
			}
		})
	}
}
