package onion

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	secretName   = "hs_ed25519_secret_key"
	publicName   = "hs_ed25519_public_key"
	hostnameName = "hostname"
	// maxKeyFile bounds what is read of a key file; the longest valid one has
	// 96 bytes.
	maxKeyFile = 4096
)

// LoadKey reads and verifies the key in dir, a HiddenServiceDir, before Tor
// sees it: Tor silently replaces a secret key file with a wrong tag by a new
// identity. A missing public key or hostname file is written anew. The error
// wraps fs.ErrNotExist if dir holds no key at all; wrong owners and modes are
// errors that say what to do.
func LoadKey(dir string) (SecretKey, error) {
	if err := checkPrivate(dir, true); err != nil {
		return SecretKey{}, fmt.Errorf("onion key: %w", err)
	}
	secret, err := readKeyFile(dir, secretName)
	defer wipe(secret)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			// Half a key must not be taken for none: the address would change.
			for _, other := range []string{publicName, hostnameName} {
				if _, e := os.Lstat(filepath.Join(dir, other)); e == nil {
					return SecretKey{}, fmt.Errorf("onion key: %s is there but %s is missing: restore it, or move %s away to get a new address", filepath.Join(dir, other), secretName, dir)
				}
			}
		}
		return SecretKey{}, err
	}
	public, err := readKeyFile(dir, publicName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SecretKey{}, err
	}
	hostname, err := readKeyFile(dir, hostnameName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SecretKey{}, err
	}
	key, err := ParseKey(secret, public, hostname)
	if err != nil {
		return SecretKey{}, fmt.Errorf("%w (in %s)", err, dir)
	}
	if public == nil {
		if err := writeKeyFile(dir, publicName, key.publicFile()); err != nil {
			return SecretKey{}, err
		}
	}
	if hostname == nil {
		if err := writeKeyFile(dir, hostnameName, key.hostnameFile()); err != nil {
			return SecretKey{}, err
		}
	}
	return key, nil
}

// CreateKey makes dir (0700) and a new key in it (0600). It never replaces a
// key: the error then wraps fs.ErrExist.
func CreateKey(dir string) (SecretKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return SecretKey{}, fmt.Errorf("onion key: %w", err)
	}
	if err := checkPrivate(dir, true); err != nil {
		return SecretKey{}, fmt.Errorf("onion key: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, secretName)); err == nil {
		return SecretKey{}, fmt.Errorf("onion key: %s: %w", filepath.Join(dir, secretName), fs.ErrExist)
	}
	key, err := GenerateKey()
	if err != nil {
		return SecretKey{}, err
	}
	if err := key.write(dir); err != nil {
		return SecretKey{}, err
	}
	return key, nil
}

// write writes the files of the key to dir.
func (k SecretKey) write(dir string) error {
	files := k.keyFiles()
	defer files.wipe()
	for _, f := range files {
		if err := writeKeyFile(dir, f.name, f.data); err != nil {
			return err
		}
	}
	return nil
}

// keptIdentity makes or finds the key in dir and returns whose it is.
func keptIdentity(dir string) (id identity, err error) {
	secretly(func() {
		var key SecretKey
		key, err = loadOrCreateKey(dir)
		id = key.public
	})
	return id, err
}

// takenIdentity returns whose key Tor has in dir: it writes both public files
// anew when it makes a key.
func takenIdentity(dir string) (identity, error) {
	var id identity
	public, err := readKeyFile(dir, publicName)
	if err != nil {
		return id, err
	}
	body, err := untag(publicName, publicTag, public, len(id))
	if err != nil {
		return id, err
	}
	copy(id[:], body)
	hostname, err := readKeyFile(dir, hostnameName)
	if err == nil && string(hostname) != id.Address()+"\n" {
		err = errors.New("onion key: hostname does not belong to hs_ed25519_public_key")
	}
	return id, err
}

// loadOrCreateKey is LoadKey, and CreateKey on the first run.
func loadOrCreateKey(dir string) (SecretKey, error) {
	key, err := LoadKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return CreateKey(dir)
	}
	return key, err
}

// readKeyFile reads a file that only its owner may read. A missing file is
// fs.ErrNotExist and nil bytes.
func readKeyFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hang us
	if err != nil {
		return nil, fmt.Errorf("onion key: %w", err)
	}
	defer f.Close()
	if err := checkPrivate(path, false); err != nil {
		return nil, fmt.Errorf("onion key: %w", err)
	}
	b, err := readAtMost(f, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("onion key: %s: %w", path, err)
	}
	return b, nil
}

// writeKeyFile replaces a file as a whole: a crash leaves the old one or the
// new one.
func writeKeyFile(dir, name string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("onion key: write %s: %w", name, err)
		}
	}()
	f, err := os.CreateTemp(dir, "."+name+"-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is none
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// checkPrivate refuses a path that somebody else owns or may read, and one of
// the wrong kind. Tor asks the same of a HiddenServiceDir.
func checkPrivate(path string, dir bool) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	kind, mode := "file", "600"
	if dir {
		kind, mode = "directory", "700"
	}
	if fi.IsDir() != dir || (!dir && !fi.Mode().IsRegular()) {
		return fmt.Errorf("%s is not a %s", path, kind)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to user %d who runs this: chown %d %q", path, st.Uid, os.Geteuid(), os.Geteuid(), path)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is open to others (mode %04o): chmod %s %q", path, fi.Mode().Perm(), mode, path)
	}
	return nil
}
