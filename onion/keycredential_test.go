package onion

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCredentialIsServedAndNeverWrittenToTheState guards that Tor gets the key of the credential in the runtime
// directory, and that it is gone with the service.
func TestCredentialIsServedAndNeverWrittenToTheState(t *testing.T) {
	a, b := twoKeys(t)
	var packed bytes.Buffer
	if err := a.WriteTar(&packed); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"bare": a.secretFile(), "tar": packed.Bytes(), "gzip": gzipped(t, packed.Bytes())} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			c.RuntimeDir = t.TempDir()
			c.Credential = filepath.Join(t.TempDir(), "onion-key")
			if err := os.WriteFile(c.Credential, content, 0o400); err != nil {
				t.Fatal(err)
			}
			// A key in the state directory is left alone.
			if _, err := InstallKey(c.StateDir, b, false); err != nil {
				t.Fatal(err)
			}
			s, err := Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Address() != a.Address() {
				t.Errorf("serves %s, not %s", s.Address(), a.Address())
			}
			if fi, err := os.Stat(s.keyDir); err != nil || fi.Mode().Perm() != 0o700 || filepath.Dir(s.keyDir) != c.RuntimeDir {
				t.Errorf("key directory %s: %v", s.keyDir, err)
			}
			secret := a.expanded[:32]
			err = filepath.WalkDir(c.StateDir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, secret) {
					t.Errorf("%s holds the key, or: %v", path, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if left, _ := filepath.Glob(filepath.Join(c.RuntimeDir, passingKeyDir+"*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if k, err := LoadKey(KeyDir(c.StateDir)); err != nil || k != b {
				t.Errorf("the key in the state directory has changed: %v", err)
			}
		})
	}
}

func TestBadCredentialIsAnErrorAndNotANewAddress(t *testing.T) {
	key, _ := twoKeys(t)
	for _, tt := range []struct {
		name    string
		content []byte
		change  func(*Config)
		says    string
	}{
		{"cut", key.secretFile()[:90], nil, "90 bytes"},
		{"missing", nil, nil, "no such file"},
		{"runtime in state", key.secretFile(), func(c *Config) { c.RuntimeDir = "" }, "RuntimeDirectory="},
		{"runtime is state", key.secretFile(), func(c *Config) { c.RuntimeDir = c.StateDir }, "RuntimeDirectory="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Mode: System, TorPath: "/nonexistent", StateDir: t.TempDir(), RuntimeDir: t.TempDir()}
			c.Credential = filepath.Join(t.TempDir(), "onion-key")
			if tt.content != nil {
				if err := os.WriteFile(c.Credential, tt.content, 0o400); err != nil {
					t.Fatal(err)
				}
			}
			if tt.change != nil {
				tt.change(&c)
			}
			if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err %v", err)
			}
			if _, err := os.Stat(KeyDir(c.StateDir)); err == nil {
				t.Error("a key was made in the state directory")
			}
		})
	}
}
