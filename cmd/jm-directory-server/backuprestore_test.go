package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
)

// TestFailedRestoreTakesItsChangesBack guards that a restore that cannot install the key leaves the store as it was.
func TestFailedRestoreTakesItsChangesBack(t *testing.T) {
	b := testBackup(t)
	var plain bytes.Buffer
	if err := b.write(&plain); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for name, text := range map[string]string{"store.db": "old", "onion": "a file where a directory belongs"} {
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &restore{stateDir: state, replace: true, stderr: io.Discard}
	if err := r.run(t.Context(), &plain); err == nil || r.outcome != "nothing was changed" {
		t.Fatal("restored over a file")
	}
	list, err := os.ReadDir(state)
	if text, e := os.ReadFile(filepath.Join(state, "store.db")); err != nil || e != nil || string(text) != "old" || len(list) != 2 {
		t.Errorf("%q, %v, %v, %v", text, list, err, e)
	}
}

// TestRestoreGoesOnBehindOneThatWasKilled guards that half a copy which that one has left is in nobody's way.
func TestRestoreGoesOnBehindOneThatWasKilled(t *testing.T) {
	b, state := testBackup(t), t.TempDir()
	var plain bytes.Buffer
	if err := b.write(&plain); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "store.db.restored"), []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&restore{stateDir: state, stderr: io.Discard}).run(t.Context(), &plain); err != nil {
		t.Fatal(err)
	}
	list, _ := filepath.Glob(filepath.Join(state, "store.db*")) // the pattern is a good one
	if text, err := os.ReadFile(filepath.Join(state, "store.db")); err != nil || string(text) != "saved" || len(list) != 1 {
		t.Errorf("%q, %v, %v", text, err, list)
	}
}

