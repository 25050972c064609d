package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jm-directory-server/server"
)

// A parsed is the JSON of a run, as somebody else's program sees it.
type parsed struct {
	Target  string
	Network string
	Seed    uint64
	OK      bool
	Error   string
	Results []struct {
		Scenario, Title string
		Peers           int
		Seconds         float64
		Figures         map[string]float64
		Latency         *struct {
			Count              uint64
			P50, P90, P99, Max float64
		} `json:"latency_ms"`
		Faults    faults
		Server    *serverUse
		Generator *ownUse
	}
}

// measures runs the program and returns its exit code, what it wrote as JSON, and its table.
func measures(t *testing.T, line string) (int, parsed, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out.json")
	code, table, errs := runs(t, append(strings.Fields(line), "--json", file)...)
	var p parsed
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		t.Fatalf("%s: exit code %d, %v: %s%s", line, code, err, table, errs)
	}
	for l := range strings.Lines(table) {
		if len([]rune(l)) > width+1 {
			t.Errorf("%s: longer than %d columns: %s", line, width, l)
		}
	}
	return code, p, table
}

// patient makes room for what comes while a thread of the generator gets no core: in a test, all share the cores, and much
// more than usual goes through a connection.
func patient(o *server.Options) { o.OutboxBytes = 64 << 20 }

// TestScenariosFindNothingWrongWithOurServer runs each scenario, small, and checks what must be exact.
func TestScenariosFindNothingWrongWithOurServer(t *testing.T) {
	for _, kind := range []string{"unix", "tcp"} {
		target := realDirectory(t, kind, patient)
		for _, test := range []struct {
			line    string
			figures map[string]float64 // exact
			count   uint64             // of latencies; 0: any but none
		}{
			{"ramp --peers 20", nil, 20},
			{"ramp --peers 20 --rate 100", nil, 20},
			{"broadcast --peers 20 --window 1 --duration 400ms", nil, 0},
			{"broadcast --peers 20 --window 30 --size 5000 --duration 400ms", nil, 0},
			{"broadcast --peers 20 --rate 100 --duration 400ms", nil, 0},
			{"broadcast --peers 20 --burst", nil, 20 * 19},
			{"private --pairs 5 --window 8 --duration 400ms", nil, 0},
			{"private --pairs 5 --light --duration 400ms", nil, 0},
			{"private --pairs 5 --light --rate 100 --duration 400ms", nil, 0},
			{"orderbook --makers 20 --rounds 3", map[string]float64{"complete_percent": 100}, 60},
			{"overload --peers 20 --pairs 2 --duration 400ms", nil, 0},
			{"churn --peers 20", map[string]float64{"notices": 5 * 15, "stayed": 15}, 0},
			{"reconnect --peers 20", nil, 20},
			{"peerlist --peers 250 --rounds 2", map[string]float64{"complete_percent": 100, "lines": 3}, 2},
			{"soak --peers 20 --rate 200 --duration 400ms", map[string]float64{"orderbooks": 1}, 0},
		} {
			t.Run(kind+"/"+test.line, func(t *testing.T) {
				line := test.line + " --target " + target + " --procs 2 --pid " + strconv.Itoa(os.Getpid())
				code, p, table := measures(t, line)
				if code != exitOK || !p.OK || len(p.Results) != 1 || p.Target != target || p.Network != "regtest" || p.Seed == 0 {
					t.Fatalf("exit code %d, %+v\n%s", code, p, table)
				}
				r := p.Results[0]
				for name, want := range test.figures {
					if r.Figures[name] != want {
						t.Errorf("%s is %g, want %g", name, r.Figures[name], want)
					}
				}
				if name, _, _ := strings.Cut(test.line, " "); r.Scenario != name || r.Seconds <= 0 || r.Server == nil || r.Generator == nil || r.Server.RSSBytes == 0 {
					t.Errorf("result %+v", r)
				}
				switch {
				case r.Scenario == "churn":
				case r.Latency == nil || r.Latency.Count == 0 || test.count > 0 && r.Latency.Count != test.count:
					t.Errorf("latency %+v, want %d", r.Latency, test.count)
				case r.Latency.P50 > r.Latency.P99 || r.Latency.P99 > r.Latency.Max || r.Latency.Max <= 0:
					t.Errorf("latency %+v", r.Latency)
				}
				for name, v := range r.Figures {
					if strings.HasSuffix(name, "_per_second") && v <= 0 {
						t.Errorf("%s is %g", name, v)
					}
				}
			})
		}
	}
}

