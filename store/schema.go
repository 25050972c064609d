package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

var (
	metaBucket = []byte("meta")
	bansBucket = []byte("bans")

	schemaKey = []byte("schema")
	secretKey = []byte("secret")
	cleanKey  = []byte("clean")
)

// migrations lead from each version of the layout to the next: the first from 0, a file with nothing in it, to 1. A new
// version is one more function here; what an old one does is never changed.
var migrations = []func(*bbolt.Tx) error{
	createVersion1,
}

// createVersion1 makes the buckets and the secret.
func createVersion1(tx *bbolt.Tx) error {
	for _, name := range []string{"meta", "bans", "minutes", "hours", "days"} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	return put(tx.Bucket(metaBucket), secretKey, secret[:])
}

// schemaVersion returns the version of the layout.
func schemaVersion(tx *bbolt.Tx) (uint64, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return 0, fmt.Errorf("%w: a file of another program", ErrCorrupt)
		}
		return 0, nil
	}
	v, err := get(meta, schemaKey)
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("%w: no version", ErrCorrupt)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// checkVersion refuses a file that a later release has written: it would be read wrongly.
func checkVersion(file uint64, known int) error {
	if file > uint64(known) {
		return fmt.Errorf("%w: it has version %d, this release knows up to %d", ErrTooNew, file, known)
	}
	return nil
}

// migrate brings the layout up to the last version in one transaction, and returns the version it had.
func migrate(db *bbolt.DB, table []func(*bbolt.Tx) error) (from uint64, err error) {
	err = db.View(func(tx *bbolt.Tx) (err error) {
		if from, err = schemaVersion(tx); err != nil {
			return err
		}
		return checkVersion(from, len(table))
	})
	if err != nil || from == uint64(len(table)) {
		return from, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for v, next := range table[from:] {
			if err := next(tx); err != nil {
				return fmt.Errorf("from version %d to %d: %w", from+uint64(v), from+uint64(v)+1, err)
			}
		}
		return put(tx.Bucket(metaBucket), schemaKey, binary.BigEndian.AppendUint64(nil, uint64(len(table))))
	})
	return from, err
}

// load reads what is in the meta bucket besides the version.
func (s *Store) load(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	secret, err := get(meta, secretKey)
	if err == nil && len(secret) != len(s.secret) {
		err = fmt.Errorf("%w: no secret", ErrCorrupt)
	}
	if err != nil {
		return err
	}
	copy(s.secret[:], secret)
	clean, err := get(meta, cleanKey)
	if err != nil {
		return err
	}
	s.opened.Unclean = clean != nil && (len(clean) != 1 || clean[0] != 1)
	return nil
}

// setClean notes whether the file is closed.
func setClean(tx *bbolt.Tx, clean bool) error {
	v := []byte{0}
	if clean {
		v[0] = 1
	}
	return put(tx.Bucket(metaBucket), cleanKey, v)
}
