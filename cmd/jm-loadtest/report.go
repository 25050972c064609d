package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/cmd/terminal"
)

// Between these lines of a document stands what report has written, and is written anew.
const (
	reportBegin = "<!-- figures: begin -->"
	reportEnd   = "<!-- figures: end -->"
)

func newReportCommand() *cobra.Command {
	var into, plots, version string
	cmd := &cobra.Command{
		Use: "report FILE...", Short: "medians of several runs as a table in Markdown",
		Example: `  jm-loadtest report run1.json run2.json run3.json
  jm-loadtest report --into figures.md --plots plots run*.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return terminal.UsageErrorf("report needs files that --json has written")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := readSummary(args)
			if err != nil {
				return err
			}
			if plots != "" {
				if err := s.writePlots(plots); err != nil {
					return err
				}
			}
			var b strings.Builder
			s.write(&b, version)
			if into == "" {
				_, err = io.WriteString(cmd.OutOrStdout(), b.String())
				return err
			}
			return replaceReport(into, b.String())
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&into, "into", "", "document in whose marks the table is put, a `file`; without: standard output")
	set.StringVar(&plots, "plots", "", "`directory` for plots of figures by number of peers, as SVG")
	set.StringVar(&version, "server-version", "", "`version` of the server that was measured")
	return cmd
}

// A summary is what several runs have found.
type summary struct {
	families []string // "tcp", "unix", as far as there are any
	results  map[string][]*result
	wrong    map[string]int // what went wrong, and in how many results
	first    *report
}

// key is under which results are found.
func (s *summary) key(family, title string) string {
	return family + " " + strings.Replace(title, "FAMILY", family, 1)
}

// readSummary reads reports.
func readSummary(files []string) (*summary, error) {
	s := &summary{results: map[string][]*result{}, wrong: map[string]int{}}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		r := new(report)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("report: %s: %w", name, err)
		}
		if r.Tool != "jm-loadtest" {
			return nil, fmt.Errorf("report: %s is not of jm-loadtest", name)
		}
		if s.first == nil || r.Started.Before(s.first.Started) {
			s.first = r
		}
		for _, x := range r.Results {
			s.add(familyOf(r, x), x)
		}
		if r.Failure != "" {
			s.wrong[r.Failure]++
		}
	}
	return s, nil
}

// familyOf is the kind of socket that a result was measured over.
func familyOf(r *report, x *result) string {
	if strings.HasPrefix(r.Target, "unix:") || strings.HasPrefix(x.Title, "limit unix ") {
		return "unix"
	}
	return "tcp"
}

func (s *summary) add(family string, x *result) {
	if !slices.Contains(s.families, family) {
		s.families = append(s.families, family)
		slices.Sort(s.families)
	}
	key := s.key(family, x.Title)
	s.results[key] = append(s.results[key], x)
	if x.Failure != "" {
		s.wrong[x.Title+" over "+family+": "+x.Failure]++
	}
	if x.Faults.any() {
		s.wrong[x.Title+" over "+family+": "+x.Faults.String()]++
	}
}

// value returns a figure by its name in JSON, or p50, p99, or cpu: the server's seconds for a million deliveries.
func (x *result) value(name string) (v float64, ok bool) {
	switch {
	case name == "p50" && x.Latency != nil:
		return x.Latency.P50, true
	case name == "p99" && x.Latency != nil:
		return x.Latency.P99, true
	case name == "cpu" && x.Server != nil:
		return x.Server.CPUPerMillion, true
	}
	i := slices.IndexFunc(x.Figures, func(f figure) bool { return f.name == name })
	if i < 0 {
		return 0, false
	}
	return x.Figures[i].value, true
}

// median of a figure of the results with a title.
func (s *summary) median(family, title, name string) (v float64, ok bool) {
	var all []float64
	for _, x := range s.results[s.key(family, title)] {
		if v, ok := x.value(name); ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// cell is what a row shows for one kind of socket; a star says that the generator was the limit, or the machine, which both
// share.
func (s *summary) cell(row reportRow, family string) string {
	missing := false
	text := placeholder.ReplaceAllStringFunc(row.show, func(p string) string {
		v, ok := s.median(family, row.title, p[1:len(p)-1])
		missing = missing || !ok
		return number(v)
	})
	if missing {
		return ""
	}
	results, limited := s.results[s.key(family, row.title)], 0
	for _, x := range results {
		if x.Generator != nil && x.Generator.Limit != limitNone {
			limited++
		}
	}
	if 2*limited > len(results) {
		text += " \\*"
	}
	return text
}

// write writes the table, and what it was measured on.
func (s *summary) write(w *strings.Builder, version string) {
	runs := 0
	for _, x := range s.results {
		runs = max(runs, len(x))
	}
	if version == "" {
		version = "of unknown version"
	}
	fmt.Fprintf(w, "Measured on %s with %s, on %s; jm-directory-server %s. Medians of at most %d runs.\n\n",
		s.first.Started.Format("2 January 2006"), runtime.Version(), machine(), version, runs)
	head, rule := "| Work |", "|---|"
	for _, f := range s.families {
		head, rule = head+" "+map[string]string{"tcp": "TCP", "unix": "unix"}[f]+" |", rule+"---:|"
	}
	fmt.Fprintf(w, "%s goal, TCP | Python | Rust | reference |\n%s---:|---:|---:|---:|\n", head, rule)
	for _, row := range reportRows {
		fmt.Fprintf(w, "| %s |", row.work)
		for _, f := range s.families {
			fmt.Fprintf(w, " %s |", s.cell(row, f))
		}
		fmt.Fprintf(w, " %s | %s | %s | %s |\n", row.goal, row.python, row.rust, row.reference)
	}
	fmt.Fprintln(w, "\n\\* The generator was the limit, or the machine, whose cores both share.")
	if len(s.wrong) == 0 {
		fmt.Fprintln(w, "\nIn no run anything was lost, came twice, out of order or damaged, and nobody was evicted or refused.")
		return
	}
	fmt.Fprintln(w, "\nWhat went wrong:")
	fmt.Fprintln(w)
	var all []string
	for what, n := range s.wrong {
		all = append(all, fmt.Sprintf("- %s (%s)\n", terminal.Printable(what, ' '), terminal.Counted(n, "time")))
	}
	slices.Sort(all)
	w.WriteString(strings.Join(all, ""))
}

// machine describes this machine: processor, cores, memory, system.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.Trim(line, "\t :")
		}
	}
	var memory unix.Sysinfo_t
	var name unix.Utsname
	if unix.Sysinfo(&memory) != nil || unix.Uname(&name) != nil {
		return model
	}
	gib := float64(memory.Totalram) * float64(memory.Unit) / (1 << 30)
	return fmt.Sprintf("%s, %d cores, %.0f GiB, Linux %s", terminal.Printable(model, ' '), runtime.NumCPU(), gib, unix.ByteSliceToString(name.Release[:]))
}

// replaceReport puts text between the marks of a document.
func replaceReport(document, text string) error {
	b, err := os.ReadFile(document)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	before, rest, ok := strings.Cut(string(b), reportBegin)
	_, after, ok2 := strings.Cut(rest, reportEnd)
	if !ok || !ok2 {
		return fmt.Errorf("report: %s has no lines %s and %s", document, reportBegin, reportEnd)
	}
	whole := before + reportBegin + "\n\n" + text + "\n" + reportEnd + after
	temp := filepath.Join(filepath.Dir(document), "."+filepath.Base(document)+".new")
	if err := os.WriteFile(temp, []byte(whole), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.Rename(temp, document); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
