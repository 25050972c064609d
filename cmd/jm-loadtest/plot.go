package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A growth is one plot: a figure over the number of peers, one curve for each kind of socket.
type growth struct {
	file, title string
	scenario    string
	suffix      string // of the title of the results
	value       func(x *result) (float64, bool)
}

func named(name string) func(x *result) (float64, bool) {
	return func(x *result) (float64, bool) { return x.value(name) }
}

var growths = []growth{
	{"delivery.svg", "CPU time of the server for a delivery, 16 messages in flight, µs", "broadcast", "16 in flight", named("cpu")},
	{"join.svg", "CPU time of the server for a handshake while so many join, µs", "ramp", "", named("server_cpu_microseconds_per_handshake")},
	{"peerlist.svg", "list of all peers, to the last entry, ms", "peerlist", "", named("milliseconds_to_last_entry")},
	{"churn.svg", "a quarter leaves at once, to the last notice, ms", "churn", "", named("milliseconds_to_last_notice")},
}

// A point of a plot: peers, and the median.
type point struct{ x, y float64 }

// points returns the curve of one kind of socket, by number of peers.
func (s *summary) points(g growth, family string) (curve []point) {
	byPeers := map[int][]float64{}
	for key, results := range s.results {
		if !strings.HasPrefix(key, family+" ") {
			continue
		}
		for _, x := range results {
			if x.Scenario != g.scenario || !strings.HasSuffix(x.Title, g.suffix) || g.scenario == "churn" && !quarterLeaves(x) {
				continue
			}
			if v, ok := g.value(x); ok {
				byPeers[x.Peers] = append(byPeers[x.Peers], v)
			}
		}
	}
	for peers, all := range byPeers {
		slices.Sort(all)
		curve = append(curve, point{float64(peers), (all[(len(all)-1)/2] + all[len(all)/2]) / 2})
	}
	slices.SortFunc(curve, func(a, b point) int { return int(a.x - b.x) })
	return curve
}

// quarterLeaves tells the plot's results from those where half of the peers leave.
func quarterLeaves(x *result) bool {
	return strings.HasPrefix(x.Title, "churn "+number(float64(x.Peers/4))+" of ")
}

// writePlots writes those plots for which there are at least two numbers of peers.
func (s *summary) writePlots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	for _, g := range growths {
		curves := map[string][]point{}
		for _, f := range s.families {
			if c := s.points(g, f); len(c) > 1 {
				curves[f] = c
			}
		}
		if len(curves) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, g.file), []byte(plot(g.title, curves)), 0o644); err != nil {
			return fmt.Errorf("plots: %w", err)
		}
	}
	return nil
}

// Measures of a plot, in pixels.
const (
	plotWidth, plotHeight              = 640, 300
	plotLeft, plotTop, plotEnd, plotUp = 60, 40, 20, 50 // margins
)

var curveColours = map[string]string{"tcp": "#0b62a4", "unix": "#c2410c"}

// plot draws curves over a logarithmic axis of peers and a linear one of values that begins at 0.
func plot(title string, curves map[string][]point) string {
	low, high, top := math.Inf(1), 0.0, 0.0
	xs := map[float64]bool{}
	for _, c := range curves {
		for _, p := range c {
			low, high, top = min(low, p.x), max(high, p.x), max(top, p.y)
			xs[p.x] = true
		}
	}
	step := niceStep(top / 4)
	top = step * math.Ceil(top/step)
	x := func(v float64) float64 {
		return plotLeft + (plotWidth-plotLeft-plotEnd)*math.Log(v/low)/math.Log(high/low)
	}
	y := func(v float64) float64 { return plotHeight - plotUp - (plotHeight-plotTop-plotUp)*v/top }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="%d" y="20" font-size="14">%s</text>
`, plotWidth, plotHeight, plotLeft, title)
	for v := 0.0; v <= top*1.001; v += step {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>
`, plotLeft, y(v), plotWidth-plotEnd, plotLeft-6, y(v)+4, number(v))
	}
	for _, v := range slices.Sorted(maps.Keys(xs)) {
		if tooNear(v, xs, high/low) {
			continue
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>
`, x(v), plotHeight-plotUp+18, number(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">peers</text>
`, (plotLeft+plotWidth-plotEnd)/2, plotHeight-plotUp+36)
	at := plotWidth - plotEnd
	for _, family := range []string{"unix", "tcp"} {
		c := curves[family]
		if len(c) == 0 {
			continue
		}
		colour := curveColours[family]
		var line []string
		for _, p := range c {
			line = append(line, fmt.Sprintf("%.1f,%.1f", x(p.x), y(p.y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>
`, x(p.x), y(p.y), colour)
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>
<text x="%d" y="%d" text-anchor="end" fill="%s">%s</text>
`, strings.Join(line, " "), colour, at, plotHeight-plotUp+36, colour, family)
		at -= 40
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// tooNear reports whether the label of v would stand on that of a larger number.
func tooNear(v float64, xs map[float64]bool, span float64) bool {
	for o := range xs {
		if o > v && math.Log(o/v)/math.Log(span) < .08 {
			return true
		}
	}
	return false
}

// niceStep is 1, 2 or 5 times a power of ten, and not less than v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}
