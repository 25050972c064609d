package page

import (
	"math"
	"strings"
	"time"
)

func (f frame) peers() graph {
	all := f.values(func(p *point) float64 { return p.peers })
	makers := f.values(func(p *point) float64 { return p.makers })
	most := 0
	for i := range f.points {
		most = max(most, f.points[i].peersMax)
	}
	top, step := scale(largest(all), true)
	now, nowMakers := math.Round(f.last(all)), math.Round(f.last(makers))
	g := graph{
		Name: "peers", Title: "Peers", Width: len(f.points), Height: plotHeight, X: f.marks(), Y: axis(top, step),
		Layers: []layer{{"area one", f.line(all, top, true)}, {"line one", f.line(all, top, false)}, {"line two", f.line(makers, top, false)}},
		Legend: []entry{{"one", "All", figure(now), ""}, {"two", "Makers", figure(nowMakers), ""}, {"", "Most", count(uint64(most)), ""}},
	}
	g.Summary = "Peers in the last " + f.p.Title + ": nothing recorded."
	if least := f.smallest(all); !math.IsInf(least, 0) {
		g.Summary = "Peers in the last " + f.p.Title + ": at the end " + figure(now) + ", of these makers " + figure(nowMakers) +
			"; between " + figure(math.Round(least)) + " and " + count(uint64(most)) + "."
	}
	return g
}

func (f frame) deliveries() graph {
	v := f.values(func(p *point) float64 { return float64(p.deliveries) / p.up.Seconds() })
	top, step := scale(largest(v), false)
	now, most := f.last(v), largest(v)
	return graph{
		Name: "deliveries", Title: "Deliveries", Unit: "a second", Width: len(f.points), Height: plotHeight, X: f.marks(), Y: axis(top, step),
		Layers:  []layer{{"area one", f.line(v, top, true)}, {"line one", f.line(v, top, false)}},
		Legend:  []entry{{"one", "Latest", figure(now), "/s"}, {"", "Most", figure(most), "/s"}},
		Summary: "Deliveries a second in the last " + f.p.Title + ": at the end " + figure(now) + ", at most " + figure(most) + ".",
	}
}

func (f frame) losses() graph {
	g := graph{Name: "losses", Title: "Refused, dropped, evicted", Unit: f.p.Per, Width: len(f.points), Height: plotHeight, X: f.marks()}
	g.Summary = "In the last " + f.p.Title + ":"
	low := make([]float64, len(f.points))
	var layers [][2][]float64
	for i, l := range []struct {
		class, name string
		of          func(p *point) uint64
	}{
		{"three", "Refused", func(p *point) uint64 { return p.refused }},
		{"two", "Dropped", func(p *point) uint64 { return p.dropped }},
		{"four", "Evicted", func(p *point) uint64 { return p.evicted }},
	} {
		high := make([]float64, len(low))
		var total uint64
		for j := range f.points {
			p := &f.points[j]
			high[j] = low[j]
			if p.up > 0 {
				high[j] += float64(l.of(p)) * float64(f.p.per) / float64(p.up)
				total += l.of(p)
			}
		}
		layers = append(layers, [2][]float64{low, high})
		low = high
		g.Legend = append(g.Legend, entry{l.class, l.name, count(total), ""})
		g.Summary += []string{" ", ", ", ", "}[i] + count(total) + " " + strings.ToLower(l.name)
	}
	g.Summary += "."
	top, step := scale(largest(low), false)
	g.Y = axis(top, step)
	for i, l := range layers {
		g.Layers = append(g.Layers, layer{"area " + g.Legend[i].Class, f.bars(l[0], l[1], top)})
	}
	return g
}

// The states of a bucket in the strip: their class, and how high they stand, so that colour is not all that tells.
var (
	reachable   = run{Class: good, Top: 0, RectHeight: stripHeight}
	partly      = run{Class: warn, Top: stripHeight / 3, RectHeight: stripHeight - stripHeight/3}
	unreachable = run{Class: bad, Top: stripHeight * 2 / 3, RectHeight: stripHeight - stripHeight*2/3}
	absent      = run{Class: "gap", Top: stripHeight - 4, RectHeight: 4}
)

// reach draws when clients could reach the directory, and when it did not run.
func (f frame) reach() strip {
	s := strip{Width: len(f.points), Height: stripHeight, X: f.marks()}
	var up, ready time.Duration
	var passed, failed int
	var slowest time.Duration
	for i := range f.points {
		p := &f.points[i]
		up, ready = up+p.up, ready+p.ready
		passed, failed = passed+p.checksOK, failed+p.checksBad
		slowest = max(slowest, p.checkMax)
		if p.up == 0 && i == len(f.points)-1 {
			continue // it has just begun: nothing is recorded yet
		}
		r := reachable
		switch part := float64(p.ready) / float64(p.up); {
		case p.up == 0:
			r = absent
		case part < 0.05:
			r = unreachable
		case part < 0.95 || p.checksBad*20 > p.checksOK+p.checksBad:
			r = partly
		}
		r.From, r.Length = i, 1
		if n := len(s.Runs); n > 0 && s.Runs[n-1].Class == r.Class && s.Runs[n-1].From+s.Runs[n-1].Length == i {
			s.Runs[n-1].Length++
			continue
		}
		s.Runs = append(s.Runs, r)
	}
	s.Legend = []entry{{good, "reachable", "", ""}, {warn, "partly, or self-checks failed", "", ""}, {bad, "not reachable", "", ""}, {"gap", "not running", "", ""}}
	if up == 0 {
		s.Summary = "Nothing recorded."
		return s
	}
	s.Summary = percent(float64(ready)/float64(up)) + " of the time that it ran"
	if passed+failed > 0 {
		s.Note = count(uint64(passed)) + " of " + count(uint64(passed+failed)) + " self-checks passed"
		if slowest > 0 {
			s.Note += ", the slowest in " + latency(slowest).String()
		}
	}
	return s
}
