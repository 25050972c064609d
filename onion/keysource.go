package onion

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"
)

// maxKeySource bounds what is read where a key should be, also after
// decompression. A HiddenServiceDir has a few hundred bytes.
const maxKeySource = 1 << 20

// FoundKey is a verified key and where it was found.
type FoundKey struct {
	// Key is the identity.
	Key SecretKey
	// Path is the file or directory it was read from; "" for a stream.
	Path string
	// Modified is when the secret key file was written; zero if nothing says so.
	Modified time.Time
	// Warnings are what the operator should know of the place, as sentences.
	Warnings []string
}

// ReadKey reads and verifies the key at path: a HiddenServiceDir of C Tor, one
// directory of mkp224o's output or the directory with that one directory in
// it, a bare hs_ed25519_secret_key (checked against the two files beside it,
// if they are there), or a tar of a HiddenServiceDir, also gzip-compressed. It
// writes nothing, and whoever owns the files may be another user. The error
// wraps fs.ErrNotExist if there is no key.
func ReadKey(path string) (FoundKey, error) {
	f, err := os.Open(path) // a pipe may be what the operator means, so it may block
	if err != nil {
		return FoundKey{}, fmt.Errorf("onion key: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return FoundKey{}, fmt.Errorf("onion key: %w", err)
	}
	if fi.IsDir() {
		found, err := ReadKeyDir(path)
		if errors.Is(err, fs.ErrNotExist) {
			if inner, e := onlyKeyBelow(path); e != nil || inner != "" {
				if e != nil {
					return FoundKey{}, e
				}
				return ReadKeyDir(inner)
			}
		}
		return found, err
	}
	b, err := readAtMost(f, maxKeySource)
	defer wipe(b)
	if err != nil {
		return FoundKey{}, fmt.Errorf("onion key: %s: %w", path, err)
	}
	if fi.Mode().IsRegular() && filepath.Base(path) == secretName && isBareKey(b) {
		return ReadKeyDir(filepath.Dir(path))
	}
	found := FoundKey{Path: path}
	if found.Key, err = ParseKeyStream(b); err != nil {
		return FoundKey{}, fmt.Errorf("%w (in %s)", err, path)
	}
	if fi.Mode().IsRegular() {
		found.Modified = fi.ModTime()
		found.Warnings = openToOthers(path, fi)
	}
	return found, nil
}

// ReadKeyDir is LoadKey for a directory that another user may own and others
// may read, which is a warning then. It writes nothing.
func ReadKeyDir(dir string) (FoundKey, error) {
	found := FoundKey{Path: dir}
	files := map[string][]byte{}
	for _, name := range []string{secretName, publicName, hostnameName} {
		b, fi, err := readSourceFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return FoundKey{}, fmt.Errorf("onion key: %w", err)
		}
		files[name] = b
		defer wipe(b)
		if name == secretName {
			found.Modified = fi.ModTime()
			found.Warnings = openToOthers(filepath.Join(dir, name), fi)
		}
	}
	if files[secretName] == nil {
		for _, name := range []string{publicName, hostnameName} {
			if files[name] != nil {
				return FoundKey{}, fmt.Errorf("onion key: %s is there but %s is missing", filepath.Join(dir, name), secretName)
			}
		}
		return FoundKey{}, fmt.Errorf("onion key: no %s in %s: %w", secretName, dir, fs.ErrNotExist)
	}
	var err error
	if found.Key, err = ParseKey(files[secretName], files[publicName], files[hostnameName]); err != nil {
		return FoundKey{}, fmt.Errorf("%w (in %s)", err, dir)
	}
	return found, nil
}

// onlyKeyBelow is the one directory *.onion in dir that holds a secret key, as
// mkp224o leaves it; "" if there is none.
func onlyKeyBelow(dir string) (string, error) {
	below, err := filepath.Glob(filepath.Join(globQuote(dir), "*.onion", secretName))
	if err != nil {
		return "", fmt.Errorf("onion key: %w", err)
	}
	switch len(below) {
	case 0:
		return "", nil
	case 1:
		return filepath.Dir(below[0]), nil
	default:
		return "", fmt.Errorf("onion key: %d keys below %s: name the directory of one, such as %s", len(below), dir, filepath.Dir(below[0]))
	}
}

