package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"jm-directory-server/onion"
	"jm-directory-server/onion/vanity"
)

func TestProgressOfASearchTellsProbabilityRateAndTimeIn80Columns(t *testing.T) {
	p, err := vanity.ParsePrefixes([]string{"joinm"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		tried uint64
		since time.Duration
		want  string
	}{
		{0, 0, "probability 0.0 %; 0 keys/s; one in unknown time; 0 tried"},
		{13_000_000, time.Second, "probability 32.1 %; 13.0 million keys/s; one in 2.6 s; 13.0 million tried"},
		{33_554_432, 1000 * time.Second, "probability 63.2 %; 33.6 thousand keys/s; one in 17 min; 33.6 million tried"},
	} {
		if got := vanityProgress(p, tt.tried, tt.since); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if p, err = vanity.ParsePrefixes([]string{"joinmarke"}); err != nil {
		t.Fatal(err)
	}
	if got := vanityProgress(p, 999_900_000_000, 30000*time.Second); len(got) > 79 {
		t.Errorf("a terminal of 80 columns cuts %q", got)
	}
	for s, want := range map[float64]string{3: "3.0 s", 600: "10 min", 7200: "2.0 hours", 3 * 86400: "3.0 days", 1e9: "31.7 years", math.Inf(1): "over a million years"} {
		if got := duration(s); got != want {
			t.Errorf("%v s: %s", s, got)
		}
	}
}

func TestSearchOnATerminalShowsOneLineThatChanges(t *testing.T) {
	p, err := vanity.ParsePrefixes([]string{strings.Repeat("a", 30)})
	if err != nil {
		t.Fatal(err)
	}
	var out, stdout bytes.Buffer
	stop, cancel := context.WithTimeout(t.Context(), 3*vanityTick)
	defer cancel()
	v := &vanitySearch{prefixes: p, jobs: 1, want: 1, out: t.TempDir(), stdout: &stdout, line: &statusLine{out: &out, width: func() int { return 200 }}}
	if err := v.run(stop); err == nil || !strings.Contains(err.Error(), "0 of 1 found") {
		t.Errorf("err %v", err)
	}
	if s := out.String(); !strings.Contains(s, eraseLine) || !strings.Contains(s, "probability 0.0 %") || !strings.HasSuffix(s, eraseLine) {
		t.Errorf("%q", s)
	}
	if stdout.Len() > 0 {
		t.Errorf("printed %q", stdout.String())
	}
}

func TestFoundKeyIsWrittenBeforeItIsPrinted(t *testing.T) {
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	v := &vanitySearch{want: 1, out: dir + "/file", stdout: &stdout, stderr: &stdout}
	if _, err := v.keep(key); err == nil || stdout.Len() > 0 {
		t.Errorf("%v, printed %q", err, stdout.String())
	}
}

func TestFoundAddressHasALineOfItsOwnOnATerminal(t *testing.T) {
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer // standard output and error are the same terminal
	line := &statusLine{out: &out, width: func() int { return 200 }}
	v := &vanitySearch{want: 2, out: t.TempDir(), stdout: &out, stderr: line, line: line}
	line.Set("probability 12.4 %")
	if _, err := v.keep(key); err != nil {
		t.Fatal(err)
	}
	got := screen(out.String())
	if len(got) != 4 || got[0] != key.Address() || !strings.HasPrefix(got[1], "found after ") || !strings.HasPrefix(got[2], "  jm-directory-server key import ") || got[3] != "probability 12.4 %" {
		t.Errorf("on the screen: %q", got)
	}
}
