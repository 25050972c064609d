package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"jm-directory-server/isolation"
	"jm-directory-server/onion"
)

var (
	wholeKernel = isolation.Kernel{Landlock: 7, Filters: true}
	oldKernel   = isolation.Kernel{Landlock: 2, Filters: true}
)

// isolatedDaemon is a daemon on a kernel that is told, whose rules go nowhere but to applied.
func isolatedDaemon(t *testing.T, mode string, kernel isolation.Kernel, fails error) (d *daemon, log *bytes.Buffer, applied *[]isolation.Rules) {
	log, applied = new(bytes.Buffer), new([]isolation.Rules)
	logger := logrus.New()
	logger.SetOutput(log)
	c := DefaultConfig()
	c.Isolation, c.StateDir, c.RuntimeDir = mode, t.TempDir(), t.TempDir()
	d = &daemon{effective: &effective{Config: c}, log: logger, notify: &notifier{log: logger}}
	d.isolator = &isolator{
		probe: func() isolation.Kernel { return kernel },
		apply: func(r isolation.Rules) error { *applied = append(*applied, r); return fails },
	}
	return d, log, applied
}

func TestIsolationIsAsConfigured(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name, mode   string
		kernel       isolation.Kernel
		fails        error
		before, then string // errors
		log          string
		inForce      bool
	}{
		{"auto", isolationAuto, wholeKernel, nil, "", "", "level=info msg=\"isolated", true},
		{"auto, old kernel", isolationAuto, oldKernel, nil, "", "", "level=warning msg=\"isolation is not complete: this kernel cannot restrict truncating files (Landlock of Linux 6.2); TCP", true},
		{"auto, fails", isolationAuto, wholeKernel, refused, "", "", "level=warning msg=\"isolation failed: count on none of it\" error=refused", false},
		{"require", isolationRequire, wholeKernel, nil, "", "", "level=info msg=\"isolated", true},
		{"require, old kernel", isolationRequire, oldKernel, nil, `isolation = "require": this kernel cannot restrict truncating files`, "", "", false},
		{"require, no filters", isolationRequire, isolation.Kernel{Landlock: 7}, nil, "filters for system calls", "", "", false},
		{"require, fails", isolationRequire, wholeKernel, refused, "", "refused", "", false},
		{"off", isolationOff, wholeKernel, nil, "", "", "level=warning msg=\"isolation is off", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, log, applied := isolatedDaemon(t, c.mode, c.kernel, c.fails)
			said := func(err error, want string) bool {
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
				return err == nil
			}
			if said(d.checkIsolation(), c.before) {
				said(d.isolate(nil), c.then)
			}
			if !strings.Contains(log.String(), c.log) || strings.Count(log.String(), "level=warning") > 1 {
				t.Errorf("log %q, want %q and one warning at most", log, c.log)
			}
			if said := strings.Contains(log.String(), "msg=\"isolated"); said != c.inForce {
				t.Errorf("the log %q claims isolation: %v, want %v", log, said, c.inForce)
			}
			if got := len(d.isolationInForce()) > 0; got != c.inForce {
				t.Errorf("in force: %q", d.isolationInForce())
			}
			if c.mode == isolationOff && len(*applied) > 0 {
				t.Error("rules are applied although isolation is off")
			}
		})
	}
}

// TestOpenIsToldOfThoseWhoConnect: the server itself does not, unless it has no dialer.
func TestOpenIsToldOfThoseWhoConnect(t *testing.T) {
	for _, c := range []struct {
		name     string
		landlock int
		sockets  []string
		dialer   bool
		want     string // "": nothing
	}{
		{"a Tor of ours", 7, nil, true, "Tor, dialer: connections"},
		{"no dialer", 7, []string{"/run/socks"}, false, "server, Tor: connections"},
		{"unix sockets are restricted", 9, nil, true, ""},
	} {
		d, log, _ := isolatedDaemon(t, isolationAuto, isolation.Kernel{Landlock: c.landlock, Filters: true}, nil)
		tor := newFakeTor(t)
		tor.sockets, tor.dialer = c.sockets, c.dialer
		if err := d.isolate(tor); err != nil {
			t.Fatal(err)
		}
		if want := ` open="` + c.want + " to unix sockets of others (Landlock 9)\""; strings.Contains(log.String(), want) != (c.want != "") || strings.Contains(log.String(), "open=") != (c.want != "") {
			t.Errorf("%s: log %s", c.name, log)
		}
	}
	d, log, _ := isolatedDaemon(t, isolationAuto, wholeKernel, nil)
	if err := d.isolate(nil); err != nil || strings.Contains(log.String(), "open=") {
		t.Errorf("without a Tor: %v, log %s", err, log)
	}
}

