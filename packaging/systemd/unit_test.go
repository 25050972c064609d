// Package systemd_test holds what the unit must be: hardened, and fit for a server with a Tor inside.
package systemd_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const unit = "jm-directory-server.service"

// worstScore is the exposure that "systemd-analyze security" may find, from 0 (none) to 10.
const worstScore = 1.5

// analyze runs systemd-analyze and returns what it prints.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("JM_REQUIRE_TOR") == "1" {
			t.Fatal("systemd-analyze is missing: run scripts/test-packages.sh")
		}
		t.Skip("systemd-analyze is missing: run make test for all tests")
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze: %v\n%s", err, out)
	}
	return string(out)
}

func TestExposureIsLow(t *testing.T) {
	out := analyze(t, "security", "--offline=yes", "--no-pager", unit)
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no score in %s", out)
	}
	if score, err := strconv.ParseFloat(m[1], 64); err != nil || score > worstScore {
		t.Errorf("exposure %s is above %v\n%s", m[1], worstScore, out)
	}
}

// TestDirectivesAreKnown guards against a misspelt directive, which systemd ignores with a warning.
func TestDirectivesAreKnown(t *testing.T) {
	analyze(t, "--version") // it is there
	// Its exit code says no more than that the program is not installed on this machine.
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		for _, bad := range []string{"Unknown key", "Failed to parse", "Invalid", "not absolute"} {
			if strings.Contains(line, unit) && strings.Contains(line, bad) {
				t.Error(line)
			}
		}
	}
}

// directives returns what the unit sets, in order.
func directives(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string][]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			set[key] = append(set[key], value)
		}
	}
	return set
}

func TestTheUnitLetsTheServerAndItsTorWork(t *testing.T) {
	set := directives(t)
	for key, why := range map[string]string{
		"ProcSubset":     "Tor sizes its queues by /proc/meminfo",
		"NoExecPaths":    "Tor may have to be executed from the runtime directory",
		"PrivateNetwork": "Tor needs the network",
		"IPAddressDeny":  "Tor needs the network",
		"MemoryHigh":     "a throttled directory stalls all its peers",
		"RootDirectory":  "the program would not be there",
	} {
		if _, found := set[key]; found {
			t.Errorf("%s is set, but %s", key, why)
		}
	}
	for key, want := range map[string]string{
		"Type":                     "notify",
		"NotifyAccess":             "main",
		"KillMode":                 "mixed", // Tor must outlive the flush at shutdown
		"Restart":                  "on-failure",
		"WatchdogSec":              "30s",
		"RestartPreventExitStatus": "2",
		"Environment":              "GOTRACEBACK=crash", // or panics would count as wrong configurations
		"LimitCORE":                "0",
		"ExecStart":                "/usr/bin/jm-directory-server run",
		"ExecReload":               "/bin/kill -HUP $MAINPID",
		"StateDirectory":           "jm-directory-server",
		"RuntimeDirectory":         "jm-directory-server",
		"MemoryDenyWriteExecute":   "yes",
	} {
		if got := set[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
	families := strings.Fields(strings.Join(set["RestrictAddressFamilies"], " "))
	for _, f := range []string{"AF_INET", "AF_INET6", "AF_UNIX"} {
		if !slices.Contains(families, f) {
			t.Errorf("no %s", f)
		}
	}
	// max_peers + max_handshakes + 100 of the defaults, for each of the two.
	if n, err := strconv.Atoi(strings.Join(set["LimitNOFILE"], "")); err != nil || n < 11100 {
		t.Errorf("LimitNOFILE=%v", set["LimitNOFILE"])
	}
}
