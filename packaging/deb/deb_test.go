// Package deb_test holds the parts of the Debian package against the unit and the program.
package deb_test

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"jm-directory-server/packaging/man"
)

const (
	unitFile   = "../systemd/jm-directory-server.service"
	scriptFile = "../../scripts/deb.sh"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func value(t *testing.T, unit, key string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit lacks %s=", key)
	}
	return m[1]
}

// TestUnitNamesWhatIsInstalled guards the executable and the manual page that the unit names.
func TestUnitNamesWhatIsInstalled(t *testing.T) {
	unit, script := read(t, unitFile), read(t, scriptFile)
	command, _, _ := strings.Cut(strings.ReplaceAll(value(t, unit, "ExecStart"), "/usr/local/bin/", "/usr/bin/"), " ")
	if !strings.Contains(script, `put 755 "$executable" `+strings.TrimPrefix(command, "/")+"\n") {
		t.Errorf("the package has no %s", command)
	}
	if page := "man:jm-directory-server(" + man.Section + ")"; !strings.Contains(value(t, unit, "Documentation"), page) {
		t.Errorf("the unit names %s, not %s", value(t, unit, "Documentation"), page)
	}
}

// TestPurgeDeletesWhatTheUnitMakes guards that no key is left behind by purge.
func TestPurgeDeletesWhatTheUnitMakes(t *testing.T) {
	unit, postrm := read(t, unitFile), read(t, "postrm")
	_, purge, found := strings.Cut(postrm, `"$1" = purge`)
	if !found {
		t.Fatal("postrm knows no purge")
	}
	state := value(t, unit, "StateDirectory")
	for _, path := range []string{"/var/lib/" + state, "/var/lib/private/" + state, "/etc/jm-directory-server"} {
		if !regexp.MustCompile(`(?m)^  rm -rf .*` + path + `( |$)`).MatchString(purge) {
			t.Errorf("purge leaves %s", path)
		}
		if before, _, _ := strings.Cut(postrm, `"$1" = purge`); strings.Contains(before, "rm ") {
			t.Error("something is deleted on remove")
		}
	}
}

// TestConfigurationOfThePackageChangesNothing guards that an installation without edits runs with the defaults.
func TestConfigurationOfThePackageChangesNothing(t *testing.T) {
	keys := map[string]any{}
	if _, err := toml.DecodeFile("config.toml", &keys); err != nil || len(keys) > 0 {
		t.Errorf("%v: it sets %v", err, keys)
	}
	// What it shows as examples must be right as well.
	text := strings.ReplaceAll(read(t, "config.toml"), "# network", "network")
	text = strings.ReplaceAll(text, "# motd", "motd")
	if _, err := toml.Decode(text, &keys); err != nil || len(keys) != 2 {
		t.Errorf("%v: the examples set %v", err, keys)
	}
}

// TestRulesAndDashboardArePackaged guards that who installs has what docs/operator.md tells to give to Prometheus and Grafana, at
// the place that it names.
func TestRulesAndDashboardArePackaged(t *testing.T) {
	script, release, manual := read(t, scriptFile), read(t, "../../scripts/release.sh"), read(t, "../../docs/operator.md")
	for _, file := range []string{"prometheus/jm-directory-server.rules.yml", "grafana/jm-directory-server.json"} {
		read(t, "../"+file)
		installed := "usr/share/jm-directory-server/" + file
		if !strings.Contains(script, "put 644 packaging/"+file+" "+installed+"\n") {
			t.Errorf("the package has no %s", installed)
		}
		if !strings.Contains(release, `-t "$root/`+path.Dir(file)+`" packaging/`+file+"\n") {
			t.Errorf("the archive has no %s", file)
		}
		if !strings.Contains(manual, "/"+installed) {
			t.Errorf("docs/operator.md does not say where %s is", file)
		}
	}
}

func TestMaintainerScriptsAreShell(t *testing.T) {
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if text := read(t, name); !strings.HasPrefix(text, "#!/bin/sh\n") || !strings.Contains(text, "\nset -e\n") {
			t.Errorf("%s does not stop at an error", name)
		}
	}
}

// TestPlaceholdersAreFilled guards that none of the control file is left in the package.
func TestPlaceholdersAreFilled(t *testing.T) {
	script := read(t, scriptFile)
	names := regexp.MustCompile(`@[A-Z]+@`).FindAllString(read(t, "control"), -1)
	if len(names) < 4 {
		t.Errorf("only %q", names)
	}
	for _, name := range names {
		if !strings.Contains(script, "s|"+name+"|") {
			t.Errorf("%s stays", name)
		}
	}
}
