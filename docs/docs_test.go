// Package docs_test holds what the documents say against what there is.
package docs_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"jm-directory-server/store"
)

const root = ".."

// documents are all that are checked, by their path from the root.
var documents = []string{
	"README.md", "CHANGELOG.md", "SECURITY.md", "docs/architecture.md", "docs/dependencies.md", "docs/keys.md", "docs/metrics.md", "docs/operator.md", "docs/release.md", "docs/reliability.md", "docs/security.md",
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eachDocument calls f with every document.
func eachDocument(t *testing.T, f func(t *testing.T, text string)) {
	t.Helper()
	for _, path := range documents {
		t.Run(path, func(t *testing.T) { f(t, read(t, path)) })
	}
}

// programs builds the programs once and returns their directory.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, "./cmd/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// runs returns what a program prints on both outputs, and its exit code. Env are its only variables.
func runs(t *testing.T, env []string, program string, args ...string) (string, int) {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, program), args...)
	cmd.Env = append(env, "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// found returns the first group of every match, sorted and without repetition.
func found(expression, text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestMakeTargetsExist(t *testing.T) {
	targets := found(`(?m)^([a-z]+):`, read(t, "Makefile"))
	named := 0
	eachDocument(t, func(t *testing.T, text string) {
		for _, target := range found("(?m)(?:`|^    )make ([a-z]+)", text) {
			named++
			if !slices.Contains(targets, target) {
				t.Errorf("there is no target %s", target)
			}
		}
	})
	if named < 5 {
		t.Errorf("only %d targets are named", named)
	}
}

// TestMissingGoIsSaidBeforeTorIsBuilt guards that nobody waits minutes to hear it.
func TestMissingGoIsSaidBeforeTorIsBuilt(t *testing.T) {
	cmd := exec.Command("make", "-n", "build", "GO=no-such-go")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	missing, tor := strings.Index(string(out), "Go is missing"), strings.Index(string(out), "scripts/build-tor.sh")
	if missing < 0 || tor < missing {
		t.Errorf("the recipe is\n%s", out)
	}
}

func TestFlagsExist(t *testing.T) {
	help := helpOf(t, "jm-directory-server") + first(runs(t, nil, "jm-demo", "--help"))
	flags := found(`(?m)^ +(?:-h, )?--?([a-z][a-z-]*) `, help)
	eachDocument(t, func(t *testing.T, text string) {
		text = foreign.ReplaceAllString(text, "")
		for _, flag := range found(`--([a-z][a-z-]+)`, text) {
			if !slices.Contains(flags, flag) {
				t.Errorf("there is no flag --%s in %q", flag, flags)
			}
		}
	})
	readme := read(t, "README.md")
	for _, flag := range found(`(?m)^ +--([a-z-]+) `, first(runs(t, nil, "jm-directory-server", "run", "--help"))) {
		if !strings.Contains(readme, "`--"+flag) {
			t.Errorf("the README does not name --%s", flag)
		}
	}
}

func first(out string, _ int) string { return out }

// foreign is a line that runs a program of somebody else, whose flags are its own.
var foreign = regexp.MustCompile(`(?m)^ {4}.*\b(docker|systemctl|apt|curl) .*$`)

// helpOf returns the help of a command and of all below it.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	out, code := runs(t, nil, args[0], append(args[1:], "--help")...)
	if code != 0 {
		t.Fatalf("%q: exit code %d", args, code)
	}
	_, commands, _ := strings.Cut(out, "Available Commands:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	all := out
	for _, name := range found(`(?m)^  ([a-z-]+) `, commands) {
		all += helpOf(t, append(slices.Clone(args), name)...)
	}
	return all
}

func TestKeysExist(t *testing.T) {
	out, code := runs(t, nil, "jm-directory-server", "check-config", "--tor", "off")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	tables := map[string]any{}
	meta, err := toml.Decode(out, &tables)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, key := range meta.Keys() {
		keys[key.String()] = true
	}
	named := 0
	eachDocument(t, func(t *testing.T, text string) {
		for _, key := range found("`([a-z_]+\\.[a-z_]+)`", text) {
			table, _, _ := strings.Cut(key, ".")
			if _, ok := tables[table].(map[string]any); !ok {
				continue // a file, or a name in the code
			}
			named++
			if !keys[key] {
				t.Errorf("there is no key %s", key)
			}
		}
	})
	if named < 5 {
		t.Errorf("only %d keys are named", named)
	}
}

func TestSamplesOfTheConfigurationAreGood(t *testing.T) {
	var samples [][]string
	for _, path := range documents {
		samples = append(samples, regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(read(t, path), -1)...)
	}
	if len(samples) < 3 {
		t.Errorf("only %d samples", len(samples))
	}
	for _, s := range samples {
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte(s[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := runs(t, nil, "jm-directory-server", "check-config", "--config", file); code != 0 {
			t.Errorf("exit code %d: %s\n%s", code, out, s[1])
		}
	}
}

func TestVariablesExist(t *testing.T) {
	names := found("(?m)^\\| `([A-Z_]+)` \\|", read(t, "README.md"))
	if len(names) < 5 {
		t.Errorf("only %d variables are named", len(names))
	}
	for _, name := range names {
		out, code := runs(t, []string{name + "=no such value"}, "jm-directory-server", "check-config", "--tor", "off")
		if code != 2 || !strings.Contains(out, name) {
			t.Errorf("%s: a senseless value gives exit code %d: %s", name, code, out)
		}
	}
}

// TestPathsExist guards links, and paths of the repository in code marks.
func TestPathsExist(t *testing.T) {
	for _, document := range documents {
		text := read(t, document)
		var paths []string
		for _, link := range found(`\]\(([^):]+)\)`, text) {
			file, anchor, _ := strings.Cut(link, "#")
			file = filepath.Join(filepath.Dir(document), file)
			if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: %s has no heading #%s", document, file, anchor)
			}
			paths = append(paths, file)
		}
		// "onion" is a directory of the state directory as well; both exist.
		paths = append(paths, found("`((?:cmd|docs|onion|packaging|scripts|server)(?:/[A-Za-z0-9_./-]+)?)`", text)...)
		for _, path := range paths {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// TestStoreHasItsName guards that an operator who saves files by hand saves the right one.
func TestStoreHasItsName(t *testing.T) {
	eachDocument(t, func(t *testing.T, text string) {
		for _, file := range found("`([a-z_]+[.]db)\\b", text) {
			if file != store.FileName {
				t.Errorf("the store is %s, not %s", store.FileName, file)
			}
		}
	})
}

// anchors returns what the headings of a document are linked by.
func anchors(text string) []string {
	var all []string
	for _, heading := range found(`(?m)^#+ (.*)$`, text) {
		heading = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading), "")
		all = append(all, strings.ReplaceAll(heading, " ", "-"))
	}
	return all
}

// TestNamedTestsExist guards the tables that say which test shows something.
func TestNamedTestsExist(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"server/*_test.go", "server/wire/*_test.go", "cmd/*/*_test.go", "onion/*_test.go", "store/*_test.go", "isolation/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(b)
		}
	}
	named := 0
	eachDocument(t, func(t *testing.T, text string) {
		for _, name := range found("`(Test[A-Za-z]+)`", text) {
			named++
			if !strings.Contains(code.String(), "\nfunc "+name+"(") {
				t.Errorf("there is no %s", name)
			}
		}
	})
	if named < 20 {
		t.Errorf("only %d tests are named", named)
	}
}

// TestEveryAttackIsExplained guards that docs/security.md says of each attack what is done about it, and has its figures.
func TestEveryAttackIsExplained(t *testing.T) {
	text := read(t, "docs/security.md")
	explained, figures, ok := strings.Cut(text, "## Figures")
	if !ok {
		t.Fatal("no figures")
	}
	for _, name := range found("\\{name: \"([a-z-]+)\"", read(t, "cmd/jm-attack/nicks.go")+read(t, "cmd/jm-attack/messages.go")+
		read(t, "cmd/jm-attack/lines.go")+read(t, "cmd/jm-attack/connections.go")) {
		if !strings.Contains(explained, "`"+name+"`") || !strings.Contains(figures, "| `"+name+"` |") {
			t.Errorf("%s is not explained, or has no figures", name)
		}
	}
	for _, seconds := range found("duration\", ([0-9]+)\\*time.Second", read(t, "cmd/jm-attack/main.go")) {
		if !strings.Contains(figures, "Each attack had "+seconds+" seconds") {
			t.Errorf("an attack goes on for %s seconds, and the document says otherwise", seconds)
		}
	}
}

func TestPackagesAreAllNamed(t *testing.T) {
	text := read(t, "docs/architecture.md")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(path, d) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		name, err := filepath.Rel(root, filepath.Dir(path))
		if name != "." && !strings.Contains(text, "\n| `"+name+"` |") {
			t.Errorf("%s is not in the table of packages", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// skipped says that a directory holds no code of ours.
func skipped(path string, d fs.DirEntry) bool {
	return path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata")
}

// TestDependenciesAreListed guards that docs/dependencies.md has exactly the modules that are imported or used
// as tools, with the versions of go.mod.
func TestDependenciesAreListed(t *testing.T) {
	listed := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v[^ ]+) \\| [^|]+ \\| [^ |]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		listed[m[1]] = m[2]
	}
	if diff := cmp.Diff(direct(t), listed); diff != "" {
		t.Errorf("go.mod (-) and docs/dependencies.md (+):\n%s", diff)
	}
}

// direct returns the versions of the modules that go.mod requires for imports and tools of this one, rather than for
// other modules.
func direct(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
		Tool    []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	used := imports(t)
	for _, tool := range mod.Tool {
		used[tool.Path] = true
	}
	versions := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(used)) {
		// Of nested modules the longest path that fits is the one.
		best, version := "", ""
		for _, r := range mod.Require {
			if (path == r.Path || strings.HasPrefix(path, r.Path+"/")) && len(r.Path) > len(best) {
				best, version = r.Path, r.Version
			}
		}
		if best != "" {
			versions[best] = version
		}
	}
	return versions
}

// imports returns what the files of this module import, under any build tag, tests included.
func imports(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(path, d) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			all[name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
