package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// leavings are the signals by which a person or a program ends what asks on a terminal, or stops it until later.
var leavings = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP}

// A hiddenPrompt asks for a line that is not shown while it is typed. However that ends, by a line or by a signal that ends or
// stops the program, the terminal is as it was before: not every shell sees to that, and one that shows nothing seems to hang.
type hiddenPrompt struct {
	tty     *os.File
	out     io.Writer
	text    string
	was     *unix.Termios
	signals chan os.Signal
}

// askHidden asks on a terminal. The error wraps io.EOF if nothing is answered.
func askHidden(tty *os.File, out io.Writer, text string) (string, error) {
	p := &hiddenPrompt{tty: tty, out: out, text: text, signals: make(chan os.Signal, 1)}
	var err error
	if p.was, err = unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	err = p.hide()
	answered, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.watch(answered) }()
	var line string
	if err == nil {
		line, err = readHidden(tty)
	}
	close(answered)
	err = errors.Join(err, <-ended, p.show())
	signal.Stop(p.signals)
	select {
	case s := <-p.signals: // it came with the answer
		raise(s)
	default:
	}
	return line, err
}

// watch gives the terminal back when a signal comes, and then lets that end or stop the program as it would have without us. Who
// goes on after a stop is asked anew: what was typed before is gone, as with every line at which Ctrl-Z is pressed.
func (p *hiddenPrompt) watch(answered <-chan struct{}) error {
	for {
		select {
		case <-answered:
			return nil
		case s := <-p.signals:
			p.show() // the signal is to be heard all the same
			signal.Stop(p.signals)
			raise(s)
			if err := p.hide(); err != nil {
				return err
			}
		}
	}
}

// hide asks, and has the terminal not show what is typed from then on.
func (p *hiddenPrompt) hide() error {
	for _, s := range leavings { // from before anything is hidden
		if !signal.Ignored(s) {
			signal.Notify(p.signals, s)
		}
	}
	hidden := *p.was
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(int(p.tty.Fd()), unix.TCSETS, &hidden); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	_, err := io.WriteString(p.out, p.text)
	return err
}

// show gives the terminal back as it was, on a line of its own.
func (p *hiddenPrompt) show() error {
	fmt.Fprintln(p.out)
	if err := unix.IoctlSetTermios(int(p.tty.Fd()), unix.TCSETS, p.was); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// raise sends this thread a signal, which is done with when it returns: after a stop, when the program goes on. Go ignores SIGTSTP
// once it was asked for; SIGTTIN does the same, and nothing where no shell would have the program go on.
func raise(s os.Signal) {
	if s == unix.SIGTSTP {
		s = unix.SIGTTIN
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(os.Getpid(), unix.Gettid(), s.(syscall.Signal)) // at ourselves it cannot fail
}

// readHidden reads a line, and nothing of the next one, which may be the answer to another question.
func readHidden(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		switch {
		case n == 1 && b[0] == '\n', err == io.EOF && len(line) > 0:
			return string(line), nil
		case n == 1:
			line = append(line, b[0])
		case err != nil:
			return "", err
		}
	}
}
