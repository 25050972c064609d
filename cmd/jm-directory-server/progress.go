package main

import (
	"fmt"
	"sync"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
)

// A bootstrap shows how far Tor has come: on a terminal in one line that changes, elsewhere in a log line
// for each step. Advice is a warning, once each time it changes.
type bootstrap struct {
	log  logrus.FieldLogger
	line *statusLine // nil: no terminal

	mu    sync.Mutex
	shown onion.Progress
	ended bool
}

// show takes a step; package onion calls it from its own goroutines.
func (b *bootstrap) show(p onion.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.shown
	b.shown = p
	if p.Advice != "" && p.Advice != last.Advice {
		b.log.Warn(p.Advice)
	}
	switch {
	case b.ended || p.Percent == last.Percent && p.Tag == last.Tag:
	case b.line != nil:
		b.set(fmt.Sprintf("Tor: %3d %%  %s", p.Percent, cleanText(p.Summary, maxLogText)))
	default:
		b.log.WithFields(logrus.Fields{"percent": p.Percent, "step": p.Tag}).Info("Tor starts: " + p.Summary)
	}
}

// end takes the line away; later steps are not shown, later advice is.
func (b *bootstrap) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if b.line != nil {
		b.set("")
	}
}

func (b *bootstrap) set(text string) {
	if err := b.line.Set(text); err != nil {
		b.line = nil // the terminal is gone, the server is not
	}
}
