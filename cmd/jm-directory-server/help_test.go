package main

import (
	"bytes"
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
		var out, errs bytes.Buffer
		if code := execute(args, &out, &errs); code != exitOK || out.Len() == 0 || errs.Len() > 0 {
			t.Errorf("%q: exit code %d, said %q", args, code, &errs)
		}
		for line := range strings.Lines(out.String()) {
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
	if asked < 30 || !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "completion" }) {
		t.Errorf("only %d commands were asked", asked)
	}
}
