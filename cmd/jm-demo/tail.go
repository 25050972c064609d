package main

import (
	"bytes"
	"slices"
	"sync"
)

// tailLines is how many lines of a log are kept for a failure.
const tailLines = 15

// maxLogLine bounds one line of a log that is kept, in bytes.
const maxLogLine = 1000

// A tail is an io.Writer that keeps the last lines of a log, and passes each line on.
type tail struct {
	each func(line string) // nil: nobody wants them

	mu    sync.Mutex
	part  []byte
	lines []string
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		t.part = append(t.part, line[:min(len(line), maxLogLine-len(t.part))]...)
		if !whole {
			return n, nil
		}
		if len(t.lines) == tailLines {
			t.lines = append(t.lines[:0], t.lines[1:]...)
		}
		t.lines = append(t.lines, string(t.part))
		if t.each != nil {
			t.each(string(t.part))
		}
		t.part, p = t.part[:0], rest
	}
}

// last returns the last lines, oldest first.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}
