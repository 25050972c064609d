// Package man writes the manual pages and shell completions of a command line, for packages and releases.
// It is not part of the program: what only it needs is not linked there.
package man

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// Section is the manual section of the commands: commands, as the unit names it.
const Section = "1"

// A Manual is what the pages and completions are made of. The same manual gives the same bytes.
type Manual struct {
	// Root is the command line. Write changes its texts.
	Root *cobra.Command
	// Comment is the package comment of the command. Its sections, from the first heading on, go into
	// the page of Root.
	Comment *ast.CommentGroup
	// Config is the documented configuration file, the page "NAME-config" of section 5.
	Config string
	// Version names the release at the foot of each page.
	Version string
	// Date is the time of the release. Pages show its month, in UTC.
	Date time.Time
}

// Write makes dir/man1, dir/man5, dir/bash, dir/zsh and dir/fish.
func (m *Manual) Write(dir string) error {
	pages := filepath.Join(dir, "man"+Section)
	for _, d := range []string{pages, filepath.Join(dir, "man5")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("manual: %w", err)
		}
	}
	m.Root.InitDefaultHelpCmd()
	m.Root.InitDefaultCompletionCmd(m.Root.Name()) // cobra adds it only when a command line is run
	m.Root.DisableAutoGenTag = true
	plain(m.Root)
	m.Root.Long += "\n\n" + sections(m.Comment)
	date := m.Date.UTC()
	header := &doc.GenManHeader{Section: Section, Date: &date, Source: m.source(), Manual: "JoinMarket directory"}
	if err := doc.GenManTree(m.Root, header, pages); err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	if err := plainSwitches(pages); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "man5", m.Root.Name()+"-config.5"), m.configPage(), 0o644); err != nil {
		return fmt.Errorf("manual page of the configuration: %w", err)
	}
	return m.completions(dir)
}

func (m *Manual) source() string { return m.Root.Name() + " " + m.Version }

// completions writes the scripts under the names that each shell looks for.
func (m *Manual) completions(dir string) error {
	name := m.Root.Name()
	for _, c := range []struct {
		path  string
		write func(string) error
	}{
		{"bash/" + name, func(p string) error { return m.Root.GenBashCompletionFileV2(p, true) }},
		{"zsh/_" + name, func(p string) error { return m.Root.GenZshCompletionFile(p) }},
		{"fish/" + name + ".fish", func(p string) error { return m.Root.GenFishCompletionFile(p, true) }},
	} {
		path := filepath.Join(dir, c.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("completion: %w", err)
		}
		if err := c.write(path); err != nil {
			return fmt.Errorf("completion: %w", err)
		}
	}
	return nil
}

// configPage is the configuration file as it is: its comments are its manual.
func (m *Manual) configPage() []byte {
	name := m.Root.Name()
	var b strings.Builder
	fmt.Fprintf(&b, "%% \"%s-CONFIG\" \"5\" \"%s\" \"%s\" \"JoinMarket directory\"\n", strings.ToUpper(name), m.Date.UTC().Format("Jan 2006"), m.source())
	fmt.Fprintf(&b, "# NAME\n%s-config \\- configuration file of %s\n\n", name, name)
	fmt.Fprintf(&b, "# SYNOPSIS\n**/etc/%s/config.toml**\n\n", name)
	fmt.Fprintf(&b, "# DESCRIPTION\nEvery key with its default, unit and range:\n\n```\n%s\n```\n", strings.TrimSpace(m.Config))
	fmt.Fprintf(&b, "# SEE ALSO\n**%s(%s)**\n", name, Section)
	return md2man.Render([]byte(b.String()))
}

// plain turns texts that are wrapped and marked for a terminal into those that a page wraps and marks itself.
func plain(cmd *cobra.Command) {
	cmd.Long = escape(cmd.Long)
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			name, usage := pflag.UnquoteUsage(f)
			f.Usage = escape(strings.ReplaceAll(usage, "\n", " "))
			if f.Value.Type() == "string" && f.DefValue == "" {
				f.Value, f.DefValue = placeholder{f.Value}, strings.ToUpper(name)
			}
		})
	}
	for _, c := range cmd.Commands() {
		plain(c)
	}
}

// plainSwitches leaves out what the pages in dir say of the value of flags that are on or off: they are given without one.
func plainSwitches(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*."+Section))
	if err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	for _, name := range names {
		page, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, bytes.ReplaceAll(page, []byte(`\fP[=false]`), []byte(`\fP`)), 0o644)
		}
		if err != nil {
			return fmt.Errorf("manual pages: %w", err)
		}
	}
	return nil
}

// A placeholder is the value of a flag without a default: the page shows what it stands for, not "".
type placeholder struct{ pflag.Value }

// Type implements pflag.Value. Anything but "string" is shown without quotes.
func (placeholder) Type() string { return "placeholder" }

// escape keeps markdown's marks out of words such as <ADDRESS>. Indented lines are shown as they are; two blanks are an indent on
// a terminal, and none to markdown.
func escape(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "\t"), strings.HasPrefix(line, "    "):
		case strings.HasPrefix(line, "  "):
			lines[i] = "  " + line
		default:
			lines[i] = strings.NewReplacer("<", `\<`, "*", `\*`, "_", `\_`).Replace(line)
		}
	}
	return strings.Join(lines, "\n")
}

// sections returns a package comment from its first heading on, as markdown whose headings are those of a
// manual page.
func sections(group *ast.CommentGroup) string {
	parsed := new(comment.Parser).Parse(group.Text())
	for i, block := range parsed.Content {
		if _, ok := block.(*comment.Heading); ok {
			parsed.Content = parsed.Content[i:]
			break
		}
	}
	printer := &comment.Printer{HeadingLevel: 1, HeadingID: func(*comment.Heading) string { return "" }}
	lines := strings.Split(string(printer.Markdown(parsed)), "\n")
	for i, line := range lines {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			lines[i] = "# " + strings.ToUpper(title)
		}
	}
	return strings.Join(lines, "\n")
}
