package vectors

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

func TestEveryFileHasTheRecordsThatItsReadmeSays(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(Dir(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+\\.jsonl)` \\| ([0-9]+) \\|").FindAllStringSubmatch(string(readme), -1) {
		want[m[1]], _ = strconv.Atoi(m[2])
	}
	files, err := filepath.Glob(filepath.Join(Dir(t), "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("%d files, the README lists %d", len(files), len(want))
	}
	for _, f := range files {
		file := filepath.Base(f)
		seen := map[string]bool{}
		for _, r := range Load[Record](t, file) {
			if r.Name == "" || r.Reason == "" && file != "nicks.jsonl" {
				t.Errorf("%s: record %q lacks a name or reason", file, r.Name)
			}
			if seen[r.Name] {
				t.Errorf("%s: two records are named %q", file, r.Name)
			}
			seen[r.Name] = true
		}
		if len(seen) != want[file] {
			t.Errorf("%s: %d records, the README says %d", file, len(seen), want[file])
		}
	}
}

func TestWireBytesComeFromAnyOfTheThreeForms(t *testing.T) {
	text, hex := "a\u00e9", "ff00"
	for _, c := range []struct {
		r    Record
		want string
	}{
		{Record{Text: &text}, "a\xc3\xa9"},
		{Record{Hex: &hex}, "\xff\x00"},
		{Record{Make: &Make{Prefix: "<", Fill: "ab", Count: 3, Suffix: ">"}}, "<ababab>"},
	} {
		if got := c.r.Wire(t); string(got) != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