// readSourceFile reads a small regular file, whoever owns it.
func readSourceFile(name string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a file", name)
	}
	b, err := readAtMost(f, maxKeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, fi, nil
}

// ParseKeyStream verifies a key that came as one piece: a bare
// hs_ed25519_secret_key, or a tar of a HiddenServiceDir, also gzip-compressed.
func ParseKeyStream(b []byte) (SecretKey, error) {
	switch {
	case len(b) == 0:
		return SecretKey{}, errors.New("onion key: the input is empty")
	case len(b) > maxKeySource:
		return SecretKey{}, fmt.Errorf("onion key: %w", errTooLong)
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}): // gzip (RFC 1952)
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return SecretKey{}, fmt.Errorf("onion key: gzip: %w", err)
		}
		inside, err := readAtMost(z, maxKeySource)
		defer wipe(inside)
		if err != nil {
			return SecretKey{}, fmt.Errorf("onion key: gzip: %w", err)
		}
		return parseKeyTar(inside)
	case isBareKey(b):
		return ParseKey(b, nil, nil)
	default:
		return parseKeyTar(b)
	}
}

// isBareKey says that b can only have been meant as a key file: it has its
// first bytes, or is shorter than any tar.
func isBareKey(b []byte) bool {
	return bytes.HasPrefix(b, []byte(secretTag[:13])) || len(b) < 512
}

// parseKeyTar verifies the one key in a tar; other files are passed over.
func parseKeyTar(b []byte) (SecretKey, error) {
	dirs := map[string]map[string][]byte{}
	secret := ""
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return SecretKey{}, fmt.Errorf("onion key: neither %s nor a tar of its directory: %w", secretName, err)
		}
		dir, name := path.Split(path.Clean(h.Name))
		if name != secretName && name != publicName && name != hostnameName {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return SecretKey{}, fmt.Errorf("onion key: %s in the tar is not a regular file", name)
		}
		if dirs[dir] == nil {
			dirs[dir] = map[string][]byte{}
		}
		if dirs[dir][name] != nil || name == secretName && secret != "" {
			return SecretKey{}, fmt.Errorf("onion key: more than one %s in the tar: make a tar of one directory", name)
		}
		if dirs[dir][name], err = readAtMost(r, maxKeyFile); err != nil {
			return SecretKey{}, fmt.Errorf("onion key: %s in the tar: %w", name, err)
		}
		if name == secretName {
			secret = dir + name
		}
	}
	if secret == "" {
		return SecretKey{}, fmt.Errorf("onion key: no %s in the tar", secretName)
	}
	files := dirs[secret[:len(secret)-len(secretName)]]
	defer wipe(files[secretName])
	return ParseKey(files[secretName], files[publicName], files[hostnameName])
}

var errTooLong = fmt.Errorf("longer than any key: give the %s, or a tar of its directory alone", secretName)

// readAtMost reads all of r, and refuses more than n bytes. What it returns is the
// only copy.
func readAtMost(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, 0, min(n+1, 4096))
	for {
		read, err := r.Read(b[len(b):min(cap(b), n+1)])
		b = b[:len(b)+read]
		switch {
		case len(b) > n:
			wipe(b)
			return nil, errTooLong
		case err == io.EOF:
			return b, nil
		case err != nil:
			wipe(b)
			return nil, err
		case len(b) == cap(b):
			more := append(make([]byte, 0, 2*cap(b)), b...)
			wipe(b)
			b = more
		}
	}
}

// openToOthers warns of a secret that more users than its owner can read.
func openToOthers(path string, fi fs.FileInfo) []string {
	if fi.Mode().Perm()&0o044 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("others than its owner can read %s (mode %04o): whoever has read it can take over the address", path, fi.Mode().Perm())}
}
