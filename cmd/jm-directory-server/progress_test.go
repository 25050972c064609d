package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"jm-directory-server/onion"
)

// screen plays a terminal: it returns the lines that a person sees after out was written to it.
func screen(out string) []string {
	lines := []string{""}
	for out != "" {
		last := &lines[len(lines)-1]
		switch {
		case strings.HasPrefix(out, eraseLine):
			*last, out = "", out[len(eraseLine):]
		case out[0] == '\n':
			lines, out = append(lines, ""), out[1:]
		default:
			*last, out = *last+out[:1], out[1:]
		}
	}
	return lines
}

func TestProgressIsOneLineBelowTheLog(t *testing.T) {
	var out bytes.Buffer
	line := &statusLine{out: &out, width: func() int { return 30 }}
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, line, true, true)
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrap{log: log, line: line}
	b.show(onion.Progress{Percent: 5, Tag: "conn", Summary: "Connecting to a relay"})
	log.Info("first")
	b.show(onion.Progress{Percent: 50, Tag: "loading", Summary: "Loading relay descriptors"})
	b.show(onion.Progress{Percent: 50, Tag: "loading", Summary: "Loading relay descriptors"})
	got := screen(out.String())
	if len(got) != 2 || !strings.Contains(got[0], "msg=first") || got[1] != "Tor:  50 %  Loading relay des" {
		t.Errorf("on the screen: %q", got)
	}
	log.Info("second")
	b.end()
	b.show(onion.Progress{Percent: 100, Tag: "done", Summary: "Done"})
	got = screen(out.String())
	if len(got) != 3 || !strings.Contains(got[1], "msg=second") || got[2] != "" {
		t.Errorf("at the end on the screen: %q", got)
	}
}

func TestProgressWithoutATerminalIsALogLineForEachStep(t *testing.T) {
	var out bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &out, false, true)
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrap{log: log}
	for _, p := range []onion.Progress{
		{Percent: 5, Tag: "conn", Summary: "Connecting"},
		{Percent: 5, Tag: "conn", Summary: "Connecting"},
		{Percent: 5, Tag: "conn", Summary: "Connecting", Advice: "Set the clock."},
		{Percent: 10, Tag: "conn_done", Summary: "Connected", Advice: "Set the clock."},
		{Percent: 10, Tag: "handshake", Summary: "Handshaking"},
	} {
		b.show(p)
	}
	s := out.String()
	if n := strings.Count(s, "Tor starts: "); n != 3 {
		t.Errorf("%d lines of progress, want 3: %s", n, s)
	}
	if n := strings.Count(s, `level=warning msg="Set the clock."`); n != 1 {
		t.Errorf("the same advice %d times: %s", n, s)
	}
	if strings.Contains(s, "\x1b") || strings.Contains(s, "\r") {
		t.Errorf("terminal codes in a log: %q", s)
	}
	b.end()
	b.show(onion.Progress{Percent: 10, Tag: "handshake", Advice: "Open the firewall."})
	if !strings.Contains(out.String(), "Open the firewall.") {
		t.Error("advice after the start is not shown")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestALostTerminalDoesNotStopTheServer(t *testing.T) {
	var out bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &out, false, true)
	if err != nil {
		t.Fatal(err)
	}
	b := &bootstrap{log: log, line: &statusLine{out: brokenWriter{}, width: func() int { return 80 }}}
	b.show(onion.Progress{Percent: 5, Tag: "conn"})
	b.show(onion.Progress{Percent: 10, Tag: "conn_done"})
	if b.end(); !strings.Contains(out.String(), "percent=10") {
		t.Errorf("progress is not logged instead: %q", out.String())
	}
}

func TestAStatusLineIsForTerminalsOnly(t *testing.T) {
	ptmx, tty := openTerminal(t, 12, 24)
	line := newStatusLine(tty)
	if line == nil {
		t.Fatal("a terminal is not recognised")
	}
	if err := line.Set("longer than the terminal is wide"); err != nil {
		t.Fatal(err)
	}
	want := eraseLine + "longer than"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(ptmx, got); err != nil || string(got) != want {
		t.Errorf("the terminal got %q, %v", got, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if newStatusLine(w) != nil || newStatusLine(new(bytes.Buffer)) != nil {
		t.Error("what is not a terminal gets a status line")
	}
}
