package onion

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrOtherKey: a key would take the place of another identity.
var ErrOtherKey = errors.New("another identity is there")

// KeyDir is where the key lies in a state directory.
func KeyDir(stateDir string) string { return filepath.Join(stateDir, "onion") }

// keyFiles are the files of a HiddenServiceDir, the secret first: the others
// can be made from it.
func (k SecretKey) keyFiles() keyFiles {
	return keyFiles{{secretName, k.secretFile()}, {publicName, k.publicFile()}, {hostnameName, k.hostnameFile()}}
}

type keyFile struct {
	name string
	data []byte
}

type keyFiles []keyFile

// wipe overwrites their contents.
func (l keyFiles) wipe() {
	for _, f := range l {
		wipe(f.data)
	}
}

// InstallKey puts key in the state directory (created 0700), in one step: a
// crash leaves the old key or the new one, and what ClearKeyDirs clears. It does nothing if that identity is
// there already. For another one, or files that cannot be verified, the error
// wraps ErrOtherKey; with replace these are kept, and aside is the directory,
// named after their address. Run by root, the files get the owner of the state
// directory. The caller holds the lock of the state directory.
func InstallKey(stateDir string, key SecretKey, replace bool) (aside string, err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrOtherKey) {
			err = fmt.Errorf("install onion key: %w", err)
		}
	}()
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return "", err
	}
	dir := KeyDir(stateDir)
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	occupied := len(list) > 0
	if occupied {
		old, err := ReadKeyDir(dir)
		switch {
		case err == nil && old.Key.public == key.public:
			return "", nil
		case replace:
			if aside, err = unusedName(asideName(dir, old, err)); err != nil {
				return "", err
			}
		case err == nil:
			return "", fmt.Errorf("%w: %s holds the key of %s", ErrOtherKey, dir, old.Key.Address())
		default:
			return "", fmt.Errorf("%w, and cannot be verified: %w", ErrOtherKey, err)
		}
	}
	fresh, err := os.MkdirTemp(stateDir, freshKeyDir) // mode 0700
	if err != nil {
		return "", err
	}
	done := false
	defer func() {
		if !done { // else it has become the key directory, or holds the old key
			os.RemoveAll(fresh)
		}
	}()
	if err := key.fill(fresh); err != nil {
		return "", err
	}
	if err := giveToOwnerOf(stateDir, fresh); err != nil {
		return "", err
	}
	if occupied {
		written := fresh
		fresh = filepath.Join(stateDir, swapKeyDir+strings.TrimPrefix(filepath.Base(written), freshKeyDir))
		if err := os.Rename(written, fresh); err != nil {
			fresh = written
			return "", err
		}
		done, err = exchange(fresh, dir, aside)
	} else {
		err = os.Rename(fresh, dir) // over an empty directory, too
		done = err == nil
	}
	if err != nil {
		return "", err
	}
	return aside, syncDir(stateDir)
}

// exchange puts fresh in the place of dir, and dir to aside, so that there is a
// key at dir at any time. With done the new key is at dir, whatever err says of
// the old one; without, nothing has changed.
func exchange(fresh, dir, aside string) (done bool, err error) {
	err = unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if err == nil {
		if err := os.Rename(fresh, aside); err != nil {
			return true, fmt.Errorf("the new key is in place, the old one is now in %s: %w", fresh, err)
		}
		return true, nil
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return false, fmt.Errorf("exchange %s and %s: %w", fresh, dir, err)
	}
	// A file system without exchange.
	if err := os.Rename(dir, aside); err != nil {
		return false, err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return false, errors.Join(err, os.Rename(aside, dir))
	}
	return true, nil
}

// asideName is where the key in dir is kept when another takes its place: err is
// why it could not be verified, if so.
func asideName(dir string, old FoundKey, err error) string {
	if err == nil {
		return dir + "-" + old.Key.Address()
	}
	return dir + "-unverified-" + time.Now().UTC().Format("20060102T150405Z")
}

// unusedName is name, or name with the first number that makes it unused.
func unusedName(name string) (string, error) {
	for i := 1; i < 1000; i++ {
		try := name
		if i > 1 {
			try += "-" + strconv.Itoa(i)
		}
		if _, err := os.Lstat(try); errors.Is(err, fs.ErrNotExist) {
			return try, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s and all its numbers: %w", name, fs.ErrExist)
}

// WriteDir writes the key to dir as C Tor and mkp224o have it: three files,
// 0600, in a directory, 0700. The directory must not be there or be empty;
// else the error wraps fs.ErrExist.
func (k SecretKey) WriteDir(dir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write onion key: %w", err)
		}
	}()
	list, err := os.ReadDir(dir)
	switch {
	case err == nil && len(list) > 0:
		return fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	case err == nil:
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
		return k.fill(dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, ".key-") // parent may be a state directory whose lock is another's
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) // after the rename there is none
	if err := k.fill(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return err
	}
	return syncDir(parent)
}

// WriteTar writes the key as a tar of the directory that WriteDir makes, named
// after the address as mkp224o does.
func (k SecretKey) WriteTar(w io.Writer) error {
	t := tar.NewWriter(w)
	now := time.Now().Truncate(time.Second)
	err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: k.Address() + "/", Mode: 0o700, ModTime: now})
	for _, f := range k.keyFiles() {
		if err == nil {
			err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: k.Address() + "/" + f.name, Mode: 0o600, Size: int64(len(f.data)), ModTime: now})
		}
		if err == nil {
			_, err = t.Write(f.data)
		}
	}
	if err == nil {
		err = t.Close()
	}
	if err != nil {
		return fmt.Errorf("write onion key: %w", err)
	}
	return nil
}

// fill writes the files of the key to an empty directory of ours, and reads
// them back as they will be read before Tor is given them.
func (k SecretKey) fill(dir string) error {
	if err := k.write(dir); err != nil {
		return err
	}
	again, err := LoadKey(dir)
	if err != nil {
		return err
	}
	if again != k {
		return fmt.Errorf("%s does not hold what was written there", dir)
	}
	return nil
}

// giveToOwnerOf gives dir and the files in it to the owner of parent, if we are
// root; whoever else runs this owns them already.
func giveToOwnerOf(parent, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(parent)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: the owner cannot be told", parent)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range []string{secretName, publicName, hostnameName, "."} {
		if err := root.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
