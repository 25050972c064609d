package onion

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const someOnion = "pv7ueb6r56ug6kl7itr6sks54pjn6oh2skfwtukjbc7cczushihlq7qd"

func TestTorLogLines(t *testing.T) {
	for line, want := range map[string][2]string{
		"Nov 24 03:37:01.000 [notice] Bootstrapped 5% (conn): Connecting": {"notice", "Bootstrapped 5% (conn): Connecting"},
		"Nov  4 03:37:01.123 [warn] x":                                    {"warn", "x"},
		"Nov 24 03:37:01 [err] Reading config failed":                     {"err", "Reading config failed"},
		"tor: error while loading shared libraries":                       {"notice", "tor: error while loading shared libraries"},
		"Nov 24 03:37:01.000 [info] at " + someOnion + ".onion:80":        {"info", "at [scrubbed].onion:80"},
		"Nov 24 03:37:01.000 [info] id " + strings.ToUpper(someOnion):     {"info", "id [scrubbed].onion"},
		"Nov 24 03:37:01.000 [loud] x":                                    {"notice", "Nov 24 03:37:01.000 [loud] x"},
	} {
		if level, msg := parseLog(line); level != want[0] || msg != want[1] {
			t.Errorf("%q: %q %q", line, level, msg)
		}
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add("Nov 24 03:37:01.000 [notice] Bootstrapped 5% (conn): Connecting")
	f.Add("at " + someOnion + ".onion")
	f.Add("at x" + someOnion + ".onion" + someOnion + someOnion)
	f.Fuzz(func(t *testing.T, line string) {
		level, msg := parseLog(line)
		if !slices.Contains([]string{"debug", "info", "notice", "warn", "err"}, level) {
			t.Errorf("level %q", level)
		}
		if onionName.MatchString(strings.ReplaceAll(msg, "[scrubbed].onion", " ")) {
			t.Errorf("an onion address is left in %q", msg)
		}
	})
}

func TestLogSplitterPassesWholeLinesAndCutsLongOnes(t *testing.T) {
	var got []string
	s := &logSplitter{line: func(l string) { got = append(got, l) }}
	long := strings.Repeat("x", maxLogLine)
	for _, part := range []string{"one\ntw", "o\r\n\n", long, "yyy", "\nthree", "\n"} {
		if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := []string{"one", "two", long, "three"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestLastWarningsAreKept(t *testing.T) {
	var w warnings
	for i := range 10 {
		w.note("warn", fmt.Sprint(i))
		w.note("notice", "no")
	}
	if got := w.text(); got != "5; 6; 7; 8; 9" {
		t.Errorf("%q", got)
	}
}
