package admin

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/server"
)

// TestEveryReasonHasAMeaning guards that nothing is counted that is not explained, and the other way round.
func TestEveryReasonHasAMeaning(t *testing.T) {
	counted := make(map[string]bool)
	for _, r := range server.Reasons() {
		counted[r.Kind()+"/"+r.String()] = true
		if m := meanings[r.Kind()][r.String()]; m.Means == "" {
			t.Errorf("%s %s has no meaning", r.Kind(), r)
		}
	}
	for kind, names := range meanings {
		for name, m := range names {
			if !counted[kind+"/"+name] {
				t.Errorf("%s %s is never counted", kind, name)
			}
			for _, s := range []string{m.Means, m.Do} {
				if s != "" && (!strings.HasSuffix(s, ".") || s != strings.TrimSpace(s)) {
					t.Errorf("%s %s: %q is no sentence", kind, name, s)
				}
			}
		}
	}
}

// TestMeaningsNameSettings guards that the settings that a meaning names exist.
func TestMeaningsNameSettings(t *testing.T) {
	var example map[string]any
	if _, err := toml.Decode(jmdirectoryserver.ConfigExample, &example); err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, names := range meanings {
		for name, m := range names {
			for _, setting := range regexp.MustCompile(`\b([a-z]+)\.([a-z_]+)\b`).FindAllStringSubmatch(m.Means+" "+m.Do, -1) {
				named++
				table, _ := example[setting[1]].(map[string]any)
				if _, ok := table[setting[2]]; !ok {
					t.Errorf("%s: there is no setting %s", name, setting[0])
				}
			}
		}
	}
	if named < 15 {
		t.Errorf("only %d settings are named", named)
	}
}

// TestMeaningsAreInTheManual compares the table of reasons in docs/metrics.md with what the page and "status --reasons" say.
func TestMeaningsAreInTheManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| Of | Reason | Meaning | What to do |\n|---|---|---|---|\n"
	for _, r := range server.Reasons() {
		m := meanings[r.Kind()][r.String()]
		if m.Do == "" {
			m.Do = "–"
		}
		want += "| " + r.Kind() + " | `" + r.String() + "` | " + m.Means + " | " + m.Do + " |\n"
	}
	if _, got, _ := strings.Cut(string(text), "\n## Reasons\n"); !strings.Contains(got, want) {
		t.Errorf("docs/metrics.md must have, below Reasons:\n%s", want)
	}
}