// TestGuardIsToldWhereThereIsOne: what is not in force must not be claimed.
func TestGuardIsToldWhereThereIsOne(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		d, log, _ := isolatedDaemon(t, isolationAuto, wholeKernel, nil)
		tor := newFakeTor(t)
		tor.guarded = guarded
		if err := d.isolate(tor); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(d.isolationInForce(), commandsToTor) != guarded || strings.Contains(log.String(), commandsToTor) != guarded {
			t.Errorf("guarded %v: in force %q, log %s", guarded, d.isolationInForce(), log)
		}
	}
}

// TestRequiredIsolationComesBeforeAnythingIsStarted: not even the state directory is made.
func TestRequiredIsolationComesBeforeAnythingIsStarted(t *testing.T) {
	d, _, _ := isolatedDaemon(t, isolationRequire, oldKernel, nil)
	d.StateDir = filepath.Join(t.TempDir(), "state")
	d.startOnion = func(context.Context, onion.Config) (onionService, error) {
		t.Error("Tor is started")
		return nil, errors.New("not here")
	}
	if err := d.run(); err == nil {
		t.Error("it runs")
	}
	if _, err := os.Stat(d.StateDir); err == nil {
		t.Error("the state directory was made")
	}
}

func TestRulesNameNoMoreThanIsNeeded(t *testing.T) {
	d, _, _ := isolatedDaemon(t, isolationAuto, wholeKernel, nil)
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify") // it is connected to
	d.file = filepath.Join(t.TempDir(), "config.toml")
	r := d.rules(newFakeTor(t))
	if want := append([]string{filepath.Dir(d.file)}, isolation.OwnNumbers...); !slices.Equal(r.Read, want) {
		t.Errorf("reads %q, want %q", r.Read, want)
	}
	if r.Connects() {
		t.Errorf("connects to sockets %q", r.Sockets)
	}
	if len(r.Write)+len(r.Execute)+len(r.Devices)+len(r.Ports) > 0 || r.Internet || r.Code || r.Program != 0 || r.Signal != 17 {
		t.Errorf("rules %+v", r)
	}
	if slices.Contains(r.Remove, d.StateDir) {
		t.Error("the key may be removed")
	}

	d.Tor.Mode, d.Listen.Address, d.Admin.Listen = "off", "unix:/run/a/s", "unix:/run/b/s"
	r = d.rules(nil)
	if r.Connects() || r.Signal != 0 || !slices.Contains(r.Remove, "/run/a") || !slices.Contains(r.Remove, "/run/b") {
		t.Errorf("rules without Tor %+v", r)
	}
}

// TestConfigurationBehindALinkMayBeRead: the link's directory and what it leads to.
func TestConfigurationBehindALinkMayBeRead(t *testing.T) {
	d, _, _ := isolatedDaemon(t, isolationAuto, wholeKernel, nil)
	file, link := filepath.Join(t.TempDir(), "generation-1.toml"), filepath.Join(t.TempDir(), "config.toml")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	d.file = link
	if got, _ := d.configPaths(); !slices.Equal(got, []string{filepath.Dir(link), file}) {
		t.Errorf("paths %q", got)
	}
}

// TestConfigurationNeverLeadsToTheKey: its directory may be read with all that is below it.
func TestConfigurationNeverLeadsToTheKey(t *testing.T) {
	d, log, applied := isolatedDaemon(t, isolationAuto, wholeKernel, nil)
	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(d.StateDir, link), os.WriteFile(filepath.Join(credentials, credentialName), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{d.StateDir, filepath.Dir(d.StateDir), d.RuntimeDir, credentials, link} {
		d.file = filepath.Join(dir, "config.toml")
		if err := os.WriteFile(d.file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if err := d.isolate(nil); err != nil {
			t.Fatal(err)
		}
		file, err := filepath.EvalSymlinks(d.file)
		if err != nil {
			t.Fatal(err)
		}
		r := (*applied)[len(*applied)-1]
		if want := append([]string{file}, isolation.OwnNumbers...); !slices.Equal(r.Read, want) {
			t.Errorf("reads %q, want %q", r.Read, want)
		}
		if !strings.Contains(log.String(), "level=warning msg=\"the configuration lies where the onion key can be reached") {
			t.Errorf("%s: no warning in the log %q", dir, log)
		}
	}

	// Without Tor there is a key only if one was made before.
	d.Tor.Mode = "off"
	d.file = filepath.Join(d.StateDir, "config.toml")
	if _, keyed := d.configPaths(); keyed {
		t.Error("a state directory without a key is said to lead to one")
	}
	if err := os.Mkdir(onion.KeyDir(d.StateDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, keyed := d.configPaths(); !keyed {
		t.Error("a state directory with a key is said not to lead to it")
	}
}
