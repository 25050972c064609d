package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	jmdirectoryserver "jm-directory-server"
)

func TestExampleEqualsTheDefaults(t *testing.T) {
	settings, ps := parseTOML("config.example.toml", jmdirectoryserver.ConfigExample)
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	c, set := Config{}, map[string]bool{}
	for _, s := range settings {
		f, _ := c.field(s.key)
		if set[s.key] = true; !f.set(s.raw) {
			t.Errorf("%s: %s has another type", s.from, s.key)
		}
	}
	if diff := cmp.Diff(DefaultConfig(), c); diff != "" {
		t.Errorf("defaults (-code +example):\n%s", diff)
	}
	for _, f := range c.fields() {
		if !set[f.key] {
			t.Errorf("%s is not in the example", f.key)
		}
	}
	if _, err := loadText(t, "config.toml", jmdirectoryserver.ConfigExample, nil); err != nil {
		t.Errorf("the example is refused: %v", err)
	}
}

// TestExampleSaysWhatIsAllowed guards that the comment above each key has the rule that is enforced.
func TestExampleSaysWhatIsAllowed(t *testing.T) {
	comments, table, comment := map[string]string{}, "", ""
	for line := range strings.SplitSeq(jmdirectoryserver.ConfigExample, "\n") {
		if len(line) > 120 {
			t.Errorf("longer than 120 columns: %s", line)
		}
		switch {
		case strings.HasPrefix(line, "#"):
			comment += " " + strings.TrimSpace(line[1:])
		case strings.HasPrefix(line, "["):
			table, comment = strings.Trim(line, "[]")+".", ""
		case strings.Contains(line, "="):
			key, _, _ := strings.Cut(line, " =")
			comments[table+key], comment = comment, ""
		default:
			comment = ""
		}
	}
	c := DefaultConfig()
	for _, f := range c.fields() {
		said := comments[f.key]
		if !strings.HasSuffix(said, ".") || len(said) < 40 {
			t.Errorf("%s: the comment is not in full sentences: %q", f.key, said)
		}
		probe := DefaultConfig()
		p, _ := probe.field(f.key)
		p.setImpossible()
		for _, v := range probe.check() {
			rules := strings.Split(v.allowed, "heartbeat.ping_idle")
			if v.key == f.key && v.allowed != "" && !strings.Contains(said, rules[0]) && f.key != "location" {
				t.Errorf("%s: the comment does not say %q: %s", f.key, v.allowed, said)
			}
		}
	}
}
