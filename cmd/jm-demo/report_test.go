package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"jm-directory-server/cmd/terminal"
)

func TestLinesFitIntoEightyColumnsAndSteerNothing(t *testing.T) {
	roles := []string{"network", "directory", "directory → maker 1", "taker → all"}
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		r := newReport(&out)
		r.step(rapid.SampledFrom(roles).Draw(t, "who"), "%s", rapid.String().Draw(t, "what"))
		r.end("%s", rapid.String().Draw(t, "end"))
		lines := strings.Split(out.String(), "\n")
		if len(lines) != 3 || lines[2] != "" {
			t.Fatalf("not two lines: %q", out.String())
		}
		for _, l := range lines {
			if n := terminal.Width(l); n > width {
				t.Fatalf("%d columns: %q", n, l)
			}
			if strings.IndexFunc(l, unicode.IsControl) >= 0 {
				t.Fatalf("control characters: %q", l)
			}
		}
	})
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	r.step("maker 1", "speaks")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("colours in a buffer: %q", out.String())
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newReport(file).colour {
		t.Error("colours in a file")
	}
	out.Reset()
	r.colour = true
	r.step("maker 1", "speaks")
	if !strings.Contains(out.String(), "\x1b[32mmaker 1\x1b[0m") {
		t.Errorf("no colours: %q", out.String())
	}
}

func TestFailureShowsTheReasonAndTheLog(t *testing.T) {
	var out bytes.Buffer
	r := &report{start: time.Now(), out: &out}
	r.failure(errors.New("taker: expected a\nand more"), "server", []string{"one", "two \x1b[2J"})
	want := "failed: taker: expected a\n  and more\nthe last lines in the log of the server:\n  server | one\n  server | two  [2J\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-c]{0,3}\n){0,40}[a-c]{0,3}`).Draw(t, "text")
		var seen []string
		k := &tail{each: func(l string) { seen = append(seen, l) }}
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if _, err := io.WriteString(k, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		lines := strings.Split(text, "\n")
		lines = lines[:len(lines)-1] // what follows the last line feed is no line yet
		if strings.Join(seen, "|") != strings.Join(lines, "|") {
			t.Fatalf("passed on %q of %q", seen, lines)
		}
		lines = lines[max(0, len(lines)-tailLines):]
		if got := k.last(); strings.Join(got, "|") != strings.Join(lines, "|") {
			t.Fatalf("kept %q, want %q", got, lines)
		}
	})
}

func TestTailBoundsALine(t *testing.T) {
	k := &tail{}
	for range 100 {
		if n, err := k.Write(bytes.Repeat([]byte("x"), 500)); n != 500 || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := k.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if got := k.last(); len(got) != 1 || len(got[0]) != maxLogLine {
		t.Errorf("%d lines, the first of %d bytes", len(got), len(got[0]))
	}
}
