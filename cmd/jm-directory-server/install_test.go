package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInstallNeedsRootAndADryRunDoesNot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		if err := (&setup{out: io.Discard}).possible(); err == nil || !strings.Contains(err.Error(), "not run by systemd") {
			t.Errorf("without systemd: %v", err)
		}
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := (&setup{out: io.Discard, root: root}).possible(); err == nil || !strings.Contains(err.Error(), "systemctl is needed") {
		t.Errorf("without systemctl: %v", err)
	}
	t.Setenv("PATH", dir)
	for _, s := range []*setup{{uid: 1000, dry: true}, {uid: 0}} {
		s.out, s.root = io.Discard, root
		if err := s.possible(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestTheInstalledConfigurationSetsNothing guards that defaults of later versions come into force.
func TestTheInstalledConfigurationSetsNothing(t *testing.T) {
	for network, want := range map[string]string{"": "mainnet", "signet": "signet"} {
		e, err := loadText(t, "config.toml", commentedConfig(network), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		c.Network, c.StateDir, c.RuntimeDir = want, e.StateDir, e.RuntimeDir
		if d := cmp.Diff(c, e.Config); d != "" {
			t.Errorf("%q: %s", network, d)
		}
		set := 0
		for _, o := range e.origins {
			if o.source == fromFile {
				set++
			}
		}
		if most := len(network); set > min(most, 1) {
			t.Errorf("%q: %d keys are set", network, set)
		}
	}
}

// TestEveryCommentedKeyCanBeUncommented guards the comment in the installed configuration that says so.
func TestEveryCommentedKeyCanBeUncommented(t *testing.T) {
	text := commentedConfig("")
	for _, f := range (&Config{}).fields() {
		key := f.key
		if i := strings.IndexByte(key, '.'); i >= 0 {
			key = key[i+1:]
		}
		if !strings.Contains(text, "\n#"+key+" = ") {
			t.Errorf("no line #%s", key)
		}
	}
}

func TestReplacedFilesLeaveNothingBehindOnFailure(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(dir, "taken"), strings.NewReader("x"), 0o644); err == nil {
		t.Error("a directory was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
