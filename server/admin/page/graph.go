package page

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Heights in pixels. The width is whatever the window has: a plot's own unit is the bucket.
const (
	plotHeight  = 132
	stripHeight = 34
)

// A graph is one drawing of the past over a time axis. Labels are text beside the plot, so that they keep their size
// when the plot is stretched.
type graph struct {
	Name, Title, Unit string
	Summary           string // for those who do not see it
	Width             int    // in buckets
	Height            int
	Layers            []layer
	X, Y              []tick
	Legend            []entry
}

// A layer is one path, and the class that gives it its colour.
type layer struct{ Class, Path string }

// A tick is a label and where it goes: in percent of the width from the left, or in pixels from the top.
type tick struct {
	At, Label string
	Minor     bool // left out where there is little room
}

// An entry explains a layer, with a number of the period.
type entry struct{ Class, Name, Value, Unit string }

// A strip is a bar over time of a few states.
type strip struct {
	Summary string
	Width   int
	Height  int
	Runs    []run
	X       []tick
	Legend  []entry
	Note    string
}

// A run is buckets of the same state.
type run struct {
	Class           string
	From, Length    int
	Top, RectHeight int
}

// A frame is what all graphs of a period share.
type frame struct {
	p        period
	from, to time.Time
	points   []point
}

// marks places the labels of time.
func (f frame) marks() (ticks []tick) {
	whole := float64(f.to.Sub(f.from))
	for _, m := range f.p.ticks(f.from, f.to) {
		at := float64(m.at.Sub(f.from)) / whole
		if at < 0.02 || at > 0.985 {
			continue
		}
		ticks = append(ticks, tick{At: strconv.FormatFloat(100*at, 'f', 2, 64) + "%", Label: m.text, Minor: m.minor})
	}
	return ticks
}

// values reads one number from every point.
func (f frame) values(of func(p *point) float64) []float64 {
	v := make([]float64, len(f.points))
	for i := range f.points {
		if f.points[i].up > 0 {
			v[i] = of(&f.points[i])
		}
	}
	return v
}

// last returns the newest value, largest returns the largest and smallest the smallest, without gaps.
func (f frame) last(v []float64) float64 {
	for i := len(v) - 1; i >= 0; i-- {
		if f.points[i].up > 0 {
			return v[i]
		}
	}
	return 0
}

func largest(v []float64) (m float64) {
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

func (f frame) smallest(v []float64) float64 {
	m := math.Inf(1)
	for i, x := range v {
		if f.points[i].up > 0 {
			m = min(m, x)
		}
	}
	return m
}

// runs calls draw with the first and the last of every run of points without a gap.
func (f frame) runs(draw func(first, last int)) {
	first := -1
	for i := 0; i <= len(f.points); i++ {
		up := i < len(f.points) && f.points[i].up > 0
		switch {
		case up && first < 0:
			first = i
		case !up && first >= 0:
			draw(first, i-1)
			first = -1
		}
	}
}

// scale returns the top of an axis that starts at 0 and has largest on it, and the distance of its ticks: 1, 2 or 5
// times a power of ten.
func scale(largest float64, whole bool) (top, step float64) {
	if !(largest > 0) || math.IsInf(largest, 0) {
		return 1, 1
	}
	step = math.Pow(10, math.Floor(math.Log10(largest/4)))
	for _, m := range []float64{1, 2, 5, 10} {
		if largest/(m*step) <= 4 {
			step *= m
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	return math.Ceil(largest/step-1e-9) * step, step
}

// axis labels an axis.
func axis(top, step float64) (ticks []tick) {
	for i := 0; float64(i)*step <= top*(1+1e-9) && i < 10; i++ {
		v := float64(i) * step
		label := scaled(v, "")
		if v >= 1000 && top < 10_000 {
			label = quantity{grouped(strconv.FormatFloat(v, 'f', 0, 64)), ""}
		}
		ticks = append(ticks, tick{At: coordinate(plotHeight * (1 - v/top)), Label: label.String()})
	}
	return ticks
}

// coordinate writes a place in a drawing, to a tenth.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// line draws v as a line through the middle of each bucket, interrupted at gaps; closed is the area below it.
func (f frame) line(v []float64, top float64, closed bool) string {
	var b strings.Builder
	f.runs(func(first, last int) {
		at := func(i int) string { return coordinate(plotHeight * (1 - v[i]/top)) }
		y := at(first)
		b.WriteString("M" + strconv.Itoa(first) + " " + y)
		for i := first; i <= last; i++ {
			next := at(i)
			if i > first && i < last && next == y && at(i+1) == y {
				continue // on the line already
			}
			y = next
			b.WriteString("L" + strconv.Itoa(i) + ".5 " + y)
		}
		b.WriteString("H" + strconv.Itoa(last+1))
		if closed {
			b.WriteString("V" + strconv.Itoa(plotHeight) + "H" + strconv.Itoa(first) + "Z")
		}
	})
	return b.String()
}

// bars draws columns from low to high, which become one area where they touch.
func (f frame) bars(low, high []float64, top float64) string {
	at := func(v float64) string { return coordinate(plotHeight * (1 - v/top)) }
	var b strings.Builder
	for i := 0; i < len(high); i++ {
		if high[i] <= low[i] {
			continue
		}
		end := i + 1
		for end < len(high) && high[end] == high[i] && low[end] == low[i] {
			end++
		}
		b.WriteString("M" + strconv.Itoa(i) + " " + at(low[i]) + "V" + at(high[i]) + "H" + strconv.Itoa(end) + "V" + at(low[i]) + "Z")
		i = end - 1
	}
	return b.String()
}

// figure writes a number of a graph.
func figure(v float64) string {
	if v >= 999.5 {
		return count(uint64(min(v, 1<<62) + 0.5))
	}
	return digits(max(v, 0))
}
