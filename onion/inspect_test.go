package onion

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// writeTor makes an executable that answers as a Tor of that version does.
func writeTor(t *testing.T, version, modules string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tor")
	script := "#!/bin/sh\ncase $1 in\n--version) echo 'Tor version " + version + ".' ;;\n--list-modules) printf '" + modules + "' ;;\nesac\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInspectSaysWhatTheTorIsWithoutStartingIt(t *testing.T) {
	for _, tt := range []struct {
		version, modules string
		pow, advice      bool
		err              error
	}{
		{"0.4.9.11", `relay: yes\npow: yes\n`, true, false, nil},
		{"0.4.8.17", `pow: no\n`, false, false, nil},
		{"0.4.8.9", `pow: yes\n`, true, true, nil},
		{"0.4.7.16", ``, false, false, ErrTorTooOld},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		found, err := Inspect(t.Context(), Config{Mode: System, StateDir: dir, TorPath: writeTor(t, tt.version, tt.modules)})
		if !errors.Is(err, tt.err) || found.Version != tt.version || found.PoW != tt.pow || (found.Advice != "") != tt.advice {
			t.Errorf("%s: %+v, %v", tt.version, found, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the state directory was made", tt.version)
		}
	}
	if _, err := Inspect(t.Context(), Config{Mode: System, StateDir: t.TempDir(), TorPath: "/nonexistent/tor"}); err == nil {
		t.Error("a tor that is not there was found")
	}
}
