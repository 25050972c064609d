package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/cmd/terminal"
	"jm-directory-server/isolation"
	"jm-directory-server/onion"
	"jm-directory-server/server/admin"
)

// verdicts are those of a check.
func (d *doctor) verdicts(check string) (vs []verdict) {
	for _, f := range d.findings {
		if f.Check == check {
			vs = append(vs, f.Verdict)
		}
	}
	return vs
}

func (d *doctor) text() string {
	var b bytes.Buffer
	d.print(&b, terminal.HelpWidth, false) // a buffer takes everything
	return b.String()
}

// testDoctor is a doctor with the default configuration and a state directory of its own.
func testDoctor(t *testing.T) *doctor {
	e := &effective{Config: DefaultConfig()}
	e.StateDir = filepath.Join(t.TempDir(), "state")
	return &doctor{effective: e, now: time.Now()}
}

// wantFinding wants a finding with this verdict and text.
func wantFinding(t *testing.T, d *doctor, check string, v verdict, text string) {
	t.Helper()
	for _, f := range d.findings {
		if f.Check == check && f.Verdict == v && strings.Contains(f.Text, text) {
			if v != verdictOK && f.Do == "" && check != "server" {
				t.Errorf("%s: %q does not say what to do", check, f.Text)
			}
			return
		}
	}
	t.Errorf("no %s of %s with %q in:\n%s", v, check, text, d.text())
}

