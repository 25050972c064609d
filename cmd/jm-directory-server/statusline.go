package main

import (
	"bytes"
	"io"
	"sync"

	"jm-directory-server/cmd/terminal"
)

// A statusLine is a terminal whose last line can be replaced again and again, below whatever else is
// written. Log lines go through it, so that the two never mix. Its methods may be called from any
// goroutine.
type statusLine struct {
	mu    sync.Mutex
	out   io.Writer
	width func() int // of the terminal, in columns
	shown string
}

// eraseLine moves to the first column and erases to the end of the line (ECMA-48 EL).
const eraseLine = "\r\x1b[K"

// Set shows text as the last line, cut to the width of the terminal; empty shows none.
func (l *statusLine) Set(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// One column stays free: in the last one some terminals begin a new line.
	text = terminal.Cut(text, l.width()-1, "")
	if text == l.shown {
		return nil
	}
	_, err := io.WriteString(l.out, eraseLine+text)
	l.shown = text
	return err
}

// Write writes p, which is whole lines, above the last line.
func (l *statusLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown == "" {
		return l.out.Write(p)
	}
	var b bytes.Buffer
	b.WriteString(eraseLine)
	b.Write(p)
	b.WriteString(l.shown)
	if _, err := l.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Above has write put whole lines onto this terminal by another way, such as standard output, above the last line, and
// returns its error.
func (l *statusLine) Above(write func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown == "" {
		return write()
	}
	io.WriteString(l.out, eraseLine) // a terminal that is gone keeps no line from standard output
	err := write()
	io.WriteString(l.out, l.shown)
	return err
}
