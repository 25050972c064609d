package admin

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"jm-directory-server/server"
)

// gathered returns the value of every metric of the directory's own, by its name with its labels.
func gathered(t *testing.T, src Source) map[string]float64 {
	t.Helper()
	w := ask(t, newServer(src), "GET", "/metrics", "")
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	values := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		var v float64
		if _, err := fmt.Sscan(line[i:], &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		values[strings.TrimPrefix(line[:i], prefix)] = v
	}
	return values
}

func TestMetricsAreTheReport(t *testing.T) {
	got := gathered(t, &fakeSource{report: healthy()})
	want := map[string]float64{
		`build_info{goversion="` + goVersion + `",version="1.2.3"}`: 1,
		`network_info{network="signet"}`:                            1,
		`state{state="starting"}`:                                   0,
		`state{state="running"}`:                                    1,
		`state{state="draining"}`:                                   0,
		`state{state="stopping"}`:                                   0,
		`ready`:                                                     1,
		`peers{kind="maker"}`:                                       40,
		`peers{kind="taker"}`:                                       30,
		`verified_peers`:                                            20,
		`offers{type="sw0reloffer"}`:                                64,
		`offers{type="sw0absoffer"}`:                                24,
		`offers{type="swreloffer"}`:                                 0,
		`offers{type="swabsoffer"}`:                                 0,
		`offers{type="reloffer"}`:                                   0,
		`offers{type="absoffer"}`:                                   0,
		`offers{type="tr0reloffer"}`:                                0,
		`offers{type="tr0absoffer"}`:                                0,
		`offers{type="other"}`:                                      8,
		`locations{state="reachable"}`:                              65,
		`locations{state="unreachable"}`:                            66,
		`locations{state="unchecked"}`:                              67,
		`location_check_enabled`:                                    1,
		`max_peers`:                                                 500,
		`connections`:                                               75,
		`handshaking_connections`:                                   5,
		`max_handshaking_connections`:                               1000,
		`connections_accepted_total`:                                1000,
		`handshakes_accepted_total`:                                 900,
		`bans`:                                                      3,
		`received_lines_total`:                                      500,
		`received_bytes_total`:                                      400,
		`messages_forwarded_total{type="public"}`:                   800,
		`messages_forwarded_total{type="private"}`:                  700,
		`messages_held_total`:                                       61,
		`circuits_closed_total`:                                     62,
		`budget_waiting_messages`:                                   63,
		`peerlists_sent_total`:                                      600,
		`sent_lines_total`:                                          300,
		`sent_bytes_total`:                                          200,
		`outbox_bytes`:                                              12345,
		`outbox_stalled_peers`:                                      2,
		`outbox_oldest_seconds`:                                     1.5,
		`outbox_limit_bytes`:                                        4 << 20,
		`outbox_limit_seconds`:                                      120,
		`tor_info{mode="embedded",version="0.4.9.11"}`:              1,
		`tor_bootstrap_ratio`:                                       0.5,
		`tor_descriptor_published`:                                  1,
		`tor_descriptor_last_upload_timestamp_seconds`:              1778051289,
		`tor_descriptor_uploads_total{result="stored"}`:             8,
		`tor_descriptor_uploads_total{result="failed"}`:             1,
		`tor_circuits`:                                              60,
		`tor_pow_effort`:                                            7,
		`tor_pow_queue_rate`:                                        250,
		`tor_defence_enabled{defence="pow"}`:                        1,
		`tor_defence_enabled{defence="intro_dos"}`:                  0,
		`tor_defence_enabled{defence="circuit_ids"}`:                1,
		`tor_state_timestamp_seconds`:                               1778051289,
		`tor_resident_memory_bytes`:                                 50 << 20,
		`tor_cpu_seconds_total`:                                     12.5,
		`self_check_enabled`:                                        1,
		`self_check_ok`:                                             1,
		`self_check_failing{step="dial"}`:                           0,
		`self_check_failing{step="handshake"}`:                      0,
		`self_check_failing{step="refused"}`:                        0,
		`self_check_failing{step="round_trip"}`:                     0,
		`self_checks_total{result="passed"}`:                        11,
		`self_checks_total{result="failed"}`:                        1,
		`self_check_latency_seconds`:                                1.5,
		`self_check_dial_seconds`:                                   2,
		`self_check_interval_seconds`:                               300,
		`self_check_last_timestamp_seconds`:                         1778051289,
		`self_check_last_success_timestamp_seconds`:                 1778051289,
		`store_ok`:                  1,
		`store_damaged`:             0,
		`store_failed_writes_total`: 0,
		`store_size_bytes`:          65536,
	}
	families := map[string]string{"closed": "connections_closed_total", "evicted": "connections_evicted_total",
		"refused": "handshakes_refused_total", "dropped": "messages_dropped_total"}
	for i, r := range server.Reasons() {
		want[families[r.Kind()]+`{reason="`+r.String()+`"}`] = float64(i)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestMetricsAreThereFromTheStart guards that the first event of a kind is an increase, and that what is not known is not
// shown as a number.
func TestMetricsAreThereFromTheStart(t *testing.T) {
	full := gathered(t, &fakeSource{report: healthy()})
	report := Report{Tor: &Tor{Circuits: -1, Effort: -1}}
	empty := gathered(t, &fakeSource{report: report, ready: []string{"Tor starts"}})
	unknown := map[string]bool{"tor_circuits": true, "tor_pow_effort": true, "tor_resident_memory_bytes": true,
		"tor_cpu_seconds_total": true, "self_check_latency_seconds": true, "self_check_dial_seconds": true}
	for name := range full {
		base, _, _ := strings.Cut(name, "{")
		if v, ok := empty[name]; ok == unknown[base] && !strings.HasSuffix(base, "_info") || v != 0 && !strings.HasSuffix(base, "_info") {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
	for name := range gathered(t, &fakeSource{report: Report{}}) {
		if strings.HasPrefix(name, "tor_") {
			t.Errorf("without a Tor there is %s", name)
		}
	}
}

// TestEveryMetricIsExplained compares the metrics with the tables of docs/metrics.md.
func TestEveryMetricIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `" + prefix + "([a-z_]+)`([^|]*) \\| (counter|gauge), ([^|]+) \\| [^|]+ \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = m[3] + strings.Join(regexp.MustCompile("`[a-z_]+`").FindAllString(m[2], -1), "")
	}
	there := map[string]string{}
	for _, f := range families {
		kind := "gauge"
		if f.kind == prometheus.CounterValue {
			kind = "counter"
		}
		for _, l := range f.labels {
			kind += "`" + l + "`"
		}
		there[f.name] = kind
	}
	if diff := cmp.Diff(there, listed); diff != "" {
		t.Errorf("metrics (-) and docs/metrics.md (+):\n%s", diff)
	}
}

// BenchmarkScrape is what an answer costs apart from Source.Report; see server.BenchmarkStatus for that.
func BenchmarkScrape(b *testing.B) {
	s := newServer(&fakeSource{report: healthy()})
	for _, path := range []string{"/metrics", "/status"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(b, s, "GET", path, ""); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
