package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// guard uses bbolt. A panic, and a fault in the memory map (the file was cut short, or the disk does not give it
// back), becomes an error that wraps ErrCorrupt. bbolt may then hold locks that nobody gives back, so it is not
// used again.
func (s *Store) guard(use func() error) (err error) {
	if s.broken.Load() {
		return fmt.Errorf("%w: it failed before, a restart is needed", ErrCorrupt)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			s.broken.Store(true)
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	err = use()
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = ErrClosed
	}
	return err
}

// view reads in one transaction.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.View(f) })
}

// write changes the file in one transaction, all of it or nothing. What f returns as an error counts as a
// failure of the disk; an answer to the caller it must return otherwise.
func (s *Store) write(what string, f func(*bbolt.Tx) error) error {
	if s.readOnly {
		return fmt.Errorf("store: %s: %w", what, ErrReadOnly)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.health.begin()
	err := s.guard(func() error { return s.db.Update(f) })
	if errors.Is(err, ErrClosed) {
		s.health.abandon()
		return fmt.Errorf("store: %s: %w", what, err)
	}
	if err != nil {
		err = fmt.Errorf("store: %s: %w", what, err)
	}
	s.health.note(err)
	return err
}

// copyChunk is how much of a copy is written at once, in bytes.
const copyChunk = 64 << 10

// WriteTo writes a consistent copy of the file, which Open opens, while the store is in use; it counts as not
// closed. The copy is made in memory first (the file is small, and has a bound), so a w that is slow holds up
// nobody, and is checked before anything is written.
func (s *Store) WriteTo(ctx context.Context, w io.Writer) error {
	var b bytes.Buffer
	err := s.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(&b)
		return err
	})
	if err == nil {
		err = checkImage(b.Bytes())
	}
	for err == nil && b.Len() > 0 {
		if err = ctx.Err(); err == nil {
			_, err = w.Write(b.Next(copyChunk))
		}
	}
	if err != nil {
		return fmt.Errorf("store: copy: %w", err)
	}
	return nil
}
