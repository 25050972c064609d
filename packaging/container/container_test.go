// Package container_test holds the files for containers against each other and against the program.
package container_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// group returns the first group of the only match.
func group(t *testing.T, expression, text string) string {
	t.Helper()
	all := regexp.MustCompile(expression).FindAllStringSubmatch(text, -1)
	if len(all) != 1 {
		t.Fatalf("%d matches of %s", len(all), expression)
	}
	return all[0][1]
}

// block returns the lines below a name of compose.yaml that are indented deeper than it.
func block(t *testing.T, text, name string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "\n"+name+":\n")
	if !found {
		t.Fatalf("there is no %s", name)
	}
	indent := len(name) - len(strings.TrimLeft(name, " "))
	var lines []string
	for line := range strings.Lines(after) {
		if strings.TrimSpace(line) != "" && len(line)-len(strings.TrimLeft(line, " ")) <= indent {
			break
		}
		lines = append(lines, line)
	}
	return "\n" + strings.Join(lines, "")
}

func TestConfigurationOfTheDirectoryIsGood(t *testing.T) {
	program := filepath.Join(t.TempDir(), "jm-directory-server")
	build := exec.Command("go", "build", "-o", program, "./cmd/jm-directory-server")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	check := exec.Command(program, "check-config", "--config", "directory.toml")
	check.Env = []string{"STATE_DIRECTORY=" + t.TempDir(), "NETWORK=", "MAX_PEERS=", "LOG_LEVEL="}
	out, err := check.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nallow_public = true") {
		t.Errorf("check-config: %v\n%s", err, out)
	}
}

func TestTorTakesItsConfiguration(t *testing.T) {
	tor := os.Getenv("JM_TEST_TOR")
	if tor == "" {
		if os.Getenv("JM_REQUIRE_TOR") != "" {
			t.Fatal("JM_TEST_TOR is not set")
		}
		t.Skip("JM_TEST_TOR is not set")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	torrc := filepath.Join(dir, "torrc")
	text := strings.ReplaceAll(read(t, "torrc"), "/var/lib/tor", dir)
	if err := os.WriteFile(torrc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tor, "--verify-config", "--defaults-torrc", os.DevNull, "-f", torrc).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Configuration was valid") {
		t.Errorf("tor --verify-config: %v\n%s", err, out)
	}
}

// TestTorFindsTheDirectory guards that Tor connects to where the directory listens, and that both agree on PROXY
// lines.
func TestTorFindsTheDirectory(t *testing.T) {
	compose, torrc := read(t, "compose.yaml"), read(t, "torrc")
	var config struct {
		Listen struct {
			Address       string
			ProxyProtocol bool `toml:"proxy_protocol"`
		}
	}
	if _, err := toml.DecodeFile("directory.toml", &config); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(config.Listen.Address, ":")
	address := group(t, `ipv4_address: (\S+)`, block(t, compose, "  directory"))
	if target := group(t, `(?m)^HiddenServicePort \d+ (\S+)$`, torrc); target != address+":"+port {
		t.Errorf("Tor connects to %s, the directory listens on %s:%s", target, address, port)
	}
	if exports := strings.Contains(torrc, "\nHiddenServiceExportCircuitID haproxy\n"); exports != config.Listen.ProxyProtocol {
		t.Errorf("circuits exported: %v, expected: %v", exports, config.Listen.ProxyProtocol)
	}
}

// TestDirectoryBehindATorHasNoWayOut guards what the second container is for.
func TestDirectoryBehindATorHasNoWayOut(t *testing.T) {
	compose := read(t, "compose.yaml")
	networks := block(t, block(t, compose, "  directory"), "    networks")
	if names := regexp.MustCompile(`(?m)^ {6}(\w+):`).FindAllString(networks, -1); len(names) != 1 || names[0] != "      inside:" {
		t.Errorf("the directory is on the networks %q", names)
	}
	if !strings.Contains(block(t, block(t, compose, "networks"), "  inside"), "\n    internal: true\n") {
		t.Error("the network of the directory has a way out")
	}
}

func TestNamedFilesExist(t *testing.T) {
	files := []string{}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([a-z]\S*) `).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		files = append(files, filepath.Join(root, m[1]))
	}
	compose := read(t, "compose.yaml")
	for _, m := range regexp.MustCompile(`(?m)^ +- \./([^:]+):`).FindAllStringSubmatch(compose, -1) {
		files = append(files, m[1])
	}
	files = append(files, filepath.Join(root, group(t, `dockerfile: (\S+)`, compose)))
	if len(files) != 4 {
		t.Errorf("%q are named", files)
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

// TestTargetsAreStages guards that compose.yaml builds what the Dockerfile has, the program being the default.
func TestTargetsAreStages(t *testing.T) {
	stages := regexp.MustCompile(`(?m)^FROM scratch AS (\w+)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	if len(stages) != 2 || stages[1][1] != "directory" {
		t.Fatalf("stages %q", stages)
	}
	for _, target := range regexp.MustCompile(`target: (\w+)`).FindAllStringSubmatch(read(t, "compose.yaml"), -1) {
		if target[1] != stages[0][1] && target[1] != stages[1][1] {
			t.Errorf("there is no stage %s", target[1])
		}
	}
}
