package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"jm-directory-server/cmd/terminal"
)

// A tone says how a text is to be taken. Colours come from it.
type tone int

const (
	plain tone = iota
	strong
	faint
	good
	fair // something to look at
	bad
)

// sgr are the codes of the tones (ECMA-48 SGR); plain has none.
var sgr = [...]string{plain: "", strong: "\x1b[1m", faint: "\x1b[2m", good: "\x1b[32m", fair: "\x1b[33m", bad: "\x1b[1;31m"}

// A cell is a text that stays on one line.
type cell struct {
	text string
	tone tone
}

// A row is a label and cells, on as many lines as they need and there is room for.
type row struct {
	label string
	cells []cell
	words bool             // the cells are the words of a sentence
	right string           // at the right end of the first line, if it fits
	rank  int              // what has a higher one is shortened and left out first when there are too many lines
	bars  func(w int) cell // instead of cells: a picture of w columns, with a caption
}

// A layout turns rows into the lines of a terminal or of a text.
type layout struct {
	width  int // columns
	height int // lines; 0: any
	colour bool
	utf8   bool // what is not ASCII can be shown
}

// labelWidth is the column in which cells begin.
const labelWidth = 10

// lines returns what fits: rows are shortened to one line, and then left out, from the highest rank on.
func (l layout) lines(rows []row) []string {
	blocks := make([][]string, len(rows))
	most := make([]int, len(rows))
	total := 0
	for i := range rows {
		blocks[i] = l.block(rows[i], 0)
		most[i] = len(blocks[i])
		total += most[i]
	}
	for l.height > 0 && total > l.height {
		i := victim(rows, most)
		if i < 0 {
			break
		}
		most[i]--
		total--
	}
	var lines []string
	for i, r := range rows {
		if most[i] < len(blocks[i]) {
			blocks[i] = l.block(r, most[i])
		}
		if most[i] > 0 {
			lines = append(lines, blocks[i]...)
		}
	}
	return lines
}

// victim is the row that loses a line next, or -1: of the highest rank, and of these the last. A list of several lines counts
// as if its rank were higher, so that it is shortened before what matters less is left out altogether; a sentence
// does not, because half of it says nothing.
func victim(rows []row, most []int) int {
	best, worst := -1, 0
	for i, r := range rows {
		weight := 10 * r.rank
		switch {
		case most[i] == 0 || r.rank == 0 && most[i] == 1:
			continue
		case most[i] > 2 && !r.words:
			weight += 60 + most[i]
		case most[i] == 2 && !r.words:
			weight += 45
		}
		if best < 0 || weight >= worst {
			best, worst = i, weight
		}
	}
	return best
}

// block returns a row in at most that many lines; 0 is any number.
func (l layout) block(r row, most int) []string {
	if r.label == "" && len(r.cells) == 0 && r.bars == nil {
		return []string{""}
	}
	indent := 0
	if r.label != "" {
		indent = min(labelWidth, l.width/3)
	}
	room := max(l.width-indent, 1)
	var lines []string
	if r.bars != nil {
		lines = []string{l.paint(r.bars(room))}
	} else {
		lines = l.wrap(r, room, most)
	}
	label := l.cut(strings.TrimSpace(r.label), max(indent-1, 0))
	label += strings.Repeat(" ", indent-terminal.Width(label))
	for i := range lines {
		if i == 0 {
			lines[i] = l.paint(cell{label, faint}) + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// wrap places the cells of a row on lines of room columns. What is left out is marked.
func (l layout) wrap(r row, room, most int) []string {
	gap := "  "
	if r.words {
		gap = " "
	}
	var lines []string
	var line strings.Builder
	used := 0
	mark := l.text("…")
	for i, c := range r.cells {
		text := l.cut(l.text(c.text), room)
		n := terminal.Width(text)
		if used > 0 && used+len(gap)+n > room {
			if len(lines)+1 == most {
				if used+1+terminal.Width(mark) <= room {
					line.WriteString(" " + l.paint(cell{mark, faint}))
				}
				break
			}
			lines = append(lines, line.String())
			line.Reset()
			used = 0
		}
		if used > 0 {
			line.WriteString(gap)
			used += len(gap)
		}
		line.WriteString(l.paint(cell{text, c.tone}))
		used += n
		if i == len(r.cells)-1 && r.right != "" && len(lines) == 0 {
			if free := room - used - terminal.Width(r.right); free > 1 {
				line.WriteString(strings.Repeat(" ", free) + l.paint(cell{r.right, faint}))
			}
		}
	}
	return append(lines, line.String())
}

// text replaces what cannot be shown. Texts of the server are cleaned where rows are made of them.
func (l layout) text(s string) string {
	if l.utf8 {
		return s
	}
	s = strings.ReplaceAll(s, "…", "...")
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}

// cut shortens s to that many columns.
func (l layout) cut(s string, columns int) string { return terminal.Cut(s, columns, l.text("…")) }

// paint adds the codes of a tone.
func (l layout) paint(c cell) string {
	if !l.colour || c.tone == plain || c.text == "" {
		return c.text
	}
	return sgr[c.tone] + c.text + "\x1b[m"
}

// utf8Locale says that the terminal shows more than ASCII, by the environment (locale(7)).
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := getenv(name); value != "" {
			lower := strings.ToLower(value)
			return slices.ContainsFunc([]string{"utf-8", "utf8"}, func(s string) bool { return strings.Contains(lower, s) })
		}
	}
	return false
}
