package onion

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func twoKeys(t *testing.T) (a, b SecretKey) {
	t.Helper()
	for _, k := range []*SecretKey{&a, &b} {
		var err error
		if *k, err = GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// names is what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range list {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

func TestInstalledKeyIsPrivateAndWhatTorLoads(t *testing.T) {
	key, _ := twoKeys(t)
	state := filepath.Join(t.TempDir(), "a", "state")
	if aside, err := InstallKey(state, key, false); err != nil || aside != "" {
		t.Fatalf("%q, %v", aside, err)
	}
	for _, name := range []string{"", secretName, publicName, hostnameName} {
		fi, err := os.Stat(filepath.Join(KeyDir(state), name))
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[fi.IsDir()]; fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v", name, fi.Mode())
		}
	}
	if again, err := LoadKey(KeyDir(state)); err != nil || again != key {
		t.Errorf("loaded another key: %v", err)
	}
	// Once more changes nothing.
	if aside, err := InstallKey(state, key, true); err != nil || aside != "" || names(t, state) != "onion" {
		t.Errorf("%q, %v, %s", aside, err, names(t, state))
	}
}

func TestAnotherIdentityStaysUnlessReplacedAndIsKept(t *testing.T) {
	a, b := twoKeys(t)
	state := t.TempDir()
	for _, k := range []SecretKey{a, b, a, b} { // the second round meets names that are taken
		if _, err := InstallKey(state, k, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := InstallKey(state, a, false); !errors.Is(err, ErrOtherKey) || !strings.Contains(err.Error(), b.Address()) {
		t.Errorf("err %v", err)
	}
	if k, err := LoadKey(KeyDir(state)); err != nil || k != b {
		t.Errorf("another key: %v", err)
	}
	for dir, want := range map[string]SecretKey{"onion-" + a.Address(): a, "onion-" + b.Address(): b, "onion-" + a.Address() + "-2": a} {
		if k, err := LoadKey(filepath.Join(state, dir)); err != nil || k != want {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if n := len(strings.Fields(names(t, state))); n != 4 {
		t.Errorf("%d directories: %s", n, names(t, state))
	}
}

func TestFilesThatCannotBeVerifiedAreAnIdentityToo(t *testing.T) {
	key, _ := twoKeys(t)
	for name, data := range map[string][]byte{secretName: []byte("broken"), hostnameName: []byte("x.onion\n"), "other": nil} {
		state := t.TempDir()
		if err := os.Mkdir(KeyDir(state), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(KeyDir(state), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := InstallKey(state, key, false); !errors.Is(err, ErrOtherKey) {
			t.Errorf("%s: %v", name, err)
		}
		if names(t, state) != "onion" || names(t, KeyDir(state)) != name {
			t.Errorf("%s: something changed: %s", name, names(t, state))
		}
		aside, err := InstallKey(state, key, true)
		if err != nil || !strings.Contains(aside, "onion-unverified-") {
			t.Fatalf("%s: %q, %v", name, aside, err)
		}
		if b, err := os.ReadFile(filepath.Join(aside, name)); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestFailedInstallLeavesNothingBehind(t *testing.T) {
	key, _ := twoKeys(t)
	state := t.TempDir()
	if err := os.WriteFile(KeyDir(state), []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := InstallKey(state, key, true); err == nil {
		t.Error("a file was taken for a directory")
	}
	if names(t, state) != "onion" {
		t.Errorf("left: %s", names(t, state))
	}
	// Where exchange fails, nothing has changed.
	if done, err := exchange(filepath.Join(state, "none"), KeyDir(state), filepath.Join(state, "aside")); done || err == nil {
		t.Errorf("exchange: %v, %v", done, err)
	}
}

func TestKeyInstalledByRootBelongsToTheOwnerOfTheState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	a, b := twoKeys(t)
	state := t.TempDir()
	if err := os.Chown(state, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	for _, k := range []SecretKey{a, b} { // the second reads what another user owns
		if _, err := InstallKey(state, k, true); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if st := fi.Sys().(*syscall.Stat_t); st.Uid != 12345 || st.Gid != 23456 {
			t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWrittenDirectoryAndTarAreReadAgain(t *testing.T) {
	a, b := twoKeys(t)
	dir := filepath.Join(t.TempDir(), "x", "out")
	if err := a.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.WriteDir(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another key: %v", err)
	}
	if err := a.WriteDir(t.TempDir()); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	var tar bytes.Buffer
	if err := a.WriteTar(&tar); err != nil {
		t.Fatal(err)
	}
	found, err := ReadKey(dir)
	if err != nil || found.Key != a {
		t.Errorf("directory: %v", err)
	}
	if k, err := ParseKeyStream(tar.Bytes()); err != nil || k != a {
		t.Errorf("tar: %v", err)
	}
	if names(t, filepath.Dir(dir)) != "out" {
		t.Errorf("left: %s", names(t, filepath.Dir(dir)))
	}
}

func TestFingerprintIsOfThePublicKey(t *testing.T) {
	a, b := twoKeys(t)
	if a.Fingerprint() == b.Fingerprint() || !strings.HasPrefix(a.Fingerprint(), "SHA256:") || len(a.Fingerprint()) != 7+43 {
		t.Errorf("%s and %s", a.Fingerprint(), b.Fingerprint())
	}
	if k, err := KeyFromExpanded(a.expanded); err != nil || k != a {
		t.Errorf("from its expanded form: %v", err)
	}
}
