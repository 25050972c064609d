package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"jm-directory-server/cmd/terminal"
)

// width is the longest line of the demo in columns, whatever it is written to.
const width = 80

// whoWidth is the column of who does something, wide enough for "directory → maker 1".
const whoWidth = 19

// Colours (ECMA-48 SGR) of who does something, on a terminal.
const (
	dim   = "\x1b[2m"
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// roleColours are the colours by the first word of who does something.
var roleColours = map[string]string{
	"network": "\x1b[34m", "directory": "\x1b[33m", "maker": "\x1b[32m", "taker": "\x1b[36m",
}

// A report tells what happens, each step in one line with the seconds since the start. Its methods may be
// called from any goroutine.
type report struct {
	start  time.Time
	colour bool

	mu  sync.Mutex
	out io.Writer
}

// newReport returns a report on out, in colours if that is a terminal and NO_COLOR is not set.
func newReport(out io.Writer) *report {
	return &report{start: time.Now(), out: out, colour: terminal.Of(out) != nil && os.Getenv("NO_COLOR") == ""}
}

// step tells that who did what.
func (r *report) step(who, format string, args ...any) {
	seconds := fmt.Sprintf("%5.1f s  ", time.Since(r.start).Seconds())
	what := terminal.Fit(fmt.Sprintf(format, args...), width-len(seconds)-whoWidth-2)
	pad := strings.Repeat(" ", max(whoWidth-terminal.Width(who), 0)+2)
	role, _, _ := strings.Cut(who, " ")
	r.write(r.paint(dim, seconds) + r.paint(roleColours[role], who) + pad + what)
}

// end tells how it went, over the whole width.
func (r *report) end(format string, args ...any) {
	seconds := fmt.Sprintf("%5.1f s  ", time.Since(r.start).Seconds())
	r.write(r.paint(dim, seconds) + r.paint(bold, terminal.Fit(fmt.Sprintf(format, args...), width-len(seconds))))
}

// failure tells why the demo ends, and what the log of source said last. It is not cut: it is there to be
// read whole.
func (r *report) failure(err error, source string, lines []string) {
	for i, line := range strings.Split(err.Error(), "\n") {
		start := "failed: "
		if i > 0 {
			start = "  "
		}
		r.write(r.paint(red, start+terminal.Printable(line, ' ')))
	}
	if len(lines) > 0 {
		r.write("the last lines in the log of the " + source + ":")
	}
	for _, l := range lines {
		r.log(source, l)
	}
}

// log shows a line of somebody's log.
func (r *report) log(source, line string) {
	r.write(r.paint(dim, "  "+source+" | "+terminal.Printable(line, ' ')))
}

func (r *report) paint(colour, text string) string {
	if !r.colour || colour == "" {
		return text
	}
	return colour + text + plain
}

func (r *report) write(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.out, line) // nobody is left to be told that it cannot be written
}