func TestDoctorJudgesTheKey(t *testing.T) {
	d := testDoctor(t)
	d.checkKey()
	wantFinding(t, d, "onion key", verdictOK, "none yet")
	if _, err := onion.CreateKey(onion.KeyDir(d.StateDir)); err != nil {
		t.Fatal(err)
	}
	d.checkKey()
	wantFinding(t, d, "onion key", verdictOK, "is good")
	secret := filepath.Join(onion.KeyDir(d.StateDir), "hs_ed25519_secret_key")
	if err := os.WriteFile(secret, []byte("nothing like a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.checkKey()
	wantFinding(t, d, "onion key", verdictFail, "")
	d.Tor.Ephemeral = true
	d.checkKey()
	wantFinding(t, d, "onion key", verdictWarn, "throw-away")
}

func TestDoctorJudgesTheStateDirectory(t *testing.T) {
	d := testDoctor(t)
	d.checkStateDir()
	wantFinding(t, d, "state directory", verdictOK, "makes it")
	if err := os.MkdirAll(d.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.checkStateDir()
	wantFinding(t, d, "state directory", verdictOK, "mode 0700")
	if err := os.Chmod(d.StateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.checkStateDir()
	wantFinding(t, d, "state directory", verdictWarn, "entered by others")
	d.StateDir = filepath.Join(d.StateDir, "file")
	if err := os.WriteFile(d.StateDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.checkStateDir()
	wantFinding(t, d, "state directory", verdictFail, "not a directory")
}

func TestDoctorTellsOfADamagedStoreAndOfThosePutAside(t *testing.T) {
	d := testDoctor(t)
	if err := os.MkdirAll(d.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.checkStore()
	wantFinding(t, d, "store", verdictOK, "none yet")
	path := filepath.Join(d.StateDir, "directory.db")
	for _, name := range []string{path, path + ".corrupt-20260101T000000Z"} {
		if err := os.WriteFile(name, bytes.Repeat([]byte("no store "), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.checkStore()
	wantFinding(t, d, "store", verdictWarn, "damaged")
	wantFinding(t, d, "store", verdictWarn, "1 damaged file put aside: ")
}

func TestDoctorJudgesTorByVersionAndModules(t *testing.T) {
	d := testDoctor(t)
	d.Tor.Mode, d.Tor.Path = "system", "/nonexistent/tor"
	d.checkTor(t.Context())
	wantFinding(t, d, "tor", verdictFail, "tor")
	d = testDoctor(t)
	d.Tor.Mode = "off"
	d.checkTor(t.Context())
	wantFinding(t, d, "tor", verdictWarn, "location is not set")
	d = testDoctor(t)
	d.Tor.Mode, d.Tor.Path = "system", filepath.Join(t.TempDir(), "tor")
	script := "#!/bin/sh\n[ $1 = --version ] && echo 'Tor version 0.4.8.9.' || echo 'pow: no'\n"
	if err := os.WriteFile(d.Tor.Path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	d.checkTor(t.Context())
	wantFinding(t, d, "tor", verdictWarn, "FlowCtrl=1")
	wantFinding(t, d, "tor", verdictWarn, "no proof-of-work module")
}

func TestDoctorComparesLimitsWithTheConfiguration(t *testing.T) {
	d := testDoctor(t)
	d.Limits.MaxPeers = 1
	d.Limits.MaxHandshakes = 1
	d.checkFiles()
	d.checkMemory()
	wantFinding(t, d, "open files", verdictOK, "needed")
	wantFinding(t, d, "memory", verdictOK, "available")
	d = testDoctor(t)
	d.Limits.MaxPeers = 1 << 40
	d.checkFiles()
	d.checkMemory()
	wantFinding(t, d, "open files", verdictWarn, "needs")
	wantFinding(t, d, "memory", verdictWarn, "need about")
}

func TestDoctorJudgesTheIsolation(t *testing.T) {
	whole := verdictOK
	if len(isolation.Probe().Missing()) > 0 {
		whole = verdictWarn
	}
	for mode, want := range map[string]verdict{isolationAuto: whole, isolationOff: verdictWarn} {
		d := testDoctor(t)
		d.Isolation = mode
		d.checkIsolation()
		wantFinding(t, d, "isolation", want, "restrict")
	}
}

func TestDoctorJudgesTheClock(t *testing.T) {
	d := testDoctor(t)
	d.checkClock()
	if got := d.verdicts("clock"); len(got) != 1 || got[0] == verdictFail {
		t.Errorf("a clock that is right: %v", got)
	}
	d.now = time.Unix(0, 0)
	d.checkClock()
	wantFinding(t, d, "clock", verdictFail, "1970")
}

func TestDoctorJudgesTheService(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "unit")
	if err := os.WriteFile(unit, []byte(jmdirectoryserver.SystemdUnit), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, []byte("[Service]\nExecStart=/usr/bin/jm-directory-server run\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		state map[string]string
		v     verdict
		text  string
	}{
		{map[string]string{"LoadState": "not-found"}, verdictOK, "not installed"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "FragmentPath": unit}, verdictOK, "is active"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "active", "FragmentPath": old}, verdictWarn, "not the one of this version"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "failed", "FragmentPath": unit}, verdictFail, "is failed"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "activating", "FragmentPath": unit}, verdictWarn, "is starting"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "active", "NRestarts": "7", "FragmentPath": unit}, verdictWarn, "was started anew 7 times"},
		{map[string]string{"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled", "FragmentPath": unit}, verdictWarn, "does not start with the machine"},
	} {
		d := testDoctor(t)
		d.judgeService(tt.state)
		wantFinding(t, d, "service", tt.v, tt.text)
	}
	d := testDoctor(t)
	d.judgeService(map[string]string{"LoadState": "loaded", "ActiveState": "active", "FragmentPath": unit})
	if d.count(verdictOK) != len(d.findings) {
		t.Errorf("a service that is as it should be:\n%s", d.text())
	}
	d.judgeService(map[string]string{"LoadState": "loaded", "ActiveState": "active", "NRestarts": "1", "FragmentPath": unit})
	if got := d.findings[len(d.findings)-1].Text; got != "was started anew 1 time" {
		t.Errorf("said %q", got)
	}
}

func TestDoctorJudgesTheRunningServer(t *testing.T) {
	good := func() *admin.Report {
		now := time.Now()
		return &admin.Report{Version: version, Network: "mainnet", ServerStatus: admin.StatusRunning, MaxPeers: 10, Time: now,
			Tor:   &admin.Tor{Published: true, Bootstrap: 100, LastUpload: now.Add(-time.Minute)},
			Check: &admin.Check{Enabled: true, At: now, OK: true}}
	}
	d := testDoctor(t)
	d.judgeServer(good())
	if d.count(verdictOK) != len(d.findings) {
		t.Errorf("a server that is well:\n%s", d.text())
	}
	for _, tt := range []struct {
		check  string
		v      verdict
		text   string
		change func(*admin.Report)
	}{
		{"onion", verdictFail, "at 5 %", func(r *admin.Report) { r.Tor.Published, r.Tor.Bootstrap = false, 5 }},
		{"onion", verdictFail, "no directory has stored", func(r *admin.Report) { r.Tor.Published = false }},
		{"onion", verdictWarn, "lacks proof of work", func(r *admin.Report) { r.Tor.Missing = []string{"proof of work"} }},
		{"self-check", verdictFail, "fails: dial", func(r *admin.Report) { r.Check.OK, r.Check.Reason = false, "dial" }},
		{"self-check", verdictWarn, "switched off", func(r *admin.Report) { r.Check.Enabled = false }},
		{"server", verdictWarn, "serves regtest", func(r *admin.Report) { r.Network = "regtest" }},
		{"server", verdictWarn, "this file is", func(r *admin.Report) { r.Version = "another" }},
		{"server", verdictWarn, "raise limits", func(r *admin.Report) { r.Advice = []string{"raise limits."} }},
		{"server", verdictFail, "files open", func(r *admin.Report) { r.Process.MaxFDs = 3 }},
	} {
		d, r := testDoctor(t), good()
		tt.change(r)
		d.judgeServer(r)
		wantFinding(t, d, tt.check, tt.v, tt.text)
	}
}

func TestDoctorsFindingsFitATerminalAndAreJSONWhenAsked(t *testing.T) {
	d := testDoctor(t)
	d.fail("self-check", strings.Repeat("do this and that ", 10), "it is %s", strings.Repeat("very wrong, ", 20))
	for _, columns := range []int{60, 80, 132} {
		var b bytes.Buffer
		if err := d.print(&b, columns, false); err != nil {
			t.Fatal(err)
		}
		widest := 0
		for line := range strings.Lines(b.String()) {
			widest = max(widest, terminal.Width(strings.TrimSuffix(line, "\n")))
		}
		if widest > columns || widest < columns-len("wrong,") {
			t.Errorf("a terminal of %d columns gets lines of %d", columns, widest)
		}
	}
	var b bytes.Buffer
	if err := d.print(&b, terminal.HelpWidth, true); err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK       bool
		Findings []finding
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.OK || len(got.Findings) != 1 || got.Findings[0] != d.findings[0] {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestDoctorUsesTheWidthOfItsTerminal has it find one mistake, which takes more than 80 columns to tell.
func TestDoctorUsesTheWidthOfItsTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte("[tor]\nmode = \"inside\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for columns, lines := range map[int]int{70: 3, 500: 1} {
		ptmx, tty := openTerminal(t, columns, 24)
		var errs bytes.Buffer
		if code := execute([]string{"doctor", "--config", file, "--state-dir", "s"}, tty, &errs); code != exitFailed {
			t.Fatalf("exit code %d, said %q", code, &errs)
		}
		tty.Close()
		b, err := io.ReadAll(ptmx) // a read may bring a part only
		if !errors.Is(err, unix.EIO) {
			t.Fatalf("%v is not the end of a terminal", err)
		}
		finding, _, _ := strings.Cut(string(b), "→")
		if got := strings.Count(finding, "\n"); !strings.HasPrefix(finding, "FAIL  configuration") || got != lines {
			t.Errorf("%d columns: %d lines, want %d: %q", columns, got, lines, finding)
		}
	}
}
