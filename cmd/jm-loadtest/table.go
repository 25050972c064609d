package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"jm-directory-server/cmd/terminal"
)

// width is the longest line of the table in columns.
const width = 80

// The columns of the table: title and first figure, two quantiles, CPU time.
const (
	leftColumns = 55 // title, and the figure that matters most at their right end
	rowFormat   = "%s%*s%8s%9s%8s"
)

// writeTable writes the results for people.
func (r *report) writeTable(w io.Writer) error {
	var b strings.Builder
	cpu := ""
	for _, x := range r.Results {
		if x.Server != nil {
			cpu = "cpu s/M"
		}
	}
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
	}
	line(rowFormat, "", leftColumns, "", "p50 ms", "p99 ms", cpu)
	var notes []string
	for _, x := range r.Results {
		p50, p99, cpu := "", "", ""
		if x.Latency != nil {
			p50, p99 = number(x.Latency.P50), number(x.Latency.P99)
		}
		if x.Server != nil && x.Server.CPUPerMillion > 0 {
			cpu = number(x.Server.CPUPerMillion)
		}
		title := terminal.Fit(x.Title, 54)
		for i, f := range x.Figures {
			value := number(f.value) + " " + f.label
			if i > 0 {
				line("  %s", terminal.Fit(value, width-2))
				continue
			}
			if terminal.Width(title)+1+terminal.Width(value) > leftColumns {
				line("%s", title)
				title = ""
			}
			line(rowFormat, title, leftColumns-terminal.Width(title), value, p50, p99, cpu)
		}
		if x.Failure != "" {
			line("%s, not measured", title)
			notes = append(notes, x.Title+": "+x.Failure)
		}
		if x.Faults.any() {
			notes = append(notes, x.Title+": "+x.Faults.String())
		}
		if g := x.Generator; g != nil && g.Limit != limitNone {
			notes = append(notes, x.Title+": "+limitText(g))
		}
	}
	if r.Failure != "" {
		notes = append(notes, "ended early: "+r.Failure)
	}
	if len(notes) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range notes {
		for _, l := range terminal.Wrap("", terminal.Printable(n, ' '), 2, width) {
			line("%s", l)
		}
	}
	if r.OK {
		line("\nnothing lost, twice, out of order, damaged, evicted or refused")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// limitText says why a figure may be ours rather than the server's.
func limitText(g *ownUse) string {
	share := fmt.Sprintf("(own CPU %.0f %% of its cores, busy %.0f %% of the time)", 100*g.CPUShare, 100*g.BusyShare)
	switch g.Limit {
	case limitGenerator:
		return "the generator was the limit, give it more --procs " + share
	case limitBacklog:
		return "the generator read more slowly than the server wrote " + share
	}
	return "the generator had too little of a core, for the server runs on the same ones " + share
}

// counted writes a count and its noun.
func counted(n int, one string) string {
	return terminal.Plural(number(float64(n)), one)
}

// number writes a value with three or more digits that matter, thousands set apart.
func number(v float64) string {
	switch a := math.Abs(v); {
	case v == 0:
		return "0"
	case a < 100 && v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a < 0.001:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case a < 1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case a < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return sign + s
}