// TestOldFileStaysUntilTheNewOneIsThere guards that a restore which is killed while it copies leaves no gap: a server that finds no
// configuration would look for its key elsewhere.
func TestOldFileStaysUntilTheNewOneIsThere(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := unix.Mkfifo(from, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error, 1)
	go func() { moved <- (&restore{}).move(t.Context(), from, to, to+".old") }()
	w, err := os.OpenFile(from, os.O_WRONLY, 0) // returns when the copy has begun
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || string(text) != "old" {
		t.Errorf("while it is copied: %q, %v", text, err)
	}
	if _, err := w.WriteString("new"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(w.Close(), <-moved); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{to: "new", to + ".old": "old"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestOldKeyIsNamedAlsoWhenTheRestFails guards that nobody has to look for it.
func TestOldKeyIsNamedAlsoWhenTheRestFails(t *testing.T) {
	b, state := testBackup(t), t.TempDir()
	var plain, said bytes.Buffer
	if err := b.write(&plain); err != nil {
		t.Fatal(err)
	}
	old := testBackup(t).key
	if _, err := onion.InstallKey(state, old, false); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(state, "store.db.restored/in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (&restore{stateDir: state, replace: true, stderr: &said}).run(t.Context(), &plain); err == nil {
		t.Fatal("restored")
	}
	if !strings.Contains(said.String(), "the old key is kept in "+onion.KeyDir(state)+"-"+old.Address()) {
		t.Errorf("said %q", &said)
	}
}

// TestRestoreUnpacksNoKey guards that one that is killed leaves no copy of the key where it unpacked the rest: at no time is it
// in a file but those of the key's own directory, and of that one in the making.
func TestRestoreUnpacksNoKey(t *testing.T) {
	b, state := testBackup(t), t.TempDir()
	var plain bytes.Buffer
	if err := b.write(&plain); err != nil {
		t.Fatal(err)
	}
	if err := b.key.WriteDir(filepath.Join(state, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(state, "elsewhere/hs_ed25519_secret_key"))
	if err := errors.Join(err, os.RemoveAll(filepath.Join(state, "elsewhere"))); err != nil {
		t.Fatal(err)
	}
	looks := 0
	look := func() {
		looks++
		err := filepath.WalkDir(state, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || filepath.Dir(name) == onion.KeyDir(state) {
				return err
			}
			text, err := os.ReadFile(name)
			if bytes.Contains(text, secret) {
				t.Errorf("look %d: the key is in %s", looks, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := (&restore{stateDir: state, stderr: io.Discard}).run(lookedAt{t.Context(), look}, &plain); err != nil || looks < 5 {
		t.Errorf("%v, %d looks", err, looks)
	}
}

// lookedAt is a context that calls look whenever it is asked.
type lookedAt struct {
	context.Context
	look func()
}

func (l lookedAt) Err() error { l.look(); return nil }

// TestSavedConfigurationThatCannotBeUsedNamesNoDirectory restores what a later version may have written: the key is put nowhere by
// chance, but where --state-dir says.
func TestSavedConfigurationThatCannotBeUsedNamesNoDirectory(t *testing.T) {
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("STATE_DIRECTORY", filepath.Join(dir, "default"))
	b, idFile, out := testBackup(t), filepath.Join(dir, "id"), filepath.Join(dir, "b.age")
	b.config = filepath.Join(dir, "later.toml")
	for name, text := range map[string]string{idFile: id.String(), b.config: "not_yet_known = 1"} {
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.save(out, []age.Recipient{id.Recipient()}); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	args := []string{"restore", out, "--identity", idFile, "--config", filepath.Join(dir, "cfg/c.toml")}
	if code := execute(args, io.Discard, &text); code != exitFailed || !strings.Contains(text.String(), "not_yet_known") || !strings.Contains(text.String(), "--state-dir") {
		t.Errorf("exit code %d: %s", code, &text)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 3 {
		t.Errorf("%v, %v: want the files of the test only", list, err)
	}
	if code := execute(append(args, "--state-dir", filepath.Join(dir, "mine")), io.Discard, &text); code != exitOK {
		t.Errorf("exit code %d: %s", code, &text)
	}
	if key, err := onion.LoadKey(onion.KeyDir(filepath.Join(dir, "mine"))); err != nil || key != b.key {
		t.Errorf("another key: %v", err)
	}
}

// stopAfter is a context that ends when Err has been asked n times.
type stopAfter struct {
	context.Context
	n int
}

func (s *stopAfter) Err() error {
	if s.n--; s.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestInterruptedRestoreHasTheKeyOrNothing guards that there is never a configuration or a store without its key, and that no
// secret stays where it was unpacked: however far it comes, the next one finishes it.
func TestInterruptedRestoreHasTheKeyOrNothing(t *testing.T) {
	b := testBackup(t)
	var plain bytes.Buffer
	if err := b.write(&plain); err != nil {
		t.Fatal(err)
	}
	interrupted, finished := 0, false
	for steps := 0; !finished; steps++ {
		state := t.TempDir()
		if err := os.Mkdir(filepath.Join(state, restoreFolder+"killed"), 0o700); err != nil {
			t.Fatal(err)
		}
		r := &restore{stateDir: state, stderr: io.Discard}
		err := r.run(&stopAfter{t.Context(), steps}, bytes.NewReader(plain.Bytes()))
		finished = err == nil
		if hidden, _ := filepath.Glob(filepath.Join(state, ".*")); len(hidden) > 0 { // the pattern is a good one
			t.Errorf("after %d steps: left %v", steps, hidden)
		}
		_, noStore := os.Stat(filepath.Join(state, "store.db"))
		_, noKey := onion.ReadKeyDir(onion.KeyDir(state))
		if noStore == nil && noKey != nil {
			t.Errorf("after %d steps: a store without its key: %v", steps, noKey)
		}
		if said := r.outcome == "nothing was changed"; !finished && said != (noKey != nil) {
			t.Errorf("after %d steps: %q, key: %v", steps, r.outcome, noKey)
		}
		if !finished && noKey == nil {
			interrupted++
		}
	}
	if interrupted == 0 {
		t.Error("never interrupted behind the key")
	}
}
