package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSymptomsAreTextsOfTheProgram guards that an operator who searches the manual for what the log says finds it.
func TestSymptomsAreTextsOfTheProgram(t *testing.T) {
	_, troubleshooting, ok := strings.Cut(read(t, "docs/operator.md"), "## Troubleshooting")
	if !ok {
		t.Fatal("there is no section on troubleshooting")
	}
	var sources strings.Builder
	for _, dir := range []string{"cmd", "onion", "server"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			sources.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text := sources.String()
	count := 0
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(troubleshooting, -1) {
		for _, symptom := range found("`([^`]+)`", row[1]) {
			if strings.HasPrefix(symptom, "Tor: ") {
				symptom = "Tor: %d %%"
			}
			count++
			for _, part := range strings.Split(symptom, ": ") { // the parts of a wrapped error are in several places
				if !strings.Contains(text, part) {
					t.Errorf("the program never says %q", symptom)
				}
			}
		}
	}
	if count < 8 {
		t.Errorf("only %d symptoms were looked at", count)
	}
}

// TestTorTakesTheLinesOfTheDocuments guards the torrc of a Tor in front of the directory.
func TestTorTakesTheLinesOfTheDocuments(t *testing.T) {
	tor := os.Getenv("JM_TEST_TOR")
	if tor == "" {
		t.Skip("JM_TEST_TOR is not set: run make test")
	}
	count := 0
	eachDocument(t, func(t *testing.T, text string) {
		for _, block := range regexp.MustCompile(`(?m)(?:^ {4}HiddenService.*\n)+`).FindAllString(text, -1) {
			count++
			dir := t.TempDir()
			torrc := filepath.Join(dir, "torrc")
			block = strings.ReplaceAll(block, "/var/lib/tor/directory", filepath.Join(dir, "directory"))
			if err := os.WriteFile(torrc, []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tor, "--verify-config", "--hush", "--DataDirectory", dir, "-f", torrc, "--defaults-torrc", "/dev/null").CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s%s", err, block, out)
			}
		}
	})
	if count < 2 {
		t.Errorf("only %d blocks of a torrc were found", count)
	}
}

// TestLiveKeysOfTheManual guards the manual's list of what a reload changes, against the command's own.
func TestLiveKeysOfTheManual(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/operator.md"), "In force at once")
	section, _, ok := strings.Cut(section, ". If anything")
	if !ok {
		t.Fatal("there is no list of keys")
	}
	_, want, _ := strings.Cut(read(t, "cmd/jm-directory-server/main.go"), "SIGHUP reads the configuration anew")
	want, _, _ = strings.Cut(want, "are put in")
	for _, key := range []string{"network_aliases", "motd", "shutdown_timeout", "limits", "flushers", "heartbeat", "peers", "log.level", "log.format"} {
		if !strings.Contains(section, key) || !strings.Contains(want, key) {
			t.Errorf("%s is not in both lists", key)
		}
	}
}

// TestSampleScreenIsReal guards that the screen in the manual is one that the program shows.
func TestSampleScreenIsReal(t *testing.T) {
	var sample strings.Builder
	for line := range strings.Lines(read(t, "cmd/jm-directory-server/testdata/status/running_80x24.txt")) {
		if line != "\n" {
			line = "    " + line
		}
		sample.WriteString(line)
	}
	if !strings.Contains(read(t, "docs/operator.md"), sample.String()) {
		t.Errorf("the manual does not show\n%s", sample.String())
	}
}
