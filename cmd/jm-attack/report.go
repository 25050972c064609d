package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// columns of the table on a terminal.
const columns = "%-22s %8s %5s %9s %9s %8s  %s\n"

func heading(out io.Writer) {
	fmt.Fprintf(out, columns, "attack", "messages", "lost", "p50", "p99", "new in", "what the server counted")
}

func (r *row) print(out io.Writer) {
	fmt.Fprintf(out, columns, r.name, fmt.Sprint(r.sent), fmt.Sprint(r.lost), short(r.p50), short(r.p99),
		fmt.Sprintf("%d/%d", r.arrivals.in, r.arrivals.in+r.arrivals.out), r.counted())
	if r.note != "" {
		fmt.Fprintf(out, "    %s\n", r.note)
	}
	switch {
	case r.hurt != "" && r.known:
		fmt.Fprintf(out, "    HURT, as is known: %s (%s)\n", r.hurt, r.attack.known)
	case r.hurt != "":
		fmt.Fprintf(out, "    HURT: %s\n", r.hurt)
	}
}

// short is a duration in two or three digits.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(100 * time.Millisecond).String()
	}
}

// ordinary are reasons that say nothing of an attack.
var ordinary = []string{"by_peer", "reset"}

// counted are the server's reasons, the largest first.
func (r *row) counted() string {
	type reason struct {
		name string
		n    uint64
	}
	var all []reason
	for kind, reasons := range r.count.Reasons {
		for name, n := range reasons {
			if n > 0 && !slices.Contains(ordinary, name) {
				all = append(all, reason{kind + " " + name, n})
			}
		}
	}
	slices.SortFunc(all, func(a, b reason) int {
		if a.n != b.n {
			return int(min(max(int64(b.n)-int64(a.n), -1), 1))
		}
		return strings.Compare(a.name, b.name)
	})
	var words []string
	for _, c := range all {
		words = append(words, fmt.Sprintf("%s %d", c.name, c.n))
	}
	if n := r.count.Stats.Held; n > 0 {
		words = append(words, fmt.Sprintf("held back %d", n))
	}
	if n := r.count.Stats.CircuitsClosed; n > 0 {
		words = append(words, fmt.Sprintf("circuits closed %d", n))
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// markdown is the table for a document.
func markdown(rows []*row) string {
	var b strings.Builder
	b.WriteString("| Attack | Messages due | Lost | p50 | p99 | Newcomers in | What came of it | Counted |\n|---|---:|---:|---:|---:|---:|---|---|\n")
	for _, r := range rows {
		note := r.note
		if r.hurt != "" {
			note = strings.TrimPrefix(note+"; **"+r.hurt+"**", "; ")
		}
		fmt.Fprintf(&b, "| `%s` | %d | %d | %s | %s | %d of %d | %s | %s |\n", r.name, r.sent, r.lost, short(r.p50), short(r.p99),
			r.arrivals.in, r.arrivals.in+r.arrivals.out, strings.ReplaceAll(note, "|", "/"), r.counted())
	}
	return b.String()
}

// markerOf names the place of a table in a document.
func markerOf(o options) string {
	if o.tor != "" {
		return "make attack: circuits"
	}
	return "make attack"
}

// document replaces what stands between the two markers of a file.
func document(file, marker, table string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+marker+" -->\n", "<!-- end of "+marker+" -->"
	before, rest, ok1 := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s: no place for %q", file, marker)
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644)
}
