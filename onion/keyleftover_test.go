package onion

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatAKilledInstallLeftIsCleared guards each state in which it can be killed: the key in use stays what it is, an old one that was
// replaced is kept under its address, and of a new one that was not in place yet nothing is left.
func TestWhatAKilledInstallLeftIsCleared(t *testing.T) {
	a, b := twoKeys(t)
	write := func(key SecretKey) func(string) error { return key.WriteDir }
	file := func(name string) func(string) error {
		return func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
		}
	}
	for _, test := range []struct {
		name  string
		left  string
		make  func(dir string) error
		none  bool   // no key is in use
		after string // names in the state directory
		kept  bool
		inUse SecretKey
	}{
		{name: "made", left: ".onion-1", make: func(dir string) error { return os.Mkdir(dir, 0o700) }, after: "onion", inUse: a},
		{name: "half written", left: ".onion-1", make: file("." + secretName + "-123"), after: "onion", inUse: a},
		{name: "written", left: ".onion-1", make: write(b), after: "onion", inUse: a},
		{name: "the first, written", left: ".onion-1", make: write(b), none: true, after: ""},
		{name: "exchanged", left: ".replaced-1", make: write(b), after: "onion onion-" + b.Address(), kept: true, inUse: a},
		{name: "the same", left: ".replaced-1", make: write(a), after: "onion", inUse: a},
		{name: "the old one aside", left: ".replaced-1", make: write(b), none: true, after: "onion", inUse: b},
		{name: "exchanged, cannot be verified", left: ".replaced-1", make: file(secretName), after: "onion onion-unverified-", kept: true, inUse: a},
		{name: "not ours: a file", left: ".onion-1", make: func(name string) error { return os.WriteFile(name, nil, 0o600) }, after: ".onion-1 onion", inUse: a},
		{name: "not ours: a link", left: ".onion-1", make: func(name string) error { return os.Symlink(t.TempDir(), name) }, after: ".onion-1 onion", inUse: a},
		{name: "not ours: something in it", left: ".onion-1", make: file("notes"), after: ".onion-1 onion", inUse: a},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := t.TempDir()
			if !test.none {
				if _, err := InstallKey(state, a, false); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.make(filepath.Join(state, test.left)); err != nil {
				t.Fatal(err)
			}
			kept, err := ClearKeyDirs(state)
			if err != nil || (len(kept) == 1) != test.kept {
				t.Errorf("kept %v, %v", kept, err)
			}
			got := names(t, state)
			if at := strings.Index(got, "onion-unverified-"); at >= 0 {
				got = got[:at+len("onion-unverified-")]
			}
			if got != test.after {
				t.Errorf("there is %q, want %q", got, test.after)
			}
			if test.inUse == (SecretKey{}) {
				return
			}
			if key, err := LoadKey(KeyDir(state)); err != nil || key != test.inUse {
				t.Errorf("another key is in use: %v", err)
			}
		})
	}
	if kept, err := ClearKeyDirs(filepath.Join(t.TempDir(), "none")); kept != nil || err != nil {
		t.Errorf("no state directory: %v, %v", kept, err)
	}
}

func TestLeftoversOfOthersStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	key, _ := twoKeys(t)
	state := t.TempDir()
	for i, owner := range []int{0, 12345, 23456} {
		dir := filepath.Join(state, freshKeyDir+string(rune('0'+i)))
		if err := errors.Join(key.WriteDir(dir), os.Chown(dir, owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(state, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := ClearKeyDirs(state); err != nil || names(t, state) != freshKeyDir+"2" {
		t.Errorf("%v, left: %s", err, names(t, state))
	}
}
