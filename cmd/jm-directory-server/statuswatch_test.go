package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"jm-directory-server/server/admin"
)

var control = regexp.MustCompile(`^\x1b\[(\??[0-9;]*)([A-Za-z])`)

// A player is a terminal as a person sees it: the lines of its alternate screen, and which modes are on.
type player struct {
	lines   []string
	row     int
	modes   map[string]bool
	cleared int // times
}

// play returns what a person sees after out was written to a terminal.
func play(t *testing.T, out string) *player {
	t.Helper()
	p := &player{lines: make([]string, 100), modes: map[string]bool{"?25": true, "?7": true}}
	for out != "" {
		if m := control.FindStringSubmatch(out); m != nil {
			out = out[len(m[0]):]
			switch m[2] {
			case "h", "l":
				p.modes[m[1]] = m[2] == "h"
			case "H":
				line, _, _ := strings.Cut(m[1], ";")
				p.row, _ = strconv.Atoi(line)
				p.row--
				p.lines[p.row] = ""
			case "J":
				clear(p.lines)
				p.cleared++
			case "K", "m":
			default:
				t.Fatalf("an unknown code: %q", m[0])
			}
			continue
		}
		r := []rune(out)[0]
		if r < ' ' {
			t.Fatalf("a control character: %q", out[:min(len(out), 20)])
		}
		p.lines[p.row] += string(r)
		out = out[len(string(r)):]
	}
	return p
}

// text is the screen without the empty lines below.
func (p *player) text() string { return strings.TrimRight(strings.Join(p.lines, "\n"), "\n") }

// restored says that the terminal is as it was before.
func (p *player) restored() bool { return p.modes["?25"] && p.modes["?7"] && !p.modes["?1049"] }

// listenTo copies what is written to a terminal.
func listenTo(t *testing.T, ptmx, tty *os.File) *lockedBuffer {
	out := new(lockedBuffer)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(out, ptmx) // until nobody has the terminal open
	}()
	t.Cleanup(func() { tty.Close(); <-ended })
	return out
}

// modes are the settings of a terminal's line discipline.
func modes(t *testing.T, tty *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// watching starts a watch of a fake server on a pseudo-terminal.
func watching(t *testing.T) (a *fakeAdmin, ptmx, tty *os.File, out *lockedBuffer, end func() error) {
	a, client := fakeServer(t, "running")
	report, _ := recorded(t, "running")
	ptmx, tty = openTerminal(t, 80, 24)
	out = listenTo(t, ptmx, tty)
	before := modes(t, tty)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- watchStatus(ctx, client, report, layout{utf8: true}, 20*time.Millisecond, tty, tty)
	}()
	stopped := false
	end = func() error {
		stopped = true
		var err error
		select {
		case err = <-ended:
		case <-time.After(patience):
			t.Fatal("the watch does not end")
		}
		if diff := cmp.Diff(before, modes(t, tty)); diff != "" {
			t.Errorf("the terminal is not as before:\n%s", diff)
		}
		awaitText(t, out, leaveScreen)
		if !play(t, out.String()).restored() {
			t.Errorf("the screen is not given back: %q", out.String())
		}
		return err
	}
	t.Cleanup(func() {
		cancel()
		if !stopped {
			<-ended
		}
	})
	awaitText(t, out, "q quits")
	return a, ptmx, tty, out, end
}

func TestWatchShowsTheNewestReport(t *testing.T) {
	a, ptmx, tty, out, end := watching(t)
	p := play(t, out.String())
	lines := strings.Split(p.text(), "\n")
	if len(lines) != 24 || !strings.HasPrefix(lines[23], "q quits  every 20 ms") || p.modes["?25"] || !p.modes["?1049"] {
		t.Errorf("%d lines, modes %v:\n%s", len(lines), p.modes, p.text())
	}
	for _, want := range []string{"1234 of 10000", "14:32:07", "most 1234"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("no %q in\n%s", want, p.text())
		}
	}
	a.set(func(a *fakeAdmin) {
		a.report = []byte(strings.Replace(string(a.report), `"total": 1234`, `"total": 77`, 1))
	})
	awaitText(t, out, "77 of 10000")

	// A change of size draws everything anew, and nothing is wider. The signal of a controlling terminal is not there.
	cleared := play(t, out.String()).cleared
	resize(t, tty, 40, 10)
	awaitText(t, out, clearScreen+"\x1b[1;1H")
	for end := time.Now().Add(patience); play(t, out.String()).cleared == cleared; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the screen is not drawn anew")
		}
	}
	last := out.String()
	last = last[strings.LastIndex(last, clearScreen):]
	for line := range strings.SplitSeq(play(t, last).text(), "\n") {
		if len([]rune(line)) >= 40 {
			t.Errorf("too wide: %q", line)
		}
	}

	// A server that goes away is said, and the last state stays.
	a.set(func(a *fakeAdmin) { a.report = []byte("gone") })
	awaitText(t, out, "no answer for ")
	if text := play(t, out.String()).text(); !strings.Contains(text, "77 of 10000") {
		t.Errorf("the last state is not shown:\n%s", text)
	}
	if _, err := ptmx.WriteString("xq"); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestUnchangedLinesAreNotWritten guards that nothing flickers.
