package page

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jm-directory-server/server/admin"
)

// TestFoldKeepsWhatWasCounted guards that gathering samples loses nothing that was in the period, and that means stay
// within what they are means of.
func TestFoldKeepsWhatWasCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 12
		from := noon.Truncate(time.Hour)
		bucket := 5 * time.Minute
		var samples []admin.Sample
		var deliveries, losses uint64
		var up time.Duration
		low, high := math.Inf(1), math.Inf(-1)
		for _, minute := range rapid.SliceOfDistinct(rapid.IntRange(-10, n*5+10), func(m int) int { return m }).Draw(t, "minutes") {
			s := admin.Sample{
				Start: from.Add(time.Duration(minute) * time.Minute), Span: time.Minute,
				Up:    time.Duration(rapid.IntRange(0, 60).Draw(t, "up")) * time.Second,
				Peers: float64(rapid.IntRange(0, 1000).Draw(t, "peers")), Deliveries: uint64(rapid.IntRange(0, 1000).Draw(t, "deliveries")),
				Dropped: 1, Refused: 2, Evicted: 3,
			}
			s.Ready = s.Up
			samples = append(samples, s)
			if minute >= 0 && minute < n*5 && s.Up > 0 {
				deliveries, losses, up = deliveries+s.Deliveries, losses+6, up+s.Up
				low, high = min(low, s.Peers), max(high, s.Peers)
			}
		}
		for _, p := range fold(samples, from, bucket, n) {
			deliveries, losses, up = deliveries-p.deliveries, losses-p.dropped-p.refused-p.evicted, up-p.up
			if p.up > 0 && (p.peers < low-1e-9 || p.peers > high+1e-9) {
				t.Fatalf("mean of %v peers, of between %v and %v", p.peers, low, high)
			}
			if p.ready != p.up {
				t.Fatalf("ready for %v of %v", p.ready, p.up)
			}
		}
		if deliveries != 0 || losses != 0 || up != 0 {
			t.Fatalf("left: %d deliveries, %d losses, %v up", deliveries, losses, up)
		}
	})
}

// TestMeansAreWeighedByTime guards that a minute in which the server ran for a second does not count like a whole one.
func TestMeansAreWeighedByTime(t *testing.T) {
	from := noon.Truncate(time.Hour)
	points := fold([]admin.Sample{
		{Start: from, Up: time.Minute, Peers: 100},
		{Start: from.Add(time.Minute), Up: 20 * time.Second, Peers: 20},
	}, from, 5*time.Minute, 1)
	if got := points[0].peers; math.Abs(got-80) > 1e-9 {
		t.Errorf("%v peers, want 80", got)
	}
}

// TestPeriodsFit guards the number of points of each period, and that what is read ends with the present.
func TestPeriodsFit(t *testing.T) {
	for _, p := range periods {
		n := int(p.length / p.bucket)
		if n < 60 || n > 300 || p.length%p.bucket != 0 || p.bucket%p.sample != 0 {
			t.Errorf("%s: %d points", p.Name, n)
		}
		src := &fake{history: func(span time.Duration, from, to time.Time) ([]admin.Sample, error) {
			if span != p.sample || to.Sub(from) != p.length || !to.After(noon) || to.Sub(noon) > p.bucket || from.Truncate(p.bucket) != from {
				t.Errorf("%s: asked for %v from %v to %v", p.Name, span, from, to)
			}
			return lived(span, from, to)
		}}
		h := past(src, p, noon)
		if h.Empty || h.Problem != "" || len(h.Graphs) != 3 || h.Reach.Width != n {
			t.Errorf("%s: %v %q", p.Name, h.Empty, h.Problem)
		}
		for _, g := range h.Graphs {
			if len(g.X) < 4 || len(g.X) > 10 || len(g.Y) < 3 || len(g.Y) > 6 {
				t.Errorf("%s of %s: %d and %d ticks", g.Name, p.Name, len(g.X), len(g.Y))
			}
		}
	}
}

