package prometheus_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	rulesFile = "jm-directory-server.rules.yml"
	casesFile = "jm-directory-server.test.yml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alerts returns the expressions of all alerts by name. Each is one line, with its labels and annotations behind.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text := read(t, rulesFile)
	found := map[string]string{}
	rule := regexp.MustCompile(`(?m)^      - alert: (\w+)\n        expr: (.+)\n(?:        for: \w+\n)?` +
		`        labels: \{severity: (?:critical|warning|info)\}\n        annotations:\n          summary: .+\n          description: .+\n`)
	for _, m := range rule.FindAllStringSubmatch(text, -1) {
		found[m[1]] = m[2]
	}
	if n := strings.Count(text, "alert:"); len(found) != n || n < 15 {
		t.Fatalf("%d rules are as they must be, of %d", len(found), n)
	}
	return found
}

func TestRulesReferToMetricsThatExist(t *testing.T) {
	metrics := known(t)
	for name, expr := range alerts(t) {
		for _, wrong := range mistakes(metrics, expr) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	for _, name := range regexp.MustCompile(`jm_directory_[a-z_]+`).FindAllString(read(t, rulesFile), -1) { // in descriptions, too
		if metrics[name] == nil {
			t.Errorf("there is no metric %s", name)
		}
	}
}

func TestRulesFireWhenTheyShould(t *testing.T) {
	promtool(t, "", "check", "rules", rulesFile)
	promtool(t, "", "test", "rules", casesFile)
}

// TestEveryRuleHasItsCase guards that each alert is seen to fire, and to be silent with everything that it looks at.
func TestEveryRuleHasItsCase(t *testing.T) {
	cases := strings.Split(read(t, casesFile), "\n  - name: ")[1:]
	metrics := known(t)
	for name, expr := range alerts(t) {
		fires := 0
		for _, c := range cases {
			if strings.Contains(c, `{alertname="`+name+`"}`) {
				fires++
			}
		}
		if fires == 0 {
			t.Errorf("%s fires in no case", name)
		}
		for metric := range metrics {
			if regexp.MustCompile(`\b`+metric+`\b`).MatchString(expr) && !strings.Contains(cases[0], "'"+metric+"{") {
				t.Errorf("%s looks at %s, which the quiet day lacks", name, metric)
			}
		}
	}
	for _, c := range cases {
		for _, m := range regexp.MustCompile(`series: '(\w+)(\{.*\})'`).FindAllStringSubmatch(c, -1) {
			for _, wrong := range mistakes(metrics, m[1]+m[2]) {
				t.Errorf("%.40q: %s", c, wrong)
			}
		}
	}
}