func TestUnchangedLinesAreNotWritten(t *testing.T) {
	var out strings.Builder
	d := &display{out: &out, size: func() (int, int) { return 80, 24 }}
	draw := func(lines ...string) string {
		t.Helper()
		out.Reset()
		if err := d.draw(lines); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	draw("a", "b", "c")
	if got := draw("a", "B", "c"); got != "\x1b[2;1HB\x1b[K" {
		t.Errorf("one line has changed: %q", got)
	}
	if got := draw("a", "B", "c"); got != "" {
		t.Errorf("nothing has changed: %q", got)
	}
	if got := draw("a"); got != "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K" {
		t.Errorf("two lines less: %q", got)
	}
}

func TestWatchEndsWithCtrlC(t *testing.T) {
	_, ptmx, _, _, end := watching(t)
	if _, err := ptmx.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestSignalsGiveTheTerminalBack runs the program itself.
func TestSignalsGiveTheTerminalBack(t *testing.T) {
	program, err := exec.LookPath("jm-directory-server") // testscript puts it there
	if err != nil {
		t.Fatal(err)
	}
	a, _ := fakeServer(t, "running")
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		ptmx, tty := openTerminal(t, 80, 24)
		out := listenTo(t, ptmx, tty)
		before := modes(t, tty)
		cmd := exec.Command(program, "status", "--watch", "--admin", "unix:"+a.path)
		cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1", "LC_ALL=C")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitText(t, out, "q quits")
		if cmp.Equal(before, modes(t, tty)) {
			t.Error("keys are not read at once")
		}
		if err := unix.Kill(cmd.Process.Pid, signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
		awaitText(t, out, leaveScreen)
		text := out.String()
		if diff := cmp.Diff(before, modes(t, tty)); diff != "" || !play(t, text).restored() {
			t.Errorf("%v: the terminal is not as before: %s\n%q", signal, diff, text)
		}
		if escape.MatchString(text) || strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
			t.Errorf("%v: colours or Unicode: %q", signal, text)
		}
	}
}

func TestALostTerminalEndsTheWatch(t *testing.T) {
	_, client := fakeServer(t, "running")
	report, _ := recorded(t, "running")
	w := &watch{client: client, interval: time.Hour, reports: []*admin.Report{report},
		display: &display{out: brokenWriter{}, size: func() (int, int) { return 80, 24 }}}
	if err := w.run(t.Context()); err == nil || !strings.Contains(err.Error(), "terminal: gone") {
		t.Errorf("got %v", err)
	}
	keys := make(chan byte)
	close(keys)
	w = &watch{client: client, interval: time.Hour, reports: []*admin.Report{report}, keys: keys,
		display: &display{out: io.Discard, size: func() (int, int) { return 80, 24 }}}
	if err := w.run(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestTheMinuteThatIsNotOverIsNoGap guards that a server that runs does not look as if it had not.
func TestTheMinuteThatIsNotOverIsNoGap(t *testing.T) {
	_, client := fakeServer(t, "running")
	for up, want := range map[float64]int{3600: 4, 12: 2} {
		report, _ := recorded(t, "running")
		report.Time = report.Time.Truncate(time.Minute).Add(35 * time.Second)
		report.UptimeSeconds = up
		w := &watch{client: client}
		w.past(t.Context(), report)
		n := 0
		for i := len(w.trends.bars) - 1; i >= 0 && w.trends.bars[i].n > 0; i-- {
			n++
		}
		if n != want {
			t.Errorf("up for %v s: %d bars, want %d", up, n, want)
		}
	}
}
