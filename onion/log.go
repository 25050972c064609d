package onion

import (
	"regexp"
	"strings"
	"sync"
)

// logLine matches "Nov 24 03:37:01.000 [notice] text" (Tor's log.c).
var logLine = regexp.MustCompile(`^[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d(?:\.\d{3})? \[(debug|info|notice|warn|err)\] (.*)$`)

// onionName matches a v3 address, with or without its suffix, and whatever it
// may hide in: every run of as many base32 characters.
var onionName = regexp.MustCompile(`(?i)[a-z2-7]{56,}(?:\.onion)?`)

// parseLog splits a line of Tor's log. A line that is not in Tor's format goes
// on from the one before, or comes from the loader: it is a notice.
func parseLog(line string) (level, msg string) {
	if m := logLine.FindStringSubmatch(line); m != nil {
		return m[1], scrub(m[2])
	}
	return "notice", scrub(line)
}

// scrub takes onion addresses out of a text.
func scrub(s string) string { return onionName.ReplaceAllString(s, "[scrubbed].onion") }

// maxLogLine is where an overlong line is cut, in bytes.
const maxLogLine = 4096

// logSplitter is the io.Writer for a child's output: it passes whole lines on,
// without their ends, cut to maxLogLine.
type logSplitter struct {
	line func(string)
	mu   sync.Mutex
	rest []byte
	skip bool // the rest of an overlong line
}

// Write implements io.Writer; it never fails.
func (s *logSplitter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range b {
		switch {
		case c == '\n':
			s.emit()
			s.skip = false
		case s.skip:
		default:
			if s.rest = append(s.rest, c); len(s.rest) == maxLogLine {
				s.emit()
				s.skip = true
			}
		}
	}
	return len(b), nil
}

func (s *logSplitter) emit() {
	if l := strings.TrimRight(string(s.rest), "\r "); l != "" {
		s.line(l)
	}
	s.rest = s.rest[:0]
}

// warnings keeps the last few warnings of Tor, for the error that names why it
// ended.
type warnings struct {
	mu   sync.Mutex
	last []string
}

// keptWarnings is how many.
const keptWarnings = 5

func (w *warnings) note(level, msg string) {
	if level != "warn" && level != "err" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) == keptWarnings {
		w.last = w.last[1:]
	}
	w.last = append(w.last, msg)
}

// text joins them, oldest first; "" if there were none.
func (w *warnings) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.last, "; ")
}
