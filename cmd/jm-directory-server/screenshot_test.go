package main

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestScreenshot makes a picture of "status --watch" on a terminal of 80 columns and 24 lines, build/status.svg, for the README.
// JM_SCREENSHOT is the admin address of a running directory. Text stays text.
func TestScreenshot(t *testing.T) {
	address := os.Getenv("JM_SCREENSHOT")
	if address == "" {
		t.Skip("JM_SCREENSHOT is not set")
	}
	program, err := exec.LookPath("jm-directory-server") // testscript puts it there
	if err != nil {
		t.Fatal(err)
	}
	ptmx, tty := openTerminal(t, 80, 24)
	out := listenTo(t, ptmx, tty)
	cmd := exec.CommandContext(t.Context(), program, "status", "--watch", "--admin", address)
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitText(t, out, "q quits")
	time.Sleep(rateSpan + 5*time.Second) // rates of reasons and of processor time are over that span
	screen := out.String()
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs("../../build/status.svg")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(picture(t, screen, 80, 24)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A shade is a text of one tone on a line of the screen.
type shade struct {
	column int
	code   string // SGR
	text   string
}

// shades are the lines of a screen as a person sees them after out was written.
func shades(t *testing.T, out string, lines int) [][]shade {
	t.Helper()
	screen := make([][]shade, lines)
	row, column, code := 0, 0, ""
	for out != "" {
		m := control.FindStringSubmatch(out)
		if m == nil {
			end := strings.IndexByte(out, '\x1b')
			if end < 0 {
				end = len(out)
			}
			screen[row] = append(screen[row], shade{column, code, out[:end]})
			column += len([]rune(out[:end]))
			out = out[end:]
			continue
		}
		out = out[len(m[0]):]
		switch m[2] {
		case "H":
			line, _, _ := strings.Cut(m[1], ";")
			n, err := strconv.Atoi(line)
			if err != nil || n < 1 || n > lines {
				t.Fatalf("line %q", line)
			}
			row, column = n-1, 0
			screen[row] = nil
		case "J":
			clear(screen)
		case "m":
			code = m[1]
		}
	}
	return screen
}

// tints are the colours of tones in a picture, by their SGR.
var tints = map[string]string{
	"": `fill="#d3d7cf"`, "1": `fill="#ffffff" font-weight="bold"`, "2": `fill="#8a8f98"`,
	"32": `fill="#7ec96a"`, "33": `fill="#e5b94e"`, "1;31": `fill="#f0736a" font-weight="bold"`,
}

// picture draws a screen as SVG. Each text is as wide as its columns whatever the font is.
func picture(t *testing.T, out string, columns, lines int) string {
	t.Helper()
	const wide, high, margin = 8.4, 18.0, 14.0
	var b strings.Builder
	w, h := float64(columns)*wide+2*margin, float64(lines)*high+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="14">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<title>jm-directory-server status --watch</title>`+"\n"+`<rect width="100%%" height="100%%" rx="8" fill="#16191d"/>`+"\n")
	for i, line := range shades(t, out, lines) {
		y := margin + float64(i)*high + 13
		for _, s := range line {
			text := strings.TrimRight(s.text, " ")
			from := text
			text = strings.TrimLeft(text, " ")
			if text == "" {
				continue
			}
			x := margin + wide*float64(s.column+len(from)-len(text)) // spaces are one byte each
			fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve" %s>%s</text>`+"\n",
				x, y, wide*float64(len([]rune(text))), tints[s.code], html.EscapeString(text))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// TestPictureIsWhatTheScreenShows guards that every tone has a colour, and that what was drawn over is gone.
func TestPictureIsWhatTheScreenShows(t *testing.T) {
	for tone, code := range sgr {
		if tints[strings.TrimSuffix(strings.TrimPrefix(code, "\x1b["), "m")] == "" {
			t.Errorf("tone %d has no colour", tone)
		}
	}
	got := picture(t, enterScreen+"\x1b[1;1Hold\x1b[K\x1b[2;1H\x1b[2mOnion     \x1b[m\x1b[32mreach <able>\x1b[m  ▁▂\x1b[K\x1b[1;1Hnew\x1b[K", 20, 2)
	for _, want := range []string{
		`<text x="14.0" y="27" textLength="25.2" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="#d3d7cf">new</text>`,
		`x="14.0" y="45" textLength="42.0"`, `fill="#8a8f98">Onion</text>`,
		`<text x="98.0" y="45"`, `fill="#7ec96a">reach &lt;able&gt;</text>`, `<text x="215.6" y="45"`, `>▁▂</text>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "old") {
		t.Error("what was drawn over is shown")
	}
}
