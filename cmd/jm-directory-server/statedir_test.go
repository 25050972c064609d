package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStateDirectoryOfEachUser(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		root bool
		want string
	}{
		{"systemd", map[string]string{"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}, true, "/var/lib/x"},
		{"root", map[string]string{"HOME": "/root"}, true, "/var/lib/jm-directory-server"},
		{"xdg", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/s"}, false, "/s/jm-directory-server"},
		{"relative xdg", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "s"}, false, "/home/u/.local/state/jm-directory-server"},
		{"home", map[string]string{"HOME": "/home/u"}, false, "/home/u/.local/state/jm-directory-server"},
		{"nowhere", nil, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := defaultStateDir(request{root: tt.root, getenv: func(n string) string { return tt.env[n] }})
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestTheLockOfTheStateDirectoryEndsWithItsHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	lock, err := lockStateDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if _, err := lockStateDir(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second one got %v", err)
	}
	lock.Close()
	if lock, err = lockStateDir(dir); err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

func TestTheLockIsNotASymbolicLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := lockStateDir(dir); !errors.Is(err, unix.ELOOP) {
		t.Errorf("got %v", err)
	}
}
