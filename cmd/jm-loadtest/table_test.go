package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sampleReport() *report {
	return &report{
		Tool: "jm-loadtest", Target: "unix:/tmp/d.sock", Network: "regtest", Seed: 7, CPUs: 2, Procs: 1,
		Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Results: []*result{
			{
				Scenario: "broadcast", Title: "broadcast 1 000 peers, 16 in flight", Peers: 1000, Size: 400, Seconds: 5,
				Figures:   figures{{"deliveries_per_second", 561203.4, "deliveries/s"}, {"messages_per_second", 561.2, "messages/s sent"}},
				Latency:   &quantiles{2806017, 2.31, 3, 3.92, 5, 8.125},
				Server:    &serverUse{CPUSeconds: 2.6, CPUPerMillion: .927, RSSBytes: 1 << 20},
				Generator: &ownUse{CPUShare: .61, CPUPerMillion: .5, BusyShare: .7, Limit: limitNone},
			},
			{
				Scenario: "churn", Title: "churn 250 of 1 000 leave", Peers: 1000, Seconds: 1.1,
				Figures: figures{{"milliseconds_to_last_notice", 1012, "ms, last notice"}},
				Faults: faults{Lost: 3, Evicted: map[string]int{"closed": 2, "reset": 1},
					Refused: map[string]int{"Rejected: \x1b[31m" + strings.Repeat("long ", 20): 1}},
				Generator: &ownUse{CPUShare: .99, BusyShare: 1, Limit: limitGenerator},
			},
		},
	}
}

func TestTableFits80Columns(t *testing.T) {
	const want = `                                                         p50 ms   p99 ms cpu s/M
broadcast 1 000 peers, 16 in flight
                                   561 203 deliveries/s    2.31     3.92   0.927
  561 messages/s sent
churn 250 of 1 000 leave          1 012 ms, last notice

churn 250 of 1 000 leave: 3 lost, 2 evicted (closed), 1 evicted (reset), 1
  refused (Rejected: [31mlong long long long long long long long long long long
  long long long long long long long long long )
churn 250 of 1 000 leave: the generator was the limit, give it more --procs (own
  CPU 99 % of its cores, busy 100 % of the time)
`
	var b bytes.Buffer
	if err := sampleReport().writeTable(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNamesInJSONStay guards the names that other programs read.
func TestNamesInJSONStay(t *testing.T) {
	const want = `{"tool":"jm-loadtest","target":"unix:/tmp/d.sock","network":"regtest","seed":7,"started":"2030-01-02T03:04:05Z",` +
		`"cpus":2,"procs":1,"ok":false,"results":[` +
		`{"scenario":"broadcast","title":"broadcast 1 000 peers, 16 in flight","peers":1000,"size":400,"seconds":5,` +
		`"figures":{"deliveries_per_second":561203.4,"messages_per_second":561.2},` +
		`"latency_ms":{"count":2806017,"p50":2.31,"p90":3,"p99":3.92,"p999":5,"max":8.125},` +
		`"faults":{"lost":0,"duplicates":0,"reordered":0,"damaged":0,"misdelivered":0,"malformed":0,"evicted":null,"refused":null},` +
		`"server":{"cpu_seconds":2.6,"cpu_seconds_per_million":0.927,"rss_bytes":1048576,"rss_growth_bytes":0},` +
		`"generator":{"cpu_share":0.61,"cpu_seconds_per_million":0.5,"busy_share":0.7,"backlog_grew":false,"backlog_bytes":0,"limit":"none"}}]}`
	r := sampleReport()
	r.Results = r.Results[:1]
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 12: "12", 0.0001234: "0.00012", .12345: "0.123", 1.2345: "1.23", 12.345: "12.3",
		123.45: "123", 1234: "1 234", 561203.4: "561 203", 1e9: "1 000 000 000", -1234.5: "-1 235",
	} {
		if got := number(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}

func TestLimitOfTheGeneratorIsJudged(t *testing.T) {
	for _, test := range []struct {
		use     ownUse
		seconds float64
		want    string
	}{
		{ownUse{CPUShare: .5, BusyShare: .6}, 1, limitNone},
		{ownUse{CPUShare: .96, BusyShare: .99}, 1, limitGenerator},
		{ownUse{CPUShare: .96, BusyShare: .99}, .01, limitNone},
		{ownUse{CPUShare: .5, BusyShare: .99}, 1, limitMachine},
		{ownUse{CPUShare: .5, BusyShare: .99, BacklogGrew: true}, 1, limitBacklog},
	} {
		if test.use.judge(test.seconds); test.use.Limit != test.want {
			t.Errorf("%+v, want %s", test.use, test.want)
		}
	}
	const kib = 1 << 10
	for _, test := range []struct {
		backlog []int
		grew    bool
	}{
		{nil, false},
		{[]int{0, 0, 0, 300 * kib}, false},
		{[]int{300 * kib, 300 * kib, 0, 0, 0, 0, 300 * kib, 300 * kib}, false},
		{[]int{0, 0, 9, 9, 99, 99, 999, 999}, false},
		{[]int{0, 0, 50 * kib, 80 * kib, 100 * kib, 150 * kib, 200 * kib, 250 * kib}, true},
	} {
		if m := (&meter{backlog: test.backlog}); m.grew() != test.grew {
			t.Errorf("%v: grew %v", test.backlog, m.grew())
		}
	}
}
