package store

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

// damageHistory writes a store to path whose history f has damaged, and returns it with what was in it.
func damageHistory(t *testing.T, path string, f func(*bbolt.Tx) error) (file []byte, bans []Ban, secret [32]byte) {
	t.Helper()
	must(t, os.WriteFile(path, filled(t, 3, 3), 0o600))
	s := mustOpen(t, path, noSync)
	bans, err := s.Bans()
	must(t, err)
	secret = s.Secret()
	mustClose(t, s)
	rewrite(t, path, f)
	file, err = os.ReadFile(path)
	must(t, err)
	return file, bans, secret
}

// flipBit damages one record.
func flipBit(tx *bbolt.Tx, res Resolution) error {
	key, v := tx.Bucket(res.bucket()).Cursor().First()
	v = bytes.Clone(v)
	v[len(v)/2] ^= 1
	return tx.Bucket(res.bucket()).Put(bytes.Clone(key), v)
}

// all is what is kept of one resolution.
func all(s *Store, res Resolution) ([]Sample, error) {
	return s.History(res, time.Unix(0, 0), time.Unix(maxCount, 0))
}

func TestDamagedRecordOfTheHistoryCostsNoBan(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*bbolt.Tx) error
		in     []Resolution
	}{
		"a bit of a minute": {func(tx *bbolt.Tx) error { return flipBit(tx, Minute) }, []Resolution{Minute}},
		"a bit of a day":    {func(tx *bbolt.Tx) error { return flipBit(tx, Day) }, []Resolution{Day}},
		"a bit of each": {func(tx *bbolt.Tx) error {
			return errors.Join(flipBit(tx, Minute), flipBit(tx, Hour), flipBit(tx, Day))
		}, Resolutions},
		"half a minute": {func(tx *bbolt.Tx) error {
			m := testSample(0)
			return put(tx.Bucket(Minute.bucket()), seconds(day0.Unix()+30), m.encode())
		}, []Resolution{Minute}},
		"no hours": {func(tx *bbolt.Tx) error { return tx.DeleteBucket(Hour.bucket()) }, []Resolution{Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			file, bans, secret := damageHistory(t, path, c.damage)
			if _, err := OpenReadOnly(path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("for reading: %v", err)
			}
			s := mustOpen(t, path, noSync)
			o := s.Opened()
			if !o.HistoryOnly || o.Created || !errors.Is(o.Damage, ErrCorrupt) {
				t.Errorf("%+v", o)
			}
			if kept, err := os.ReadFile(o.MovedAside); err != nil || !bytes.Equal(kept, file) {
				t.Errorf("no copy of the damaged file: %v", err)
			}
			if fi, err := os.Stat(o.MovedAside); err != nil || fi.Mode() != 0o600 {
				t.Errorf("mode %v, %v: the secret is in there", fi.Mode(), err)
			}
			if got, err := s.Bans(); err != nil || !slices.Equal(got, bans) || s.Secret() != secret {
				t.Errorf("bans %v, %v; the secret was kept: %v", got, err, s.Secret() == secret)
			}
			for _, res := range Resolutions {
				if got, err := all(s, res); err != nil || (len(got) == 0) != slices.Contains(c.in, res) {
					t.Errorf("%v: %v, %v", res, got, err)
				}
			}
			fill(t, s, 1, 1)
			mustClose(t, s)
			s = mustOpen(t, path, noSync)
			if o := s.Opened(); o != (Opened{From: uint64(len(migrations))}) {
				t.Errorf("opened again: %+v", o)
			}
		})
	}
}

// TestDamagedHistoryOfWhichThereCanBeNoCopyStays guards that nothing is deleted which is not copied, and that it costs no ban.
func TestDamagedHistoryOfWhichThereCanBeNoCopyStays(t *testing.T) {
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"a bit": func(tx *bbolt.Tx) error { return flipBit(tx, Minute) },
		"none":  func(tx *bbolt.Tx) error { return tx.DeleteBucket(Minute.bucket()) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			_, bans, _ := damageHistory(t, path, damage)
			synctest.Test(t, func(t *testing.T) {
				must(t, os.Mkdir(asideName(path), 0o700)) // where the copy would go
				s, err := Open(path, noSync)
				must(t, err)
				defer mustClose(t, s)
				if o := s.Opened(); !o.HistoryOnly || o.Damage == nil || o.MovedAside != "" {
					t.Errorf("%+v", o)
				}
				if got, err := s.Bans(); err != nil || !slices.Equal(got, bans) {
					t.Errorf("bans %v, %v", got, err)
				}
				must(t, s.PutBan(testBan(s, 9)))
				if err := s.Append(testSample(0)); !errors.Is(err, ErrCorrupt) || s.Health().OK {
					t.Errorf("append: %v; %+v", err, s.Health())
				}
				if got, err := all(s, Minute); !errors.Is(err, ErrCorrupt) {
					t.Errorf("minutes: %v, %v", got, err)
				}
				if got, err := all(s, Hour); err != nil || len(got) == 0 {
					t.Errorf("hours: %v, %v", got, err)
				}
			})
		})
	}
}
