package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jm-directory-server/onion/tornet"
	"jm-directory-server/server/admin"
)

// TestServiceUnderSystemd installs the built binary on this machine, runs it as the unit says on a private Tor
// network, and takes it away again. It is for scripts/try-unit.sh, which runs it where nothing can be broken.
func TestServiceUnderSystemd(t *testing.T) {
	if os.Getenv("JM_UNDER_SYSTEMD") != "1" {
		t.Skip("run scripts/try-unit.sh: this test changes the machine")
	}
	binary := os.Getenv("JM_TEST_BINARY")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	n, err := tornet.Start(ctx, tornet.Options{Tor: tornet.Tor(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.WaitConsensus(ctx); err != nil {
		t.Fatal(err)
	}
	client, err := n.Client(ctx, "client")
	if err != nil {
		t.Fatal(err)
	}
	writeConfig := func(more string) {
		var torrc []string
		for _, line := range n.Torrc() {
			torrc = append(torrc, strconv.Quote(line))
		}
		text := fmt.Sprintf("%s[tor]\ntorrc = [\n%s\n]\n[log]\nlevel = \"debug\"\n", more, strings.Join(torrc, ",\n"))
		if err := replaceFile(configPath, strings.NewReader(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeConfig("")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(command(t, "journalctl", "--no-pager", "-u", unitName))
		}
	})

	if status := showUnit(t, "ActiveState"); status != "inactive" {
		t.Fatalf("the service is %s before it is installed", status)
	}
	// A key that root made by hand before the service was there: systemd takes it over.
	made := command(t, binary, "key", "new")
	out := command(t, binary, "install")
	m := regexp.MustCompile(`The directory runs at (\S+)\.onion`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no address in %s", out)
	}
	host := m[1] + ".onion"
	if !strings.Contains(made, host) {
		t.Errorf("the key of %s was not taken over: %s", made, host)
	}
	log := func() string { return command(t, "journalctl", "--no-pager", "-o", "cat", "-u", unitName) }

	t.Run("ReadyMeansThatClientsCanFindIt", func(t *testing.T) {
		if !strings.Contains(log(), "directory is up: its descriptor is published") {
			t.Error("ready before the descriptor was uploaded")
		}
		exchangeOfAll(ctx, t, client, host, 5)
	})
	t.Run("TorAndServerRunAsTheUnitSays", func(t *testing.T) {
		pid := mainPID(t)
		tor, guard, dialer := torGuardAndDialer(t, pid)
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", tor)); err != nil || !strings.HasPrefix(exe, "/memfd:tor") {
			t.Errorf("Tor is %s, not a memory file: %v", exe, err)
		}
		for _, p := range []int{pid, tor, guard, dialer} {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{`Seccomp:\s2`, `NoNewPrivs:\s1`, `CapBnd:\s0+\n`, `CapEff:\s0+\n`, `Uid:\s[1-9]`} {
				if !regexp.MustCompile(want).Match(status) {
					t.Errorf("process %d: no %s in\n%s", p, want, status)
				}
			}
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p))
			m := regexp.MustCompile(`Max open files +(\d+)`).FindSubmatch(limits)
			if err != nil || m == nil {
				t.Fatalf("%v in %s", err, limits)
			}
			// systemd gives less than LimitNOFILE= where it may not give that, as in a container.
			if files, err := strconv.Atoi(string(m[1])); err != nil || files < 11100 {
				t.Errorf("process %d: %s files are too few for the default max_peers", p, m[1])
			}
		}
		var r admin.Report
		if err := json.Unmarshal([]byte(command(t, "jm-directory-server", "status", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Isolation) < 2 || r.Process.FDs == 0 || r.Tor == nil || r.Tor.RSS == 0 {
			t.Errorf("isolation %q, process %+v, Tor %+v", r.Isolation, r.Process, r.Tor)
		}
		// What Tor says of a private network is no harm.
		expected := regexp.MustCompile(`DirAuthority|TestingTorNetwork|No available nodes`)
		bad := regexp.MustCompile(`level=(error|warning)|tor_level=warn|not permitted|denied`)
		for line := range strings.Lines(log()) {
			if bad.MatchString(line) && !expected.MatchString(line) {
				t.Errorf("in the log: %s", line)
			}
		}
	})
	t.Run("ReloadIsWholeAndTold", func(t *testing.T) {
		writeConfig("motd = \"new\"\n")
		command(t, "systemctl", "reload", unitName)
		awaitUnit(t, "StatusText", "configuration is read anew and in force")
		writeConfig("motto = \"new\"\n")
		command(t, "systemctl", "reload", unitName)
		awaitUnit(t, "StatusText", `configuration is not reloaded: /etc/jm-directory-server/config.toml:1: motto: unknown key; did you mean "motd"?`)
		awaitUnit(t, "ActiveState", "active")
		writeConfig("")
	})
	t.Run("InstallingAgainInterruptsNothing", func(t *testing.T) {
		before := mainPID(t)
		command(t, binary, "install")
		if now := mainPID(t); now != before {
			t.Error("the service was started anew")
		}
	})
	t.Run("RestartKeepsTheAddress", func(t *testing.T) {
		command(t, "systemctl", "restart", unitName)
		exchangeOfAll(ctx, t, client, host, 2)
	})
	t.Run("AServerThatDoesNotMoveIsStartedAnew", func(t *testing.T) {
		dropIn := filepath.Join(dropInPath, "fast.conf")
		if err := replaceFile(dropIn, strings.NewReader("[Service]\nWatchdogSec=3s\nRestartSec=1s\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		command(t, "systemctl", "daemon-reload")
		command(t, "systemctl", "restart", unitName)
		before := mainPID(t)
		time.Sleep(7 * time.Second) // more than twice the watchdog's patience
		if now := mainPID(t); now != before {
			t.Fatalf("the watchdog ended a server that moves\n%s", log())
		}
		syscall.Kill(before, syscall.SIGSTOP)
		awaitUnit(t, "NRestarts", "1")
		awaitUnit(t, "ActiveState", "active")
		if now := mainPID(t); now == before || now == 0 {
			t.Error("it was not started anew")
		}
	})
	t.Run("StopIsInOrder", func(t *testing.T) {
		command(t, "systemctl", "stop", unitName)
		if got := showUnit(t, "Result"); got != "success" {
			t.Errorf("result %s", got)
		}
	})
	t.Run("AWrongConfigurationIsNotRetried", func(t *testing.T) {
		writeConfig("motto = \"x\"\n")
		exec.Command("systemctl", "start", unitName).Run() // fails, by which is looked at
		awaitUnit(t, "ActiveState", "failed")
		if got := showUnit(t, "ExecMainStatus"); got != "2" {
			t.Errorf("exit code %s, want 2", got)
		}
		writeConfig("")
	})
	t.Run("BehindAnotherTor", func(t *testing.T) {
		manual, err := os.ReadFile("../../docs/operator.md")
		if err != nil {
			t.Fatal(err)
		}
		config := regexp.MustCompile("(?s)```toml\n(location = .*?)```").FindSubmatch(manual)
		dropIn := regexp.MustCompile(`(?s)    \[Service\]\n    RuntimeDirectoryMode=.*?\n\n`).Find(manual)
		if config == nil || dropIn == nil {
			t.Fatal("the manual has changed")
		}
		for path, text := range map[string]string{configPath: string(config[1]), filepath.Join(dropInPath, "other.conf"): string(dropIn)} {
			if err := replaceFile(path, strings.NewReader(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		command(t, "systemctl", "daemon-reload")
		command(t, "systemctl", "start", unitName)
		// The Tor of the manual is another user.
		reach := exec.Command(os.Args[0], "-test.run=^TestReachSocketAsAnotherUser$", "-test.v")
		reach.Env = append(os.Environ(), "JM_REACH=/run/jm-directory-server/directory.sock")
		reach.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		reach.Dir = "/"
		if out, err := reach.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if links := command(t, "nsenter", "-t", strconv.Itoa(mainPID(t)), "-n", "ip", "-o", "link"); strings.Count(links, "\n") != 1 {
			t.Errorf("the service has a network: %s", links)
		}
		command(t, "systemctl", "stop", unitName)
		writeConfig("")
	})
	t.Run("UninstallKeepsTheKey", func(t *testing.T) {
		command(t, binary, "uninstall")
		if _, err := os.Stat(filepath.Join(statePath, "onion", "hs_ed25519_secret_key")); err != nil {
			t.Error(err)
		}
		if got := showUnit(t, "LoadState"); got != "not-found" {
			t.Errorf("the unit is %s", got)
		}
	})
	t.Run("PurgeLeavesNothing", func(t *testing.T) {
		purge := exec.Command(binary, "uninstall", "--purge")
		purge.Stdin = strings.NewReader("yes\n" + host + "\n")
		if out, err := purge.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, path := range []string{programPath, unitPath, dropInPath, filepath.Dir(configPath), statePath, privatePath} {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s is still there", path)
			}
		}
	})
}

// TestReachSocketAsAnotherUser is a part of TestServiceUnderSystemd that runs as another user, in a process of its
// own.
func TestReachSocketAsAnotherUser(t *testing.T) {
	path := os.Getenv("JM_REACH")
	if path == "" {
		t.Skip("TestServiceUnderSystemd runs it")
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// command runs a command that has to succeed and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func showUnit(t *testing.T, property string) string {
	t.Helper()
	return strings.TrimSpace(command(t, "systemctl", "show", "--value", "-p", property, unitName))
}

func awaitUnit(t *testing.T, property, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = showUnit(t, property); got == want {
			return
		}
	}
	t.Fatalf("%s is %q, want %q", property, got, want)
}

func mainPID(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(showUnit(t, "MainPID"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
