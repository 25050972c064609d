// Package prometheus_test holds alert rules, dashboard and documents against the metrics that there are.
package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server/admin"
)

// A source is a directory with everything that has metrics.
type source struct{ admin.Source }

func (source) Report() admin.Report {
	return admin.Report{Tor: &admin.Tor{PID: 1}, Check: &admin.Check{LastOK: time.Unix(1, 0)}}
}
func (source) Alive(context.Context) error { return nil }
func (source) Ready() []string             { return nil }

// exposition is what a scrape gets.
var exposition = sync.OnceValue(func() string {
	log := logrus.New()
	log.SetOutput(io.Discard)
	w := httptest.NewRecorder()
	admin.New(source{}, admin.Options{}, log).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
})

// attached are the labels that Prometheus adds.
var attached = map[string]bool{"instance": true, "job": true}

// known returns the metrics that there are, each with its labels and their values, and "up", which Prometheus makes.
func known(t *testing.T) map[string]map[string][]string {
	t.Helper()
	metrics := map[string]map[string][]string{"up": {}}
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for line := range strings.Lines(exposition()) {
		if line[0] == '#' {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		if metrics[name] == nil {
			metrics[name] = map[string][]string{}
		}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			metrics[name][m[1]] = append(metrics[name][m[1]], m[2])
		}
	}
	if len(metrics) < 60 {
		t.Fatalf("only %d metrics in\n%s", len(metrics), exposition())
	}
	return metrics
}

// mistakes returns what an expression refers to that there is not. It knows only as much of the language as our expressions
// use; what promtool finds wrong is left to it.
func mistakes(metrics map[string]map[string][]string, expr string) (wrong []string) {
	selector := regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`)
	matcher := regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if attached[m[1]] {
				continue
			}
			values, ok := metrics[s[1]][m[1]]
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s", s[1], m[1]))
				continue
			}
			for _, v := range strings.Split(m[3], "|") {
				if !slices.Contains(values, v) {
					wrong = append(wrong, fmt.Sprintf("%s has no %s %q", s[1], m[1], v))
				}
			}
		}
	}
	rest := regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|\$[a-zA-Z_]+`).ReplaceAllString(expr, "")
	grouping := regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	for _, g := range grouping.FindAllStringSubmatch(rest, -1) {
		for _, l := range regexp.MustCompile(`[a-z_]+`).FindAllString(g[1], -1) {
			if !attached[l] && !anyHas(metrics, expr, l) {
				wrong = append(wrong, "nothing in it has a label "+l)
			}
		}
	}
	rest = grouping.ReplaceAllString(rest, "")
	rest = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(|\b(?:and|or|unless|bool|offset)\b`).ReplaceAllString(rest, "(")
	for _, name := range regexp.MustCompile(`\b[a-zA-Z_:][a-zA-Z0-9_:]*`).FindAllString(rest, -1) {
		if metrics[name] == nil {
			wrong = append(wrong, "there is no metric "+name)
		}
	}
	return wrong
}

// anyHas says that a metric that occurs in expr has this label.
func anyHas(metrics map[string]map[string][]string, expr, label string) bool {
	for name, labels := range metrics {
		if labels[label] != nil && strings.Contains(expr, name) {
			return true
		}
	}
	return false
}

// TestMistakesAreFound guards the test's own eyes.
func TestMistakesAreFound(t *testing.T) {
	metrics := map[string]map[string][]string{"up": {}, "a_total": {"reason": {"x", "y"}}, "b": {}}
	for expr, want := range map[string]int{
		`sum by (reason) (rate(a_total{reason="x", instance=~"$instance"}[5m])) > 0 and b`:         0,
		`rate(a_total{reason=~"x|y"}[$__rate_interval]) / on (instance, job) b{job="j"} > 2 * 1e3`: 0,
		`time() - b > 3 or up == 0`:         0,
		`a_tota > 1`:                        1,
		`rate(a_total{reason="z"}[5m])`:     1,
		`rate(a_total{reason=~"x|z"}[5m])`:  1,
		`rate(a_total{raison="x"}[5m])`:     1,
		`rate(a_total{reason!="z"}[5m])`:    1,
		`sum by (raison) (a_total)`:         1,
		`sum by (reason) (b)`:               1,
		`b and on (instance) c{reason="x"}`: 1,
		`histogram_quantile(0.9, c_bucket)`: 1,
	} {
		if wrong := mistakes(metrics, expr); len(wrong) < want || want == 0 && wrong != nil {
			t.Errorf("%s: found %q, want %d", expr, wrong, want)
		}
	}
}

// promtool runs it and returns what it prints.
func promtool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if path, err = filepath.Abs("../../build/promtool"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("JM_REQUIRE_TOOLS") == "1" {
				t.Fatal("promtool is missing: run scripts/test-packages.sh")
			}
			t.Skip("promtool is missing: run scripts/test-packages.sh, or make test for all tests")
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestMetricsKeepPrometheusRules(t *testing.T) {
	if out := promtool(t, exposition(), "check", "metrics"); out != "" {
		t.Error(out)
	}
}

// names returns the metrics of known that are the directory's own.
func names(t *testing.T) []string {
	t.Helper()
	var own []string
	for name := range maps.Keys(known(t)) {
		if strings.HasPrefix(name, "jm_directory_") {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	return own
}
