package onion

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarEntry is a file in a tar; a nil body makes a directory.
type tarEntry struct {
	name string
	kind byte
	body []byte
}

func makeTar(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.body)), Mode: 0o600}
		if e.kind == tar.TypeSymlink {
			h.Linkname = "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

// vectorTar is the directory of v in a tar, among other files.
func vectorTar(t testing.TB, v keyVector, dir string) []byte {
	secret, public := v.files(t)
	return makeTar(t,
		tarEntry{dir + "/", tar.TypeDir, nil},
		tarEntry{dir + "/authorized_clients/", tar.TypeDir, nil},
		tarEntry{dir + "/hostname", tar.TypeReg, []byte(v.Hostname)},
		tarEntry{dir + "/hs_ed25519_public_key", tar.TypeReg, public},
		tarEntry{dir + "/hs_ed25519_secret_key", tar.TypeReg, secret},
		tarEntry{dir + "/notes", tar.TypeReg, []byte("x")})
}

// TestKeySourceVectors guards that whatever carries a key, it is accepted exactly if the vectors say so.
func TestKeySourceVectors(t *testing.T) {
	for _, v := range keyVectors(t) {
		secret, public := v.files(t)
		dir := writeKeyDir(t, secret, public, []byte(v.Hostname))
		plain, packed := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "a.tgz")
		for name, b := range map[string][]byte{plain: vectorTar(t, v, "x"), packed: gzipped(t, vectorTar(t, v, "."))} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		above := t.TempDir() // as mkp224o leaves it
		if err := os.Rename(writeKeyDir(t, secret, public, []byte(v.Hostname)), filepath.Join(above, "abc.onion")); err != nil {
			t.Fatal(err)
		}
		for what, path := range map[string]string{
			"directory": dir, "directory above": above, "secret with its neighbours": filepath.Join(dir, secretName),
			"tar": plain, "gzip": packed,
		} {
			t.Run(v.Name+"/"+what, func(t *testing.T) {
				found, err := ReadKey(path)
				if (err == nil) != (v.Expect == "accept") {
					t.Fatalf("expected %s: %v", v.Expect, err)
				}
				if err == nil && found.Key.Address()+"\n" != v.Hostname {
					t.Errorf("address %s", found.Key.Address())
				}
			})
		}
	}
}

func TestBareKeyNeedsNoOtherFile(t *testing.T) {
	v := keyVectors(t)[1]
	secret, _ := v.files(t)
	for _, name := range []string{secretName, "my.key"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, secret, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := ReadKey(path)
		if err != nil || found.Key.Address()+"\n" != v.Hostname || found.Modified.IsZero() || len(found.Warnings) > 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
			t.Errorf("the source was written to: %v, %v", list, err)
		}
	}
}

func TestReadableSecretIsAWarning(t *testing.T) {
	v := keyVectors(t)[0]
	secret, public := v.files(t)
	dir := writeKeyDir(t, secret, public, nil)
	path := filepath.Join(dir, secretName)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{dir, path} {
		found, err := ReadKey(source)
		if err != nil || len(found.Warnings) != 1 || !strings.Contains(found.Warnings[0], "0640") {
			t.Errorf("%s: %v, %v", source, found.Warnings, err)
		}
	}
}

func TestAmbiguousAndForeignSourcesAreRefused(t *testing.T) {
	v := keyVectors(t)[0]
	secret, public := v.files(t)
	key := tarEntry{"a/" + secretName, tar.TypeReg, secret}
	tests := []struct {
		name string
		data []byte
		says string
	}{
		{"empty", nil, "is empty"},
		{"cut secret", secret[:95], "95 bytes"},
		{"long secret", append(secret[:96:96], 0), "97 bytes"},
		{"text", bytes.Repeat([]byte("no key "), 100), "nor a tar"},
		{"no key", makeTar(t, tarEntry{"a/hostname", tar.TypeReg, []byte(v.Hostname)}), "no " + secretName},
		{"two keys", makeTar(t, key, tarEntry{"b/" + secretName, tar.TypeReg, secret}), "more than one"},
		{"the same twice", makeTar(t, key, key), "more than one"},
		{"two public keys", makeTar(t, key, tarEntry{"a/" + publicName, tar.TypeReg, public}, tarEntry{"a/" + publicName, tar.TypeReg, public}), "more than one"},
		{"link", makeTar(t, tarEntry{"a/" + secretName, tar.TypeSymlink, nil}), "not a regular file"},
		{"directory", makeTar(t, tarEntry{"a/" + secretName, tar.TypeDir, nil}), "not a regular file"},
		{"huge file", makeTar(t, tarEntry{"a/" + secretName, tar.TypeReg, make([]byte, maxKeyFile+1)}), "longer than"},
		{"bomb", gzipped(t, make([]byte, maxKeySource+1)), "longer than"},
		{"cut gzip", gzipped(t, vectorTar(t, v, "a"))[:40], "gzip"},
		{"cut tar", makeTar(t, key)[:600], "unexpected EOF"},
		{"huge", make([]byte, maxKeySource+1), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseKeyStream(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err %v", err)
			}
		})
	}
	// A public file in another directory of the tar belongs to another key.
	if _, err := ParseKeyStream(makeTar(t, key, tarEntry{"b/hostname", tar.TypeReg, []byte("x")})); err != nil {
		t.Error(err)
	}
}

func TestSourceDirectoryWithoutOneKeyIsRefused(t *testing.T) {
	v := keyVectors(t)[0]
	secret, public := v.files(t)
	if _, err := ReadKey(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty: %v", err)
	}
	if _, err := ReadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := ReadKey(writeKeyDir(t, nil, public, nil)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a key: %v", err)
	}
	above := t.TempDir()
	for _, name := range []string{"a.onion", "b.onion"} {
		if err := os.Rename(writeKeyDir(t, secret, public, nil), filepath.Join(above, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadKey(above); err == nil || !strings.Contains(err.Error(), "2 keys") {
		t.Errorf("two keys: %v", err)
	}
	fifo := writeKeyDir(t, nil, nil, nil)
	if err := os.Mkdir(filepath.Join(fifo, secretName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(fifo); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("directory as secret: %v", err)
	}
}

func FuzzParseKeyStream(f *testing.F) {
	for _, v := range keyVectors(f) {
		secret, _ := v.files(f)
		f.Add(secret)
		f.Add(vectorTar(f, v, "a"))
		f.Add(gzipped(f, vectorTar(f, v, "a")))
	}
	f.Add(makeTar(f, tarEntry{"a/notes", tar.TypeReg, []byte("x")}))
	f.Add(makeTar(f, tarEntry{"a/" + secretName, tar.TypeSymlink, nil}))
	f.Add(makeTar(f, tarEntry{"a/" + secretName, tar.TypeReg, []byte("x")}, tarEntry{"b/" + secretName, tar.TypeReg, []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParseKeyStream(b)
		if err != nil {
			return
		}
		if again, err := ParseKey(key.secretFile(), key.publicFile(), key.hostnameFile()); err != nil || again != key {
			t.Errorf("accepted a key that is none: %v", err)
		}
	})
}
