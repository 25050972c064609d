package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeReports writes reports as --json does, and returns their files.
func writeReports(t *testing.T, all ...*report) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for i, r := range all {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, string(rune('a'+i))+".json")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	return files
}

func broadcastOf(target string, peers int, rate, cpu float64, faulty faults, limit string) *report {
	return &report{Tool: "jm-loadtest", Target: target, Results: []*result{{
		Scenario: "broadcast", Title: "broadcast " + number(float64(peers)) + " peers, 16 in flight", Peers: peers,
		Figures: figures{{"deliveries_per_second", rate, ""}}, Latency: &quantiles{P99: 4}, Server: &serverUse{CPUPerMillion: cpu},
		Faults: faulty, Generator: &ownUse{Limit: limit},
	}}}
}

func TestReportShowsMediansAndFaults(t *testing.T) {
	files := writeReports(t,
		broadcastOf("127.0.0.1:1", 1000, 100_000, 1, faults{}, limitNone),
		broadcastOf("127.0.0.1:1", 1000, 900_000, 3, faults{Lost: 2}, limitNone),
		broadcastOf("127.0.0.1:1", 1000, 300_000, 2, faults{}, limitMachine),
		broadcastOf("unix:/x", 1000, 700_000, .5, faults{}, limitGenerator))
	s, err := readSummary(files)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	s.write(&b, "1.2.3")
	for _, want := range []string{
		"jm-directory-server 1.2.3. Medians of at most 3 runs.",
		"| Work | TCP | unix | goal, TCP | Python | Rust | reference |",
		`| 300 000; 4 ms; 2 s | 700 000; 4 ms; 0.500 s \* | ≥ 500 000;`,
		"- broadcast 1 000 peers, 16 in flight over tcp: 2 lost (1 time)",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestRowsOfTheReportAreMeasured holds the rows against what is measured under their titles: nobody else writes these.
func TestRowsOfTheReportAreMeasured(t *testing.T) {
	script, err := os.ReadFile("../../scripts/bench.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range reportRows {
		scenario, _, _ := strings.Cut(row.title, " ")
		if !strings.Contains(string(script), " "+scenario+" ") {
			t.Errorf("%s: the script does not run %s", row.title, scenario)
		}
		if !placeholder.MatchString(row.show) {
			t.Errorf("%s shows nothing", row.title)
		}
	}
}

func TestReportReplacesWhatStandsBetweenTheMarks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "d.md")
	if err := os.WriteFile(name, []byte("before\n"+reportBegin+"\nold\n"+reportEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := replaceReport(name, "new"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("before\n"+reportBegin+"\n\nnew\n"+reportEnd+"\nafter\n", string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := replaceReport(filepath.Join("testdata", "none.md"), "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a document that is not there: %v", err)
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	s, err := readSummary(writeReports(t,
		broadcastOf("unix:/x", 100, 1, .9, faults{}, limitNone), broadcastOf("unix:/x", 1000, 1, 1.1, faults{}, limitNone),
		broadcastOf("127.0.0.1:1", 100, 1, 2, faults{}, limitNone)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.writePlots(dir); err != nil {
		t.Fatal(err)
	}
	plots, err := os.ReadDir(dir)
	if err != nil || len(plots) != 1 {
		t.Fatalf("%d plots, %v; want that of deliveries, the only figure for two numbers of peers", len(plots), err)
	}
	b, err := os.ReadFile(filepath.Join(dir, plots[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	curves := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			curves++
		}
	}
	if curves != 1 {
		t.Errorf("%d curves, want 1: one point makes none", curves)
	}
}
