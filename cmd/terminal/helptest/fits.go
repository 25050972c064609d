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
		for line := range strings.Lines(run(args)) {
			if line = strings.TrimSuffix(line, "\n"); terminal.Width(line) > terminal.HelpWidth || strings.Contains(line, "\t") {
				t.Errorf("%q: takes %d columns, or has a tab: %s", args, terminal.Width(line), line)
			}
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
