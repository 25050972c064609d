package server

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsPointOneWay guards the direction cmd → server, onion, store → server/wire, isolation: who knows whom is what
// keeps Tor out of the directory, and the directory out of Tor. Tests are not bound by it.
func TestImportsPointOneWay(t *testing.T) {
	const module = "jm-directory-server"
	// What the packages below a folder may import of this module; the longest folder counts.
	may := map[string][]string{
		"":             nil, // the example configuration
		"docs":         nil, // tests of the documents
		"packaging":    nil, // generators and tests of what is packaged
		"server/wire":  {"server/wire"},
		"server":       {"server"},
		"isolation":    {"isolation"},
		"onion":        {"onion", "isolation"},
		"store":        {"store"},
		"cmd":          {"", "server", "onion", "store", "isolation", "cmd/terminal"},
		"cmd/terminal": {"cmd/terminal"},
	}
	below := func(pkg, folder string) bool {
		return pkg == folder || folder != "" && strings.HasPrefix(pkg, folder+"/")
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(names[0], module), "/")
		folder := "?"
		for f := range may {
			if below(pkg, f) && (folder == "?" || len(f) > len(folder)) {
				folder = f
			}
		}
		if folder == "?" {
			t.Errorf("package %s is in a folder without a rule", pkg)
			continue
		}
		seen++
	imports:
		for _, name := range names[1:] {
			rest, own := strings.CutPrefix(name, module)
			if !own || rest != "" && rest[0] != '/' {
				continue
			}
			rest = strings.TrimPrefix(rest, "/")
			for _, allowed := range may[folder] {
				if below(rest, allowed) {
					continue imports
				}
			}
			t.Errorf("%s imports %s", names[0], name)
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages were looked at", seen)
	}
}
