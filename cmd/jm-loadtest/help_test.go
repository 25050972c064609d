package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// TestHelpFitsATerminal asks every command for its help.
func TestHelpFitsATerminal(t *testing.T) {
	asked := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		asked++
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		code, out, errs := runs(t, args...)
		if code != exitOK || out == "" || errs != "" {
			t.Errorf("%q: exit code %d, said %q", args, code, errs)
		}
		for line := range strings.Lines(out) {
			if line = strings.TrimSuffix(line, "\n"); terminal.Width(line) > terminal.HelpWidth || strings.Contains(line, "\t") {
				t.Errorf("%q: takes %d columns, or has a tab: %s", args, terminal.Width(line), line)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	root := newRootCommand()
	root.InitDefaultHelpCmd()
	visit(root)
	if asked < 19 || !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" }) {
		t.Errorf("only %d commands were asked", asked)
	}
}
