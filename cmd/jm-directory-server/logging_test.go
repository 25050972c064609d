package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/sirupsen/logrus"
)

// hostile is what a client might send to steer the terminal of whoever reads the log.
const hostile = "\x1b]0;pwned\x07\x1b[2J\r\nlevel=info msg=\"forged\"\u202e\x9b31m\xff"

type hostileStringer struct{}

func (hostileStringer) String() string { return hostile }

func TestLogsCarryNothingThatSteersATerminal(t *testing.T) {
	for _, tt := range []struct {
		name     string
		config   LogConfig
		terminal bool
	}{
		{"terminal", LogConfig{Level: "debug", Format: "text"}, true},
		{"file", LogConfig{Level: "debug", Format: "text"}, false},
		{"json", LogConfig{Level: "debug", Format: "json"}, false},
		{"json on a terminal", LogConfig{Level: "debug", Format: "json"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			log, err := newLogger(tt.config, &b, tt.terminal, true)
			if err != nil {
				t.Fatal(err)
			}
			log.WithFields(logrus.Fields{"text": hostile, "bytes": []byte(hostile), "stringer": hostileStringer{}}).
				WithError(errors.New(hostile)).Warn(hostile)
			line, ok := strings.CutSuffix(b.String(), "\n")
			if !ok {
				t.Fatalf("no line: %q", b.String())
			}
			for _, r := range line {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
					t.Errorf("%q is in the line %q", r, line)
				}
			}
			if tt.config.Format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("not JSON: %s", line)
			}
		})
	}
}

func TestColoursAreOfOurMakingOnly(t *testing.T) {
	var b bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &b, true, false)
	if err != nil {
		t.Fatal(err)
	}
	log.WithField("text", hostile).Info(hostile)
	for part := range strings.SplitSeq(b.String(), "\x1b") {
		if strings.HasPrefix(part, "]") || strings.HasPrefix(part, "[2J") {
			t.Errorf("a client's escape sequence is in %q", b.String())
		}
	}
	if !strings.Contains(b.String(), "\x1b[") || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("not one line in colours: %q", b.String())
	}
}

func TestLogTextsAreCut(t *testing.T) {
	var b bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &b, false, true)
	if err != nil {
		t.Fatal(err)
	}
	log.WithField("text", strings.Repeat("ä", 1000)).Info("m")
	if n := strings.Count(b.String(), "ä"); n != maxLogText/2 {
		t.Errorf("%d of 1000 letters of 2 bytes are left", n)
	}
	b.Reset()
	log.WithField("text", "as it is").Info(strings.Repeat("m", 100_000))
	if b.Len() > 8*maxLogText || !strings.Contains(b.String(), `text="as it is"`) {
		t.Errorf("%d bytes: %.200q", b.Len(), b.String())
	}
}

func TestLevelsOfTheSeedAreKnown(t *testing.T) {
	for from, to := range map[string]string{"TRACE": "debug", "Debug": "debug", "INFO": "info", "SUCCESS": "info", "WARNING": "warn", "warn": "warn", "ERROR": "error", "CRITICAL": "error", "x": "x"} {
		if got := canonicalLevel(from); got != to {
			t.Errorf("%s: got %s, want %s", from, got, to)
		}
	}
}
