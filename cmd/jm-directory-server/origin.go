package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"jm-directory-server/cmd/terminal"
)

// The sources of a value, later ones win over earlier ones.
type source int

const (
	fromDefault source = iota
	fromFile
	fromEnvironment
	fromFlag
)

// An origin is where a value was set.
type origin struct {
	source source
	file   string // fromFile
	line   int    // fromFile, counted from 1
	name   string // what the operator wrote: key, variable or flag
}

// String is the origin in a few words, for check-config.
func (o origin) String() string {
	switch o.source {
	case fromFile:
		return fmt.Sprintf("%s:%d", o.file, o.line)
	case fromEnvironment:
		return "environment " + o.name
	case fromFlag:
		return "flag " + o.name
	default:
		return "default"
	}
}

// where begins the line of an error.
func (o origin) where() string {
	switch o.source {
	case fromFile:
		return fmt.Sprintf("%s:%d: %s", o.file, o.line, o.name)
	case fromEnvironment:
		return "environment: " + o.name
	case fromFlag:
		return o.name
	default:
		return "default: " + o.name
	}
}

// A problem is one thing that is wrong with the configuration. It is always one line, whatever an operator
// wrote.
type problem struct {
	origin
	text string
}

// Error is one line: where, what, and what is allowed.
func (p problem) Error() string {
	return oneLine(strings.TrimSuffix(p.where(), ": ") + ": " + p.text)
}

// problems is the error of a configuration that cannot be used: exit code 2.
type problems []problem

// Error is one line for each problem.
func (ps problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns ps without repetitions, in the order in which an operator reads: files by line, then
// environment and flags.
func (ps problems) sorted() problems {
	slices.SortStableFunc(ps, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	return slices.Compact(ps)
}

// oneLine replaces what a terminal would not show as it is.
func oneLine(s string) string { return terminal.Printable(s, '?') }
