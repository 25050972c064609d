package store

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// A historyError says that records of the history are damaged, and that nothing else is. It wraps ErrCorrupt.
type historyError struct {
	error
	in []Resolution // that have damaged records
}

// Unwrap returns what is wrong with the first of them.
func (e *historyError) Unwrap() error { return e.error }

// beginHistoryAnew replaces those resolutions of the history that have damaged records by empty ones, once a copy of the
// file is put aside. Where the disk takes neither, they stay as they are: they can be neither read nor added to, which
// Health says from the first minute on, and bans are kept all the same.
func (s *Store) beginHistoryAnew(path string, e *historyError) {
	s.opened.Damage, s.opened.HistoryOnly = fmt.Errorf("%s: %w", path, e), true
	aside, err := copyAside(path, s.file)
	if err != nil {
		s.health.note(fmt.Errorf("store: copy of the damaged file: %w", err))
		return
	}
	s.opened.MovedAside = aside
	s.write("history begun anew", func(tx *bbolt.Tx) error { // Health has the error
		for _, res := range e.in {
			if tx.Bucket(res.bucket()) != nil {
				if err := tx.DeleteBucket(res.bucket()); err != nil {
					return err
				}
			}
			if _, err := tx.CreateBucket(res.bucket()); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyAside writes a copy of a file that is damaged in part to where moveAside would put it, and returns its name.
func copyAside(path string, f *os.File) (aside string, err error) {
	image, err := readImage(f)
	if err != nil {
		return "", err
	}
	aside = asideName(path)
	to, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	_, err = to.Write(image)
	if err == nil {
		err = to.Sync()
	}
	if e := to.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(aside) // half a copy is of no use
		return "", err
	}
	removeOldAside(path)
	return aside, syncDir(filepath.Dir(path))
}
