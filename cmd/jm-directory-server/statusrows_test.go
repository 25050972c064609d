package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/admin"
)

var update = flag.Bool("update", false, "write golden files anew")

// watched is a recorded report as a watch shows it after a while.
func watched(t *testing.T, name string) *view {
	t.Helper()
	now, _ := recorded(t, name)
	before, _ := recorded(t, name)
	before.UptimeSeconds -= 10
	before.Process.CPUSeconds--
	if before.Tor != nil {
		before.Tor.CPUSeconds -= 2
	}
	for _, reason := range []string{"rate_public", "unknown_target"} {
		if n := before.Reasons["dropped"][reason]; n > 0 {
			before.Reasons["dropped"][reason] = n - 5
		}
	}
	past := &trends{utf8: true}
	for i := range 40 {
		at := now.Time.Add(time.Duration(i-39) * trendStep)
		if i < 5 || i > 8 {
			past.add(at, [numTrends]float64{trendPeers: float64(1000 + 6*i), trendDeliveries: float64(i * i * 10)})
		}
	}
	return &view{Report: *now, before: before, trends: past}
}

func TestScreens(t *testing.T) {
	for _, name := range []string{"running", "starting", "failing", "without_tor"} {
		for _, size := range []struct{ width, height int }{{80, 24}, {60, 24}, {40, 16}, {80, 0}, {24, 5}} {
			t.Run(fmt.Sprintf("%s_%dx%d", name, size.width, size.height), func(t *testing.T) {
				l := layout{width: size.width, height: size.height, utf8: true}
				got := strings.Join(l.lines(watched(t, name).rows()), "\n") + "\n"
				golden := filepath.Join("testdata/status", filepath.Base(t.Name())+".txt")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

var escape = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// TestScreenFitsEveryTerminal guards that nothing is wider or higher than the terminal, whatever a server reports, and
// that colours take no room.
func TestScreenFitsEveryTerminal(t *testing.T) {
	base := watched(t, "failing")
	rapid.Check(t, func(t *rapid.T) {
		v := *base
		v.Version = rapid.String().Draw(t, "version")
		v.ServerStatus = rapid.String().Draw(t, "status")
		v.Advice = rapid.SliceOf(rapid.String()).Draw(t, "advice")
		v.Reasons = map[string]map[string]uint64{
			"dropped": rapid.MapOf(rapid.StringMatching(`[a-z_]{1,30}`), rapid.Uint64()).Draw(t, "dropped"),
		}
		v.ConnectedPeers.Total = rapid.Int().Draw(t, "peers")
		v.Rates.Deliveries = rapid.Float64().Draw(t, "deliveries")
		v.Outbox.OldestSeconds = rapid.Float64().Draw(t, "oldest")
		l := layout{
			width: rapid.IntRange(1, 200).Draw(t, "width"), height: rapid.IntRange(1, 60).Draw(t, "height"),
			utf8: rapid.Bool().Draw(t, "utf8"),
		}
		v.trends = &trends{utf8: l.utf8, bars: base.trends.bars, last: base.trends.last}
		lines := l.lines(v.rows())
		if len(lines) > l.height {
			t.Fatalf("%d lines on %d", len(lines), l.height)
		}
		for _, line := range lines {
			if n := terminal.Width(line); n > l.width {
				t.Fatalf("%d columns on %d: %q", n, l.width, line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || !l.utf8 && r > '~' }) {
				t.Fatalf("what the terminal cannot show: %q", line)
			}
		}
		l.colour = true
		coloured := l.lines(v.rows())
		for i := range coloured {
			if got := strings.TrimRight(escape.ReplaceAllString(coloured[i], ""), " "); got != lines[i] {
				t.Fatalf("with colours %q, without %q", got, lines[i])
			}
		}
	})
}

func TestWhatMattersIsShownOnTheLowestScreen(t *testing.T) {
	lines := layout{width: 79, height: 4, utf8: true}.lines(watched(t, "failing").rows())
	text := strings.Join(lines, "\n")
	for _, want := range []string{"running", "Clients cannot reach the directory", "The disk is full"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestOnionRowSaysWhetherClientsCanReachIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		tor  *admin.Tor
		c    *admin.Check
		want string
		tone tone
	}{
		{"no Tor", nil, nil, "served by a Tor elsewhere, or by none (tor.mode off)", plain},
		{"bootstrap", &admin.Tor{Bootstrap: 40, Phase: "Loading"}, nil, "not reachable yet  Tor 40 %  Loading", fair},
		{"before the upload", &admin.Tor{Bootstrap: 100}, nil, "not reachable yet  Tor 100 %  descriptor not uploaded", fair},
		{"without checks", &admin.Tor{Published: true, LastUpload: now.Add(-time.Hour)}, &admin.Check{}, "published  self-check off  descriptor 1h 0m old", good},
		{"before the first", &admin.Tor{Published: true}, &admin.Check{Enabled: true}, "published  no self-check yet", good},
		{"passed", &admin.Tor{Published: true}, &admin.Check{Enabled: true, OK: true, At: now.Add(-time.Minute), Latency: 340 * time.Millisecond, Interval: 5 * time.Minute}, "reachable  self-check 340 ms, 1 min ago", good},
		{"overdue", &admin.Tor{Published: true}, &admin.Check{Enabled: true, OK: true, At: now.Add(-time.Hour), Latency: time.Second, Interval: 5 * time.Minute}, "published  self-check 1 s, 1h 0m ago: overdue", good},
		{"failed", &admin.Tor{Published: true}, &admin.Check{Enabled: true, At: now.Add(-3 * time.Second), Reason: "dial"}, "not reachable  self-check failed: dial  3 s ago  never passed", bad},
		{"uploads fail", &admin.Tor{Published: true, UploadsFailed: 9, Uploads: 1}, nil, "published  self-check off  9 uploads failed", good},
		{"one fails", &admin.Tor{Published: true, UploadsFailed: 1}, nil, "published  self-check off  1 upload failed", good},
	}
	for _, test := range tests {
		v := &view{Report: admin.Report{Time: now, Tor: test.tor, Check: test.c}}
		r := v.onionRow()
		got := strings.Join(layout{width: 200, utf8: true}.wrap(r, 200, 1), "")
		if got != test.want || r.cells[0].tone != test.tone {
			t.Errorf("%s: %q, tone %d", test.name, got, r.cells[0].tone)
		}
	}
}

// TestRatesOfReasonsAreOfOneRun guards that a restart of the server, whose counters begin anew, shows no rates from before.
func TestRatesOfReasonsAreOfOneRun(t *testing.T) {
	w := &watch{}
	report := func(uptime float64, n uint64) *admin.Report {
		return &admin.Report{UptimeSeconds: uptime, Reasons: map[string]map[string]uint64{"dropped": {"malformed": n}}}
	}
	for i := range 20 {
		w.take(report(100+2*float64(i), uint64(10*i)))
	}
	v := &view{Report: *w.reports[len(w.reports)-1], before: w.reports[0]}
	if list, sum := v.reasons("dropped"); len(list) != 1 || list[0].rate != 5 || sum.rate != 5 || sum.n != 190 {
		t.Errorf("got %v, %v; want 5 a second", list, sum)
	}
	if span := v.UptimeSeconds - v.before.UptimeSeconds; span != rateSpan.Seconds() {
		t.Errorf("rates are over %v seconds", span)
	}
	w.take(report(1, 3))
	if len(w.reports) != 1 {
		t.Errorf("%d reports are kept over a restart", len(w.reports))
	}
}

func TestLocaleSaysWhetherBarsCanBeShown(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "en_GB.UTF-8"}, true},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": "de_DE.utf8"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
	} {
		if got := utf8Locale(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: %v", test.env, got)
		}
	}
}

// TestReasonsAreExplained guards that who asks is told what happened and what to do about it, and nothing of what did not.
func TestReasonsAreExplained(t *testing.T) {
	report, _ := recorded(t, "running")
	report.Reasons["dropped"]["brand_new"] = 1
	report.Reasons["refused"] = nil
	rows := (&view{Report: *report}).meaningRows()
	text := strings.Join(layout{width: 79}.lines(rows), "\n")
	for _, want := range []string{
		"Dropped   rate_public  12.2k\n          Public messages faster than limits.message_rate. If honest makers are\n          hit, raise limits.message_burst.",
		"          brand_new  1\n          This program does not know it: the server is a newer one.\n",
		"\n\nEvicted   handshake_timeout  512\n", "\n          no_progress  33\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "to_self") || strings.Contains(text, "Refused") {
		t.Errorf("what did not happen is explained:\n%s", text)
	}
}
