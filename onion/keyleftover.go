package onion

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What begins the names of directories in the state directory while a key is
// put there.
const (
	freshKeyDir = ".onion-"    // a key that is in use nowhere yet
	swapKeyDir  = ".replaced-" // the new key right before it takes the place of an old one, the old one right after
)

// ClearKeyDirs removes what an InstallKey that was killed has left in the state
// directory, and finishes what must not be undone: an old key that was just
// replaced gets its name, which is in kept, and a new one whose place is empty
// goes there. It touches directories only that InstallKey has made and we, or
// the owner of the state directory if we are root, own. The caller holds the
// lock of the state directory.
func ClearKeyDirs(stateDir string) (kept []string, err error) {
	list, err := os.ReadDir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range list {
		left := filepath.Join(stateDir, e.Name())
		switch {
		case !e.IsDir() || !ownedAsState(stateDir, left):
		case strings.HasPrefix(e.Name(), freshKeyDir) && hasKeyFilesOnly(left):
			err = errors.Join(err, os.RemoveAll(left))
		case strings.HasPrefix(e.Name(), swapKeyDir):
			var aside string
			var e error
			secretly(func() { aside, e = finishSwap(stateDir, left) }) // a server that starts is not to know a key from it
			if err = errors.Join(err, e); aside != "" {
				kept = append(kept, aside)
			}
		}
	}
	return kept, err
}

// finishSwap is what exchange had yet to do with one of its directories.
func finishSwap(stateDir, left string) (aside string, err error) {
	dir := KeyDir(stateDir)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) { // a file system without exchange
		return "", os.Rename(left, dir)
	}
	key, err := ReadKeyDir(left)
	if now, e := ReadKeyDir(dir); err == nil && e == nil && now.Key.public == key.Key.public {
		return "", os.RemoveAll(left)
	}
	if aside, err = unusedName(asideName(dir, key, err)); err != nil {
		return "", err
	}
	return aside, os.Rename(left, aside)
}

// ownedAsState says that a directory is ours or, if we are root, that of the
// owner of the state directory.
func ownedAsState(stateDir, dir string) bool {
	owner := func(path string) int {
		fi, err := os.Lstat(path)
		if err != nil {
			return -1
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return -1
		}
		return int(st.Uid)
	}
	uid := owner(dir)
	return uid == os.Geteuid() || os.Geteuid() == 0 && uid >= 0 && uid == owner(stateDir)
}

// hasKeyFilesOnly says that there is nothing in dir but what writeKeyFile
// writes for a key, whole or in part.
func hasKeyFilesOnly(dir string) bool {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		known := false
		for _, name := range []string{secretName, publicName, hostnameName} {
			known = known || e.Name() == name || strings.HasPrefix(e.Name(), "."+name+"-")
		}
		if !known || !e.Type().IsRegular() {
			return false
		}
	}
	return err == nil
}
