package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestFileWithNothingInItIsMigrated is version 0: made by bbolt, and not yet by us.
func TestFileWithNothingInItIsMigrated(t *testing.T) {
	path := newPath(t)
	rewrite(t, path, func(*bbolt.Tx) error { return nil })
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrTooOld) {
		t.Errorf("for reading: %v", err)
	}
	s := mustOpen(t, path, noSync)
	if o := s.Opened(); o != (Opened{Migrated: true}) {
		t.Errorf("%+v", o)
	}
	fill(t, s, 1, 1)
	if s.Secret() == [32]byte{} {
		t.Error("no secret")
	}
	mustClose(t, s)
	if o := mustOpen(t, path, noSync).Opened(); o != (Opened{From: uint64(len(migrations))}) {
		t.Errorf("again: %+v", o)
	}
}

func TestEachFileHasItsOwnSecret(t *testing.T) {
	a, b := mustOpen(t, newPath(t), noSync), mustOpen(t, newPath(t), noSync)
	if a.Secret() == b.Secret() {
		t.Error("two stores have one secret")
	}
}

func TestMigrationsRunInOrderAndOnce(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, noSync)
	fill(t, s, 1, 1)
	step := func(from, to string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b := tx.Bucket(metaBucket)
			if got := string(b.Get([]byte("step"))); got != from {
				t.Errorf("step %q after %q", to, got)
			}
			return b.Put([]byte("step"), []byte(to))
		}
	}
	never := func(*bbolt.Tx) error { t.Error("version 1 was made again"); return nil }
	table := []func(*bbolt.Tx) error{never, step("", "2"), step("2", "3")}
	for i, want := range []uint64{1, 3} {
		if from, err := migrate(s.db, table); err != nil || from != want {
			t.Errorf("run %d: from %d, %v", i, from, err)
		}
	}
	if bans, err := s.Bans(); err != nil || len(bans) != 1 {
		t.Errorf("%d bans, %v", len(bans), err)
	}
}

func TestMigrationThatFailsChangesNothing(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	fails := errors.New("fails")
	_, err := migrate(s.db, append(migrations[:len(migrations):len(migrations)],
		func(tx *bbolt.Tx) error { return tx.DeleteBucket(bansBucket) },
		func(*bbolt.Tx) error { return fails }))
	if !errors.Is(err, fails) || !strings.Contains(err.Error(), "from version 2 to 3") {
		t.Errorf("%v", err)
	}
	if from, err := migrate(s.db, migrations); err != nil || from != 1 {
		t.Errorf("version %d, %v", from, err)
	}
	fill(t, s, 1, 1)
}

func TestFileOfALaterReleaseIsRefusedAndNotTouched(t *testing.T) {
	path := newPath(t)
	mustClose(t, mustOpen(t, path, noSync))
	rewrite(t, path, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("unknown")) // what it has made must not matter
		must(t, err)
		must(t, b.Put([]byte("k"), []byte("v")))
		return put(tx.Bucket(metaBucket), schemaKey, schemaOf(7))
	})
	before, err := os.ReadFile(path)
	must(t, err)
	_, writing := Open(path, noSync)
	_, reading := OpenReadOnly(path)
	for name, err := range map[string]error{"writing": writing, "reading": reading} {
		if !errors.Is(err, ErrTooNew) || !strings.Contains(err.Error(), "version 7") || !strings.Contains(err.Error(), "up to 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
}

// TestVersionCanBeReadForEver pins what all releases must find: the key, the length and the checksum of the version.
func TestVersionCanBeReadForEver(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	must(t, s.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte("meta")).Get([]byte("schema"))
		if len(v) != 12 || binary.BigEndian.Uint64(v) != 1 {
			t.Errorf("%x", v)
		}
		return nil
	}))
}
