package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/packaging/man"
)

// TestEveryCommandHasAManualPage guards that packages document each command and flag.
func TestEveryCommandHasAManualPage(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root := newRootCommand()
	m := man.Manual{Root: root, Comment: file.Doc, Config: jmdirectoryserver.ConfigExample, Version: "1.2.3", Date: time.Unix(1700000000, 0)}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	pages := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if c != root && (!c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand()) {
			return
		}
		pages++
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		b, err := os.ReadFile(filepath.Join(dir, "man"+man.Section, name+"."+man.Section))
		if err != nil {
			t.Error(err)
			return
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(string(b), `\fB--`+f.Name+`\fP`) {
				t.Errorf("%s: the page lacks --%s", name, f.Name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	if pages < 8 {
		t.Errorf("only %d pages", pages)
	}
	page, err := os.ReadFile(filepath.Join(dir, "man1/jm-directory-server.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"CONFIGURATION", "SIGNALS", "EXIT CODES"} {
		if !strings.Contains(string(page), ".SH "+section) {
			t.Errorf("the page of the program lacks %s", section)
		}
	}
}

// TestPackageCommentIsTheWholeManual guards that the usage at the top of the program's own manual has every command.
func TestPackageCommentIsTheWholeManual(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, usage, _ := strings.Cut(file.Doc.Text(), "Usage:")
	usage, _, _ = strings.Cut(usage, "\n# ")
	root := newRootCommand()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if !strings.Contains(usage, c.Name()) {
			t.Errorf("the usage lacks %s", c.Name())
		}
		for _, sub := range c.Commands() {
			if !strings.Contains(usage, sub.Name()) {
				t.Errorf("the usage lacks %s", sub.CommandPath())
			}
		}
	}
}
