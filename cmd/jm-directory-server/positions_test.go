package main

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestPositionsNameTheLineOfEveryKey(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]int
	}{
		{"plain", "a = 1\nb = 2\n", map[string]int{"a": 1, "b": 2}},
		{"comments and blank lines", "# a = 1\n\n  b = 2 # c = 3\nd = 4", map[string]int{"b": 3, "d": 4}},
		{"carriage returns", "a = 1\r\nb = 2\r\n", map[string]int{"a": 1, "b": 2}},
		{"table", "[limits]\nmax_peers = 5\n[log]\nlevel = 'x'\n", map[string]int{"limits": 1, "limits.max_peers": 2, "log": 3, "log.level": 4}},
		{"dotted key", "\nlimits.max_peers = 5", map[string]int{"limits": 2, "limits.max_peers": 2}},
		{"dotted with blanks", "limits . max_peers = 5", map[string]int{"limits": 1, "limits.max_peers": 1}},
		{"nested table", "[a]\n[ a . b ]\nc.d = 1", map[string]int{"a": 1, "a.b": 2, "a.b.c": 3, "a.b.c.d": 3}},
		{"quoted key", "\"max_peers\" = 1\n'lit' = 2\n\"a.b\" = 3\n\"x\\u0041\" = 4", map[string]int{"max_peers": 1, "lit": 2, `"a.b"`: 3, "xA": 4}},
		{"inline table", "a = 0\nlimits = { max_peers = 5, x.y = { z = 1 } }\nb = 1", map[string]int{"a": 1, "limits": 2, "limits.max_peers": 2, "limits.x": 2, "limits.x.y": 2, "limits.x.y.z": 2, "b": 3}},
		{"array over lines", "a = [\n 1, # ]\n \"]\",\n [2, 3],\n]\nb = 2", map[string]int{"a": 1, "b": 6}},
		{"strings over lines", "a = \"\"\"\nb = 1\n\\\"\"\"\"\"\nc = '''\nd = 2'''\ne = 5", map[string]int{"a": 1, "c": 4, "e": 6}},
		{"strings with brackets", "a = \"[{#\\\"\"\nb = '\\'\nc = 3", map[string]int{"a": 1, "b": 2, "c": 3}},
		{"array of tables", "[[x]]\na = 1\n[[x]]\nb = 2", map[string]int{"x": 1, "x.a": 2, "x.b": 4}},
		{"date with a blank", "a = 1979-05-27 07:32:00\nb = 1", map[string]int{"a": 1, "b": 2}},
		{"byte order mark", "\xef\xbb\xbfa = 1", map[string]int{"a": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m map[string]any
			if _, err := toml.Decode(tt.text, &m); err != nil {
				t.Fatalf("not a TOML text: %v", err)
			}
			if diff := cmp.Diff(positions(tt.want), scanPositions(tt.text)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPositionOfAnUnknownKeyIsThatOfItsTable(t *testing.T) {
	p := scanPositions("x = 1\n[a.b]\n")
	if got := p.line(toml.Key{"a", "b", "c"}); got != 2 {
		t.Errorf("got %d", got)
	}
	if got := p.line(toml.Key{"nowhere"}); got != 1 {
		t.Errorf("got %d", got)
	}
}

// FuzzPositions guards that every key of a text that the decoder accepts is found, in a line that exists.
func FuzzPositions(f *testing.F) {
	for _, s := range []string{
		"a = 1", "[a.\"b c\"]\nd.e = [1, {f = 2}]", "a = \"\"\"x\"\"\"\"\"\nb = ''''''", "[[a]]\n[[a]]\nb={}", "a=[\n#x\n]", "a = {b = 1,\nc = 2}",
		"\"\\u00e9\" = 1", "''=1\n\"\" = 2", "a = \"\\\\\"\nb=2", "a = 1 # x", "[a]#x\n[b]", "\xef\xbb\xbfa=1", "= 1", "a = ", "[", "a=[[[", "a={{{", "\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := scanPositions(text)
		lines := strings.Count(text, "\n") + 1
		for key, line := range got {
			if line < 1 || line > lines {
				t.Fatalf("%s in line %d of %d", key, line, lines)
			}
		}
		var m map[string]any
		md, err := toml.Decode(text, &m)
		if err != nil {
			return
		}
		for _, key := range md.Keys() {
			if _, ok := got[key.String()]; !ok {
				t.Fatalf("key %q is not found", key)
			}
		}
	})
}
