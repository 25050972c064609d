package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"jm-directory-server/onion"
)

// testBackup is a backup of a key and one file of the store.
func testBackup(t *testing.T) *backup {
	t.Helper()
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(db, []byte("saved"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &backup{key: key, stateDir: "/s", store: []storeFile{{path: db}}}
}

func TestBackupTellsWhatIsSaved(t *testing.T) {
	b := testBackup(t)
	for want, files := range map[string]int{"1 file of the store\n": 1, "2 files of the store\n": 2} {
		var said bytes.Buffer
		b.store = make([]storeFile, files)
		if err := b.tell(&said, "b.age"); err != nil || !strings.HasSuffix(said.String(), want) {
			t.Errorf("said %q, %v, want %q", &said, err, want)
		}
	}
}

func TestBackupForARecipientIsOpenedByItsIdentity(t *testing.T) {
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	idFile, toFile, out := filepath.Join(dir, "id"), filepath.Join(dir, "to"), filepath.Join(dir, "b.age")
	for name, text := range map[string]string{idFile: id.String(), toFile: id.Recipient().String()} {
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	state, other := filepath.Join(dir, "state"), filepath.Join(dir, "other")
	command := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := execute(args, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	for _, to := range []string{id.Recipient().String(), toFile} {
		os.Remove(out)
		os.RemoveAll(other)
		if code, text := command("key", "new", "--replace", "--state-dir", state); code != 0 {
			t.Fatal(text)
		}
		if code, text := command("backup", out, "--recipient", to, "--state-dir", state); code != 0 {
			t.Fatal(text)
		}
		if code, text := command("restore", out, "--state-dir", other); code != exitUsage || !strings.Contains(text, "--identity") {
			t.Errorf("without identity: %d, %s", code, text)
		}
		if code, text := command("restore", out, "--identity", idFile, "--state-dir", other); code != 0 {
			t.Fatal(text)
		}
		a, err := onion.LoadKey(onion.KeyDir(state))
		if b, e := onion.LoadKey(onion.KeyDir(other)); err != nil || e != nil || a != b {
			t.Errorf("another key: %v, %v", err, e)
		}
	}
}

// TestArchivesThatAreNotAsTheirManifestSaysAreRefused guards that nothing is restored but what was saved.
func TestArchivesThatAreNotAsTheirManifestSaysAreRefused(t *testing.T) {
	var plain bytes.Buffer
	if err := testBackup(t).write(&plain); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		h tar.Header
		b []byte
	}
	parse := func() (list []entry) {
		for r := tar.NewReader(bytes.NewReader(plain.Bytes())); ; {
			h, err := r.Next()
			if err == io.EOF {
				return list
			}
			b, e := io.ReadAll(r)
			if err != nil || e != nil {
				t.Fatal(err, e)
			}
			list = append(list, entry{*h, b})
		}
	}
	change := func(list []entry, f func(*manifest)) []entry {
		var m manifest
		if err := json.Unmarshal(list[0].b, &m); err != nil {
			t.Fatal(err)
		}
		f(&m)
		list[0].b, _ = json.Marshal(m) // it was JSON before
		return list
	}
	for name, edit := range map[string]func([]entry) []entry{
		"":              func(l []entry) []entry { return l },
		"empty":         func([]entry) []entry { return nil },
		"no manifest":   func(l []entry) []entry { return l[1:] },
		"entry missing": func(l []entry) []entry { return l[:2] },
		"entry more":    func(l []entry) []entry { return append(l, l[2]) },
		"content":       func(l []entry) []entry { l[2].b = []byte("SAVED"); return l },
		"size":          func(l []entry) []entry { l[2].b = []byte("saved more"); return l },
		"order":         func(l []entry) []entry { l[1], l[2] = l[2], l[1]; return l },
		"link": func(l []entry) []entry {
			l[2].h.Typeflag, l[2].h.Linkname, l[2].b = tar.TypeSymlink, "/", nil
			return l
		},
		"manifest": func(l []entry) []entry { l[0].b = []byte("{"); return l },
		"format":   func(l []entry) []entry { return change(l, func(m *manifest) { m.Format = 2 }) },
		"address":  func(l []entry) []entry { return change(l, func(m *manifest) { m.Address = "x.onion" }) },
		"no key": func(l []entry) []entry {
			return append(change(l, func(m *manifest) { m.Entries = m.Entries[1:] })[:1], l[2])
		},
		"path elsewhere": func(l []entry) []entry { return change(l, func(m *manifest) { m.Entries[1].Name = "store/../x.db" }) },
		"the same twice": func(l []entry) []entry { return change(l, func(m *manifest) { m.Entries[1].Name = keyEntry }) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, e := range edit(parse()) {
				e.h.Size = int64(len(e.b))
				if err := w.WriteHeader(&e.h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(e.b); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := unpack(&b, t.TempDir()); (err == nil) != (name == "") {
				t.Errorf("err %v", err)
			}
		})
	}
}

func TestEntriesThatLeadElsewhereAreRefused(t *testing.T) {
	for name, ok := range map[string]bool{
		"key.tar": true, "config/config.toml": true, "config/custom.env": true, "store/store.db": true,
		"": false, "key.tar/x": false, "/etc/passwd": false, "config/": false, "config/..": false, "config/a/b": false,
		"store/x": false, "store/.db": false, "other/x.db": false, "../store/x.db": false,
	} {
		if validEntry(name) != ok {
			t.Errorf("%q: %v", name, !ok)
		}
	}
}
