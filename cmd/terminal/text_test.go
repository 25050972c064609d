package terminal

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestPrintableTextSteersNoTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"two words":           "two words",
		"\x1b[2J\u009b2Jgone": "?[2J?2Jgone",
		"a\r\nb\tc":           "a??b?c",
		"\u202eevil\u200b":    "?evil?",
		"naïve → 円":           "naïve → 円",
		"bad \xff":            "bad \ufffd",
	} {
		if got := Printable(in, '?'); got != want {
			t.Errorf("Printable(%q) = %q, not %q", in, got, want)
		}
	}
}

func TestWidthIsWhatIsSeen(t *testing.T) {
	for in, want := range map[string]int{"": 0, "abc": 3, "naïve": 5, "nai\u0308ve": 5, "円": 2, "…→▁": 3, "🎉": 2} {
		if got := Width(in); got != want {
			t.Errorf("%q takes %d columns, not %d", in, got, want)
		}
	}
}

func TestCutKeepsWhatFits(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		mark    string
		want    string
	}{
		{"abcdef", 6, "…", "abcdef"},
		{"abcdef", 5, "…", "abcd…"},
		{"abcdef", 5, "...", "ab..."},
		{"abcdef", 3, "...", "abc"},
		{"abcdef", 1, "…", "a"},
		{"abcdef", 0, "…", ""},
		{"abcdef", -1, "…", ""},
		{"abcdef", 4, "", "abcd"},
		{"円円円", 6, "…", "円円円"},
		{"円円円", 5, "…", "円円…"},
		{"円円円", 4, "…", "円…"},
	} {
		if got := Cut(c.in, c.columns, c.mark); got != c.want {
			t.Errorf("Cut(%q, %d, %q) = %q, not %q", c.in, c.columns, c.mark, got, c.want)
		}
	}
}

func TestWhatFitsIsPrintableAndSaysThatItWasCut(t *testing.T) {
	for in, want := range map[string]string{"": "", "a\tb\x1bc": "a b c", "\r\n\a\b\f\v": "      ", "abcdef": "abcdef", "abcdefg": "abcde…"} {
		if got := Fit(in, 6); got != want {
			t.Errorf("Fit(%q, 6) = %q, not %q", in, got, want)
		}
	}
}

func TestOneIsNotPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 peers", 1: "1 peer", 2: "2 peers", 12345: "12345 peers"} {
		if got := Counted(n, "peer"); got != want {
			t.Errorf("%d is %q, not %q", n, got, want)
		}
	}
}

func TestWrapBreaksAtBlanks(t *testing.T) {
	for _, c := range []struct {
		first, text     string
		indent, columns int
		want            []string
	}{
		{"", "", 2, 10, []string{""}},
		{"", "  one  two three ", 2, 10, []string{"one two", "  three"}},
		{"→ ", "one two three", 2, 9, []string{"→ one two", "  three"}},
		{"", "one /a/path/to/copy two", 0, 8, []string{"one", "/a/path/to/copy", "two"}},
		{"", "円 円 円", 0, 5, []string{"円 円", "円"}},
	} {
		if got := Wrap(c.first, c.text, c.indent, c.columns); !slices.Equal(got, c.want) {
			t.Errorf("Wrap(%q, %q, %d, %d) = %q, not %q", c.first, c.text, c.indent, c.columns, got, c.want)
		}
	}
}

// TestNothingIsWiderThanAskedFor holds for any text, once it is printable.
func TestNothingIsWiderThanAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := Printable(rapid.String().Draw(t, "text"), ' ')
		columns := rapid.IntRange(0, 30).Draw(t, "columns")
		if i := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
			t.Fatalf("%q at %d does not print", text[i:], i)
		}
		cut := Cut(text, columns, "…")
		if Width(cut) > columns {
			t.Fatalf("%q takes %d columns", cut, Width(cut))
		}
		if kept := strings.TrimSuffix(cut, "…"); !strings.HasPrefix(text, kept) {
			t.Fatalf("%q is not how %q begins", kept, text)
		}
		lines := Wrap("", text, 2, columns)
		if got, want := strings.Fields(strings.Join(lines, " ")), strings.Fields(text); !slices.Equal(got, want) {
			t.Fatalf("words %q of %q", got, want)
		}
		for i, line := range lines {
			if Width(line) > columns && len(strings.Fields(line)) > 1 {
				t.Fatalf("line %d, %q, takes %d columns", i, line, Width(line))
			}
		}
	})
}
