package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Reasons that errors of this package wrap.
var (
	ErrInUse    = errors.New("in use by another process")
	ErrTooNew   = errors.New("written by a later release")
	ErrTooOld   = errors.New("written by an earlier release, and not yet brought up to date by this one")
	ErrCorrupt  = errors.New("damaged")
	ErrClosed   = errors.New("closed")
	ErrReadOnly = errors.New("open for reading only")
	ErrInvalid  = errors.New("not valid")
	ErrNoBan    = errors.New("no such ban")
	ErrFull     = errors.New("too many bans")
)

// Options of Open. The zero value is right for the server.
type Options struct {
	LockTimeout time.Duration // how long to wait for another process that has the file; 0 for a second

	noSync bool // tests: what a crash would leave is of no interest
}

// Opened is what Open found.
type Opened struct {
	Created    bool   // there was no file, or an empty one
	Unclean    bool   // the last user did not close it, or it is a copy of a store in use; all of it was checked
	Migrated   bool   // the layout was From and is now that of this release
	From       uint64 // version of the layout that was found, 0 for none
	MovedAside string // where the damaged file is now that was there, "" if there was none
	Damage     error  // what was wrong with that

	// HistoryOnly says that no more than the history was damaged: what of it is begins anew, the rest of the file is in use, and
	// MovedAside is a copy ("" if the disk did not take one: then the damaged part is still there, and of no use).
	HistoryOnly bool
}

// A Store is an open file. Its methods may be called at the same time; see "Who waits" for those that write.
type Store struct {
	db       *bbolt.DB
	file     *os.File // the one that db uses
	readOnly bool
	secret   [32]byte
	opened   Opened
	health   health

	// writing is held by the one writer. bbolt has a lock for that, but a panic may leave it locked.
	writing sync.Mutex
	closed  bool        // under writing
	broken  atomic.Bool // bbolt has panicked
}

// Open opens the file for reading and writing, and makes it (mode 0600) where there is none. A damaged one is moved to
// PATH.corrupt-TIME and replaced by an empty one; if only records of the history are damaged, it is copied there, and those
// begin anew. Opened says so. Errors wrap ErrInUse while another process has the
// file, ErrTooNew if a later release wrote it, or what the system said. A disk that is full is no reason not to open
// a file that is there: it is read, and Health says what failed.
func Open(path string, o Options) (*Store, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = lockTimeout
	}
	var aside string
	var damage error
	for {
		s, err := open(path, o)
		if err == nil {
			if damage != nil {
				s.opened.MovedAside, s.opened.Damage = aside, damage
			}
			return s, nil
		}
		var bad *damagedError
		if !errors.As(err, &bad) {
			return nil, fmt.Errorf("store: %w", err)
		}
		if damage != nil { // the new one as well
			return nil, fmt.Errorf("store: %w", bad.error)
		}
		damage = bad.error
		if aside, err = moveAside(path, bad.file, o.LockTimeout); err != nil {
			return nil, fmt.Errorf("store: %w; moving it aside: %w", damage, err)
		}
	}
}

// damagedError names the file that is to be moved aside.
type damagedError struct {
	error
	file fs.FileInfo
}

// open is one attempt of Open.
func open(path string, o Options) (_ *Store, err error) {
	f, err := lockFile(path, false, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if fi.Mode().Perm()&0o077 != 0 {
		f.Chmod(0o600) // a file system without modes must do without
	}
	s := &Store{file: f, opened: Opened{Created: fi.Size() == 0}}
	s.health.start()
	defer func() {
		if err == nil {
			return
		}
		s.release() // what was wrong is in err
		err = fmt.Errorf("%s: %w", path, err)
		if s.opened.Created {
			os.Remove(path) // half a file is of no use
		} else if errors.Is(err, ErrCorrupt) {
			err = &damagedError{err, fi}
		}
	}()
	if err := s.attach(path, o); err != nil {
		return nil, err
	}
	err = s.guard(func() (err error) {
		s.opened.From, err = migrate(s.db, migrations)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.opened.Migrated = !s.opened.Created && s.opened.From != uint64(len(migrations))
	err = s.read()
	var damaged *historyError
	if errors.As(err, &damaged) {
		s.beginHistoryAnew(path, damaged)
	} else if err != nil {
		return nil, err
	}
	if s.opened.Created {
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	// If this fails, the file can still be read; Health has the error.
	s.write("open", func(tx *bbolt.Tx) error {
		if err := setClean(tx, false); err != nil {
			return err
		}
		return purgeBans(tx, time.Now())
	})
	return s, nil
}

// OpenReadOnly opens a file that no server uses, for looking at it: it is neither made nor changed, and several
// may do so at once. Errors wrap fs.ErrNotExist, ErrInUse, ErrTooNew, ErrTooOld or ErrCorrupt.
func OpenReadOnly(path string) (_ *Store, err error) {
	f, err := lockFile(path, true, lockTimeout)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{file: f, readOnly: true}
	s.health.start()
	defer func() {
		if err != nil {
			s.release() // what was wrong is in err
			err = fmt.Errorf("store: %s: %w", path, err)
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() == 0 {
		return nil, fmt.Errorf("it is empty: %w", fs.ErrNotExist)
	}
	if err := s.attach(path, Options{}); err != nil {
		return nil, err
	}
	err = s.view(func(tx *bbolt.Tx) (err error) {
		if s.opened.From, err = schemaVersion(tx); err != nil {
			return err
		}
		if s.opened.From < uint64(len(migrations)) {
			return ErrTooOld
		}
		return checkVersion(s.opened.From, len(migrations))
	})
	if err != nil {
		return nil, err
	}
	if err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

// Opened returns what Open found.
func (s *Store) Opened() Opened { return s.opened }

// allocate is by how much the file grows at once, in bytes.
const allocate = 256 << 10

// attach checks the locked file and hands it to bbolt.
func (s *Store) attach(path string, o Options) error {
	if !s.opened.Created {
		data, err := readImage(s.file)
		if err != nil {
			return err
		}
		if err := checkImage(data); err != nil {
			return err
		}
	}
	return s.guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{
			OpenFile: func(string, int, fs.FileMode) (*os.File, error) { return s.file, nil },
			Timeout:  lockTimeout, // we have the lock
			ReadOnly: s.readOnly,
			NoSync:   o.noSync,
			// Mapped as a whole from the beginning, it is never mapped anew, which would have to wait for readers.
			InitialMmapSize: maxFile,
			MaxSize:         maxFile,
			NoStatistics:    true,
		})
		if err != nil {
			return err
		}
		db.AllocSize = allocate
		s.db = db
		return nil
	})
}

// read checks the records and takes what is kept in memory, also if the error is a historyError.
func (s *Store) read() error {
	return s.view(func(tx *bbolt.Tx) error {
		err := checkRecords(tx)
		var damaged *historyError
		if err == nil || errors.As(err, &damaged) {
			err = cmp.Or(s.load(tx), err)
		}
		return err
	})
}

// Close notes that the file is complete and closes it. Uses that are under way end first, later ones fail with
// ErrClosed. The file is closed even if there is an error.
func (s *Store) Close() error {
	var err error
	if !s.readOnly {
		err = s.write("close", func(tx *bbolt.Tx) error { return setClean(tx, true) })
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(err, s.release())
}

// release gives file and lock back.
func (s *Store) release() error {
	if s.db == nil || s.broken.Load() {
		// bbolt may hold locks that it will never give back. The map stays until the process ends, and would keep
		// the file locked.
		return errors.Join(unix.Flock(int(s.file.Fd()), unix.LOCK_UN), s.file.Close())
	}
	return s.guard(s.db.Close)
}
