// Package helptest tries the help of a program.
package helptest

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// Fits asks every command below root, and those that cobra adds, for its help, by run, which runs the program with these arguments and
// fails the test unless that prints help and nothing else. There must be least commands at least. The help has no tabs, and fits
// terminal.HelpWidth.
func Fits(t *testing.T, root *cobra.Command, least int, run func(args []string) (help string)) {
	t.Helper()
	asked := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		asked++
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		help := run(args)
		Lines(t, help)
		if strings.Contains(help, "\t") {
			t.Errorf("%q: there is a tab in %s", args, help)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	root.InitDefaultHelpCmd()
	visit(root)
	if asked < least || !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" }) {
		t.Errorf("only %d commands were asked", asked)
	}
}

// Lines checks that each line of a help fits terminal.HelpWidth.
func Lines(t *testing.T, help string) {
	t.Helper()
	for line := range strings.Lines(help) {
		line = strings.ReplaceAll(line, "    \t", "        ") // as package flag has it
		if n := terminal.Width(strings.TrimSuffix(line, "\n")); n > terminal.HelpWidth {
			t.Errorf("takes %d columns: %s", n, line)
		}
	}
}
