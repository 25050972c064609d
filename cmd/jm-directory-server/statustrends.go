package main

import (
	"strings"
	"time"

	"jm-directory-server/server/admin"
)

// trendStep is the time that one bar stands for.
const trendStep = 10 * time.Second

// trendMost bounds the bars that are kept: more than the widest screen shows.
const trendMost = 400

// What bars are drawn of.
const (
	trendPeers      = iota
	trendDeliveries // a second
	numTrends
)

// A bar is the mean of what was seen in one step.
type bar struct {
	sum [numTrends]float64
	n   int
}

// trends are the last minutes, for pictures: one bar a step, by the server's clock.
type trends struct {
	utf8 bool
	last int64 // the step of the newest bar
	bars []bar // oldest first; without n nothing was seen
}

// add takes what was seen at a time. Times go forward.
func (t *trends) add(at time.Time, seen [numTrends]float64) {
	step := at.Unix() / int64(trendStep/time.Second)
	switch ahead := step - t.last; {
	case len(t.bars) == 0 || ahead > trendMost:
		t.bars = append(t.bars[:0], bar{})
		t.last = step
	case ahead > 0:
		t.bars = append(t.bars, make([]bar, ahead)...)
		t.bars = t.bars[max(0, len(t.bars)-trendMost):]
		t.last = step
	}
	b := &t.bars[len(t.bars)-1]
	for i := range seen {
		b.sum[i] += seen[i]
	}
	b.n++
}

// addPast takes minutes of the past, oldest first, as what was seen all through them, up to now.
func (t *trends) addPast(minutes []admin.HistorySample, now time.Time) {
	for _, m := range minutes {
		if m.UpSeconds <= 0 {
			continue
		}
		seen := [numTrends]float64{trendPeers: m.Peers, trendDeliveries: float64(m.Deliveries) / m.UpSeconds}
		for at := m.Start; at.Before(m.Start.Add(time.Minute)) && at.Before(now); at = at.Add(trendStep) {
			t.add(at, seen)
		}
	}
}

// row draws one of them.
func (t *trends) row(which int) row {
	return row{label: " ", rank: rankTrends, bars: func(width int) cell { return cell{t.draw(which, width), good} }}
}

// The bars from nothing to the most, with and without Unicode.
var (
	blocks      = []rune(" ▁▂▃▄▅▆▇█")
	asciiBlocks = []rune(" .,:;+*%#")
)

// captionWidth is the room for what is written behind the bars, with two spaces.
const captionWidth = 24

// draw returns bars of at most width columns, scaled to the largest, and the scale.
func (t *trends) draw(which, width int) string {
	columns := width - captionWidth
	if columns < 8 {
		columns = width // no room for the caption
	}
	shown := t.bars[max(0, len(t.bars)-columns):]
	top := 0.0
	for _, b := range shown {
		if b.n > 0 {
			top = max(top, b.sum[which]/float64(b.n))
		}
	}
	set := asciiBlocks
	if t.utf8 {
		set = blocks
	}
	var s strings.Builder
	s.WriteString(strings.Repeat(" ", max(0, columns-len(shown))))
	for _, b := range shown {
		level := 0
		if b.n > 0 {
			level = 1 // seen: a mark, even of nothing
			if top > 0 {
				level += int(b.sum[which]/float64(b.n)/top*float64(len(set)-2) + 0.5)
			}
		}
		s.WriteRune(set[min(level, len(set)-1)])
	}
	if columns == width {
		return s.String()
	}
	most := shortCount(uint64(top + 0.5))
	if which == trendDeliveries {
		most = shortRate(top) + "/s"
	}
	return s.String() + "  most " + most + " in " + shortTime(time.Duration(columns)*trendStep)
}
