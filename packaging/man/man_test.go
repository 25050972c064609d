package man

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// toy is a small command line with what the real one has: a command with a hyphen, a wrapped usage, marks.
func toy() *cobra.Command {
	root := &cobra.Command{Use: "toy", Short: "A toy", Long: "Serves at <ADDRESS>.", Run: func(*cobra.Command, []string) {}}
	sub := &cobra.Command{Use: "check-it", Short: "Check it", Long: "Ends with\n\n  0  all is <well>\n  1  it is not\n\nas others do.", Run: func(*cobra.Command, []string) {}}
	sub.Flags().String("listen", "", "the `address` to\nlisten on")
	sub.Flags().Bool("quiet", false, "say nothing")
	root.AddCommand(sub, &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root
}

func manual(t *testing.T) *Manual {
	t.Helper()
	source := "/*\nToy is a toy.\n\n# Exit codes\n\n\t0  good\n\nThe end.\n*/\npackage main\n"
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return &Manual{
		Root: toy(), Comment: file.Doc, Config: "# The port.\nport = 5222 # _not_ *marked*\n",
		Version: "1.2.3", Date: time.Date(2026, 2, 1, 0, 0, 0, 0, time.FixedZone("east", 7200)),
	}
}

func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := manual(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPagesSayWhatTheCommandSays(t *testing.T) {
	dir := write(t)
	for path, texts := range map[string][]string{
		"man1/toy.1":          {`.TH "TOY" "1" "Jan 2026" "toy 1.2.3"`, "<ADDRESS>", ".SH EXIT CODES", "0  good", "The end.", "toy-check-it(1)"},
		"man1/toy-check-it.1": {`\fB--listen\fP=ADDRESS`, "the address to listen on", "\\fB--quiet\\fP\n\tsay nothing", ".EX\n0  all is <well>\n1  it is not\n.EE"},
		"man5/toy-config.5":   {"toy-config", "port = 5222 # _not_ *marked*"},
		"bash/toy":            {"complete", "toy"},
		"zsh/_toy":            {"#compdef toy"},
		"fish/toy.fish":       {"complete -c toy"},
	} {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, text := range texts {
			if !strings.Contains(string(b), text) {
				t.Errorf("%s lacks %q:\n%s", path, text, b)
			}
		}
	}
	if hidden, _ := filepath.Glob(filepath.Join(dir, "man1/*secret*")); len(hidden) > 0 {
		t.Errorf("a hidden command has a page: %q", hidden)
	}
}

// TestSameManualSameBytes guards reproducible packages.
func TestSameManualSameBytes(t *testing.T) {
	a, b := write(t), write(t)
	files := 0
	err := filepath.WalkDir(a, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		one, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		other, err := os.ReadFile(filepath.Join(b, strings.TrimPrefix(path, a)))
		if err == nil && !bytes.Equal(one, other) {
			t.Errorf("%s differs", path)
		}
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestDirectoryThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := manual(t).Write(file); err == nil || !strings.HasPrefix(err.Error(), "manual: ") {
		t.Errorf("got %v", err)
	}
}
