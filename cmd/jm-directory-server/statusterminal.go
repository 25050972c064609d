package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The codes of a whole screen: xterm's alternate screen, DEC's cursor and line wrap, ECMA-48 for the rest.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	clearScreen = "\x1b[2J"
)

// A display shows lines on the whole of a terminal and gives it back as it was. Only what has changed is written, in one
// write, so that nothing flickers.
type display struct {
	out   io.Writer
	size  func() (width, height int)
	shown []string
	width int
	tall  int
}

// newDisplay takes over the terminal f.
func newDisplay(f *os.File) (*display, error) {
	d := &display{out: f, size: func() (int, int) { return terminalSize(f) }}
	_, err := io.WriteString(d.out, enterScreen)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return d, nil
}

// close gives the terminal back.
func (d *display) close() error {
	_, err := io.WriteString(d.out, leaveScreen)
	return err
}

// draw shows lines, which must not be wider than the terminal.
func (d *display) draw(lines []string) error {
	width, tall := d.size()
	var b strings.Builder
	if width != d.width || tall != d.tall { // terminals rearrange lines when they change
		b.WriteString(clearScreen)
		d.shown, d.width, d.tall = nil, width, tall
	}
	lines = lines[:min(len(lines), tall)]
	for i := range max(len(lines), len(d.shown)) {
		was, is := "", ""
		if i < len(d.shown) {
			was = d.shown[i]
		}
		if i < len(lines) {
			is = lines[i]
		}
		if was != is {
			fmt.Fprintf(&b, "\x1b[%d;1H%s\x1b[K", i+1, is)
		}
	}
	d.shown = lines
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(d.out, b.String())
	return err
}

// terminalSize is the size of a terminal in columns and lines; 80 by 24 if it does not say.
func terminalSize(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// A keyboard is a terminal whose keys come at once and unseen, Ctrl-C included.
type keyboard struct {
	keys  chan byte // closed at the end
	f     *os.File
	was   *term.State
	wake  [2]*os.File // a pipe: its end ends the reading
	quit  chan struct{}
	ended chan struct{}
}

// openKeyboard takes over the terminal f.
func openKeyboard(f *os.File) (*keyboard, error) {
	was, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		term.Restore(int(f.Fd()), was) // the pipe's error is the one to tell
		return nil, fmt.Errorf("terminal: %w", err)
	}
	k := &keyboard{keys: make(chan byte), f: f, was: was, wake: [2]*os.File{r, w}, quit: make(chan struct{}), ended: make(chan struct{})}
	go k.read()
	return k, nil
}

// read passes keys on. It polls, because a read of a terminal cannot be interrupted.
func (k *keyboard) read() {
	defer close(k.ended)
	defer close(k.keys)
	var b [16]byte
	for {
		fds := []unix.PollFd{{Fd: int32(k.f.Fd()), Events: unix.POLLIN}, {Fd: int32(k.wake[0].Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil || fds[1].Revents != 0 {
			return
		}
		n, err := k.f.Read(b[:])
		for _, key := range b[:n] {
			select {
			case k.keys <- key:
			case <-k.quit:
				return
			}
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// close gives the terminal back as it was.
func (k *keyboard) close() error {
	close(k.quit)
	k.wake[1].Close() // wakes the poll
	<-k.ended
	k.wake[0].Close()
	return term.Restore(int(k.f.Fd()), k.was)
}