// TestSlowPeersAreSeenToBeEnded guards that the end of a peer that never reads is noticed, at its socket or by the
// notice to the others, and is not taken for a fault.
func TestSlowPeersAreSeenToBeEnded(t *testing.T) {
	for _, kind := range []string{"unix", "tcp"} {
		target := realDirectory(t, kind, func(o *server.Options) {
			o.OutboxBytes = server.MinOutboxBytes
			o.WriteTimeout = time.Second
		})
		code, p, table := measures(t, "slow --peers 10 --slow 2 --size 5000 --duration 30s --target "+target)
		if code != exitOK || len(p.Results) != 1 || p.Results[0].Figures["slow_ended"] != 2 || p.Results[0].Figures["seconds_until_slow_ended"] <= 0 {
			t.Errorf("%s: exit code %d, %+v\n%s", kind, code, p, table)
		}
	}
}

func TestAllHasEveryRow(t *testing.T) {
	target := realDirectory(t, "unix", func(o *server.Options) {
		patient(o)
		o.WriteTimeout = 3 * time.Second
	})
	code, p, table := measures(t, "all --scale 0.01 --duration 200ms --target "+target)
	if code != exitOK {
		t.Fatalf("exit code %d\n%s", code, table)
	}
	var rows []string
	for _, r := range p.Results {
		rows = append(rows, r.Scenario)
	}
	const want = "ramp peerlist broadcast broadcast broadcast broadcast broadcast broadcast private private churn churn reconnect slow overload orderbook orderbook orderbook limit limit limit limit"
	if got := strings.Join(rows, " "); got != want {
		t.Errorf("rows %s\nwant %s", got, want)
	}
}

// TestStepThatCannotBeMeasuredIsNamed guards that it is a fault, and does not keep the others from being measured.
func TestStepThatCannotBeMeasuredIsNamed(t *testing.T) {
	target := realDirectory(t, "unix", func(o *server.Options) { o.MaxPeers = 12 })
	code, p, table := measures(t, "all --scale 0.005 --duration 100ms --target "+target)
	if code != exitFailed || p.OK || !strings.Contains(table, "broadcast, not measured") || !strings.Contains(table, "full") {
		t.Errorf("exit code %d\n%s", code, table)
	}
	if last := p.Results[len(p.Results)-1]; last.Scenario != "limit" || last.Figures["messages_per_second"] <= 0 {
		t.Errorf("the last result is %+v", last)
	}
}

func TestLimitCountsWhatItWrites(t *testing.T) {
	code, p, table := measures(t, "limit --peers 10 --duration 50ms")
	if code != exitOK || len(p.Results) != 8 {
		t.Fatalf("exit code %d, %+v\n%s", code, p, table)
	}
	for _, r := range p.Results {
		if strings.HasSuffix(r.Title, " there and back") {
			if r.Latency == nil || float64(r.Latency.Count) != math.Round(r.Figures["messages_per_second"]*r.Seconds) || r.Latency.Count == 0 {
				t.Errorf("%+v", r)
			}
			continue
		}
		if r.Figures["deliveries_per_second"] <= 0 || r.Figures["writer_cpu_seconds_per_million"] <= 0 || r.Server != nil {
			t.Errorf("%+v", r)
		}
	}
}

func TestJSONGoesToStandardOutputAndTheTableElsewhere(t *testing.T) {
	target := realDirectory(t, "unix", nil)
	code, out, errs := runs(t, "ramp", "--peers", "3", "--target", target, "--json", "-")
	if code != exitOK || !json.Valid([]byte(out)) || !strings.Contains(errs, "ramp 3 peers") {
		t.Errorf("exit code %d, said %q and %q", code, out, errs)
	}
}

// TestReconnectTellsWhoWasEvictedInAnEarlierRound: of four that come back, one is refused first, and another is closed right after
// it was accepted.
func TestReconnectTellsWhoWasEvictedInAnEarlierRound(t *testing.T) {
	d := &fakeDirectory{}
	var joins atomic.Int32
	d.refuse = func(n int) string {
		if n > 5 {
			time.Sleep(50 * time.Millisecond) // the closed one is noticed while others still come
		}
		if n == 4 {
			return "Rejected: nick in use"
		}
		return ""
	}
	d.onJoin = func(c *fakePeer) {
		if joins.Add(1) == 5 {
			c.conn.Close()
		}
	}
	code, p, table := measures(t, "reconnect --peers 4 --joins 1 --target "+d.run(t))
	if faults := p.Results[0].Faults; code == exitOK || len(faults.Evicted) != 1 || len(faults.Refused) != 0 {
		t.Errorf("code %d, %+v\n%s", code, faults, table)
	}
}
