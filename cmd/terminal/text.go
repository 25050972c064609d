// Package terminal tells what is a terminal, and fits text to one: what would steer it is taken out, and lengths are
// columns as they are seen, of which a character takes two, one or none.
package terminal

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// seen counts characters of ambiguous width, such as …, as one column, whatever the locale: a terminal of today does so.
var seen = &runewidth.Condition{StrictEmojiNeutral: true}

// Printable replaces each character that would steer a terminal, begin a new line or not be seen.
func Printable(text string, instead rune) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return instead
	}, text)
}

// Width returns how many columns printable text takes.
func Width(text string) int { return seen.StringWidth(text) }

// Cut shortens printable text to that many columns, the mark at its end included. If the mark alone would not fit, there is none.
func Cut(text string, columns int, mark string) string {
	if Width(text) <= columns {
		return text
	}
	if Width(mark) >= columns {
		mark = ""
	}
	return seen.Truncate(text, max(columns, 0), mark)
}

// Fit makes text printable, by blanks, and at most so many columns wide, with … where it was cut.
func Fit(text string, columns int) string { return Cut(Printable(text, ' '), columns, "…") }

// Counted writes a count and its noun: 1 peer, 2 peers.
func Counted[N int | int64](n N, one string) string {
	return Plural(strconv.FormatInt(int64(n), 10), one)
}

// Plural writes the noun behind a count that is written already, such as 12.3k: of "1" the singular.
func Plural(count, one string) string {
	if count == "1" {
		return "1 " + one
	}
	return count + " " + one + "s"
}

// Wrap breaks printable text behind first at its blanks, into lines of that many columns; those after the first begin with
// indent blanks. A word that is longer stays whole, on a line of its own: it may be something to copy.
func Wrap(first, text string, indent, columns int) (lines []string) {
	line, used, empty := first, Width(first), true
	for word := range strings.FieldsSeq(text) {
		n := Width(word)
		switch {
		case empty:
		case used+1+n > columns:
			lines = append(lines, line)
			line, used = strings.Repeat(" ", indent), indent
		default:
			line += " "
			used++
		}
		line += word
		used += n
		empty = false
	}
	return append(lines, line)
}