// drawn returns a frame of points, in which a negative number of peers is a gap.
func drawn(peers ...float64) frame {
	f := frame{p: lastDay, to: noon, from: noon.Add(-time.Duration(len(peers)) * 5 * time.Minute)}
	for _, n := range peers {
		if n < 0 {
			f.points = append(f.points, point{})
			continue
		}
		f.points = append(f.points, point{up: 5 * time.Minute, ready: 5 * time.Minute, peers: n, peersMax: int(n), dropped: uint64(n)})
	}
	return f
}

// TestGapsAreNotDrawnOver guards that the time without the server is left blank, and that a lone sample is seen.
func TestGapsAreNotDrawnOver(t *testing.T) {
	for _, test := range []struct {
		peers      []float64
		line, area string
	}{
		{[]float64{-1, -1}, "", ""},
		{[]float64{-1, 4, -1}, "M1 0L1.5 0H2", "M1 0L1.5 0H2V132H1Z"},
		{[]float64{4, 2, -1, -1, 4}, "M0 0L0.5 0L1.5 66H2M4 0L4.5 0H5", "M0 0L0.5 0L1.5 66H2V132H0ZM4 0L4.5 0H5V132H4Z"},
		{[]float64{4, 4, 4, 4}, "M0 0L0.5 0L3.5 0H4", "M0 0L0.5 0L3.5 0H4V132H0Z"},
	} {
		g := drawn(test.peers...).peers()
		if g.Layers[1].Path != test.line || g.Layers[0].Path != test.area {
			t.Errorf("%v: line %q, area %q", test.peers, g.Layers[1].Path, g.Layers[0].Path)
		}
	}
}

// TestLossesAreStacked guards that the height of the columns is the sum.
func TestLossesAreStacked(t *testing.T) {
	f := drawn(0, -1, 0, 0)
	for i, p := range []point{{refused: 5, dropped: 5}, {}, {evicted: 20}, {evicted: 20}} {
		f.points[i].refused, f.points[i].dropped, f.points[i].evicted = p.refused, p.dropped, p.evicted
	}
	g := f.losses()
	for i, want := range []string{"M0 132V99H1V132Z", "M0 99V66H1V99Z", "M2 132V0H4V132Z"} {
		if g.Layers[i].Path != want {
			t.Errorf("layer %s: %s, want %s", g.Layers[i].Class, g.Layers[i].Path, want)
		}
	}
	if want := "In the last 24 hours: 5 refused, 5 dropped, 40 evicted."; g.Summary != want {
		t.Errorf("summary %q", g.Summary)
	}
}

// TestStripTellsStates guards what is called reachable.
func TestStripTellsStates(t *testing.T) {
	f := drawn(1, 1, 1, -1, 1, 1, 1, -1) // the last has just begun
	f.points[2].ready = 0
	f.points[4].ready = 2 * time.Minute
	f.points[5].checksBad = 1
	f.points[6].checksOK, f.points[6].checksBad = 20, 1
	s := f.reach()
	var got strings.Builder
	for _, r := range s.Runs {
		got.WriteString(strings.Repeat(r.Class+" ", r.Length))
	}
	if want := "good good bad gap warn warn good "; got.String() != want {
		t.Errorf("got %s, want %s", got.String(), want)
	}
	if want := "73.3" + thin + "% of the time that it ran"; s.Summary != want {
		t.Errorf("summary %q", s.Summary)
	}
	if want := "20 of 22 self-checks passed"; s.Note != want {
		t.Errorf("note %q", s.Note)
	}
}

// TestAxesHoldWhatIsDrawn guards that every value is on the axis and that the axis has ticks to read it by.
func TestAxesHoldWhatIsDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Pow(10, rapid.Float64Range(-6, 18).Draw(t, "exponent"))
		whole := rapid.Bool().Draw(t, "whole")
		top, step := scale(v, whole)
		if top < v*(1-1e-6) || !whole && top > 3*v {
			t.Fatalf("the axis of %v ends at %v", v, top)
		}
		if n := len(axis(top, step)); n < 2 || n > 6 {
			t.Fatalf("%v has %d ticks", v, n)
		}
	})
}
