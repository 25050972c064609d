package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"jm-directory-server/cmd/terminal"
)

// progressInterval is how often the line changes at most.
const progressInterval = 200 * time.Millisecond

// progress is one line on a terminal that says what is going on. Anywhere else it is silent.
type progress struct {
	out io.Writer // nil: silent

	mu    sync.Mutex
	last  time.Time
	shown bool
}

// newProgress shows progress on w if that is a terminal.
func newProgress(w io.Writer) *progress {
	if terminal.Of(w) != nil {
		return &progress{out: w}
	}
	return &progress{}
}

// show replaces the line, unless it was replaced a moment ago.
func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil || time.Since(p.last) < progressInterval {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprint(p.out, "\r\x1b[K"+terminal.Fit(fmt.Sprintf(format, args...), width-1))
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
