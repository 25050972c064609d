package main

import (
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/admin"
)

// drawn returns the bars without the caption.
func drawn(tr *trends, which int) string {
	s := tr.draw(which, captionWidth+12)
	return string([]rune(s)[:12])
}

func TestBarsAreMeansOfSteps(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	tr := &trends{utf8: true}
	add := func(second int, peers float64) {
		tr.add(start.Add(time.Duration(second)*time.Second), [numTrends]float64{trendPeers: peers})
	}
	add(0, 0)
	add(10, 4)
	add(12, 8)
	add(18, 12) // with the two before: 8
	add(20, 16)
	add(50, 16) // two steps were not seen
	if got := drawn(tr, trendPeers); got != "      ▁▅█  █" {
		t.Errorf("got %q", got)
	}
	if got := drawn(tr, trendDeliveries); got != "      ▁▁▁  ▁" {
		t.Errorf("nothing at all: got %q", got)
	}
	tr.utf8 = false
	if got := drawn(tr, trendPeers); got != "      .+#  #" {
		t.Errorf("in ASCII: got %q", got)
	}
	if s := tr.draw(trendPeers, captionWidth+12); !strings.HasSuffix(s, "  most 16 in 2 min") {
		t.Errorf("the caption of %q", s)
	}
	if s := tr.draw(trendPeers, 20); s != strings.Repeat(" ", 14)+".+#  #" {
		t.Errorf("without room for the caption: %q", s)
	}
}

func TestBarsBeginWithThePast(t *testing.T) {
	start := time.Unix(1_200_000_000, 0) // a full minute
	tr := &trends{utf8: true}
	tr.addPast([]admin.HistorySample{
		{Start: start, UpSeconds: 60, Peers: 8, Deliveries: 600},
		{Start: start.Add(time.Minute), UpSeconds: 0, Peers: 99},
		{Start: start.Add(2 * time.Minute), UpSeconds: 30, Peers: 4, Deliveries: 600}, // a minute that is not over
	}, start.Add(140*time.Second))
	if got := drawn(tr, trendPeers); got != "████      ▅▅" {
		t.Errorf("got %q", got)
	}
	if got := drawn(tr, trendDeliveries); got != "▅▅▅▅      ██" {
		t.Errorf("got %q", got)
	}
}

func TestBarsAreBounded(t *testing.T) {
	tr := &trends{}
	start := time.Unix(1_000_000_000, 0)
	for i := range 3 * trendMost {
		tr.add(start.Add(time.Duration(i)*trendStep), [numTrends]float64{})
	}
	tr.add(start.Add(time.Hour*24*365), [numTrends]float64{}) // a clock that jumps
	tr.add(start, [numTrends]float64{})                       // and back
	if len(tr.bars) != 1 || cap(tr.bars) > 4*trendMost {
		t.Errorf("%d bars, room for %d", len(tr.bars), cap(tr.bars))
	}
}
