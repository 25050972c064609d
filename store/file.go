package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// FileName is the name of the file in the state directory.
const FileName = "directory.db"

const (
	// maxFile bounds the file, in bytes. Full of bans and history it takes about a fifth.
	maxFile = 32 << 20
	// asideInfix stands between the name of a damaged file and the time at which it was moved.
	asideInfix = ".corrupt-"
	// keptAside is the number of damaged files that are kept.
	keptAside = 3
	// lockTimeout is how long Open waits for a predecessor that is about to end.
	lockTimeout = time.Second
	lockRetry   = 20 * time.Millisecond
)

// lockFile opens the file and locks it, shared for readers, which need it to be there. The lock lasts until
// the file is closed. The error wraps ErrInUse if another process holds it for longer than the timeout.
func lockFile(path string, readOnly bool, timeout time.Duration) (*os.File, error) {
	flags, how := os.O_RDWR|os.O_CREATE, unix.LOCK_EX
	if readOnly {
		flags, how = os.O_RDONLY, unix.LOCK_SH
	}
	for end := time.Now().Add(timeout); ; time.Sleep(lockRetry) {
		// A pipe in its place must not hold us up, and a link not lead us elsewhere.
		f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, err
		}
		fi, err := f.Stat()
		if err == nil && !fi.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", path)
		}
		if err == nil {
			err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		}
		if err == nil {
			// Whoever held it before may have moved it aside.
			if now, e := os.Lstat(path); e == nil && os.SameFile(fi, now) {
				return f, nil
			}
			err = unix.EWOULDBLOCK
		}
		f.Close() // nothing was written
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s: %w", path, ErrInUse)
		}
	}
}

// readImage reads the whole file. One that is longer than any that we write, or cannot be read, is damaged.
func readImage(f *os.File) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxFile {
		return nil, fmt.Errorf("%w: %d bytes are more than there can be", ErrCorrupt, fi.Size())
	}
	image := make([]byte, fi.Size())
	if _, err := f.ReadAt(image, 0); err != nil { // the disk does not give it back
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return image, nil
}

// moveAside renames a damaged file, so that it can be looked at, and returns its new name. It must be the one that
// was found damaged. Of those moved earlier only the newest few are kept.
func moveAside(path string, damaged fs.FileInfo, timeout time.Duration) (string, error) {
	f, err := lockFile(path, false, timeout)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !os.SameFile(fi, damaged) {
		return "", errors.Join(err, fmt.Errorf("%s: %w", path, ErrInUse))
	}
	aside := asideName(path)
	if err := os.Rename(path, aside); err != nil {
		return "", err
	}
	removeOldAside(path)
	return aside, syncDir(filepath.Dir(path))
}

// asideName is where a damaged file is put now.
func asideName(path string) string {
	return path + asideInfix + time.Now().UTC().Format("20060102T150405Z")
}

// removeOldAside removes the files moved aside that are too many.
func removeOldAside(path string) {
	for _, old := range tooManyAside(path) {
		os.Remove(old) // one too many does no harm
	}
}

// tooManyAside returns the files moved aside that are too many, the oldest. Not by a pattern: the path may look like one.
func tooManyAside(path string) (names []string) {
	list, _ := os.ReadDir(filepath.Dir(path)) // sorted; what cannot be read stays
	for _, e := range list {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), filepath.Base(path)+asideInfix) {
			names = append(names, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return names[:max(0, len(names)-keptAside)]
}

// syncDir makes a new name last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
