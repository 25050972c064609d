package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"jm-directory-server/onion"
)

// A backup is a tar, encrypted with age. Its first entry is the manifest, then come the entries that this
// names, in its order: key.tar, config/NAME and store/NAME.db.
const (
	backupFormat   = 1
	manifestName   = "manifest.json"
	keyEntry       = "key.tar"
	configFolder   = "config/"
	storeFolder    = "store/"
	maxManifest    = 1 << 20
	maxBackupEntry = 1 << 40 // bytes; what a disk holds is less
)

// manifest says what a backup has to contain.
type manifest struct {
	Format   int             `json:"format"`
	Created  time.Time       `json:"created"`
	Version  string          `json:"version"`
	Address  string          `json:"address"`
	StateDir string          `json:"state_dir"`
	Entries  []manifestEntry `json:"entries"`
}

type manifestEntry struct {
	Name   string      `json:"name"`
	Mode   fs.FileMode `json:"mode"`
	Size   int64       `json:"size"`
	SHA256 string      `json:"sha256"`
}

// write writes the tar.
func (b *backup) write(w io.Writer) error {
	var key bytes.Buffer
	if err := b.key.WriteTar(&key); err != nil {
		return err
	}
	m := manifest{Format: backupFormat, Created: time.Now().UTC().Truncate(time.Second), Version: version, Address: b.key.Address(), StateDir: b.stateDir}
	m.Entries = []manifestEntry{describe(keyEntry, 0o600, key.Bytes())}
	contents := []func() (io.ReadCloser, error){func() (io.ReadCloser, error) { return io.NopCloser(&key), nil }}
	add := func(name, file string) error {
		e, err := describeFile(name, file)
		if err == nil {
			m.Entries = append(m.Entries, e)
			contents = append(contents, func() (io.ReadCloser, error) { return os.Open(file) })
		}
		return err
	}
	if b.config != "" {
		if err := add(configFolder+filepath.Base(b.config), b.config); err != nil {
			return err
		}
	}
	for _, file := range b.store {
		name := storeFolder + filepath.Base(file.path)
		if file.copy != nil {
			m.Entries = append(m.Entries, describe(name, 0o600, file.copy))
			contents = append(contents, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.copy)), nil })
		} else if err := add(name, file.path); err != nil {
			return err
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := addEntry(t, describe(manifestName, 0o600, text), bytes.NewReader(text)); err != nil {
		return err
	}
	for i, open := range contents {
		r, err := open()
		if err != nil {
			return err
		}
		err = addEntry(t, m.Entries[i], r)
		r.Close() // it was only read
		if err != nil {
			return fmt.Errorf("%s: %w", m.Entries[i].Name, err)
		}
	}
	return t.Close()
}

// addEntry writes what e describes; content that has changed since is an error.
func addEntry(t *tar.Writer, e manifestEntry, content io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Mode: int64(e.Mode), Size: e.Size, Format: tar.FormatPAX}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(t, sum), content)
	if err != nil {
		return err
	}
	if n != e.Size || hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return errors.New("it changed while it was read")
	}
	return nil
}

func describe(name string, mode fs.FileMode, content []byte) manifestEntry {
	sum := sha256.Sum256(content)
	return manifestEntry{name, mode, int64(len(content)), hex.EncodeToString(sum[:])}
}

func describeFile(name, file string) (manifestEntry, error) {
	f, err := os.Open(file)
	if err != nil {
		return manifestEntry{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return manifestEntry{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return manifestEntry{}, err
	}
	return manifestEntry{name, fi.Mode().Perm(), n, hex.EncodeToString(sum.Sum(nil))}, nil
}

// unpacked is a backup, all of it verified. What is in it lies in a directory, but for the key, of which there should be no copy
// if we are killed.
type unpacked struct {
	manifest
	dir string
	key onion.SecretKey
}

// unpack reads the tar, all but the key into dir, which is empty and private, and verifies all of it.
func unpack(r io.Reader, dir string) (*unpacked, error) {
	u := &unpacked{dir: dir}
	t := tar.NewReader(r)
	h, err := t.Next()
	if err != nil {
		return nil, err
	}
	if h.Name != manifestName || h.Size > maxManifest {
		return nil, errors.New("it is not a backup of jm-directory-server")
	}
	text, err := io.ReadAll(t)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &u.manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if u.Format != backupFormat {
		return nil, fmt.Errorf("it has format %d, this version reads format %d", u.Format, backupFormat)
	}
	seen := map[string]bool{}
	for _, e := range u.Entries {
		if !validEntry(e.Name) || seen[e.Name] || e.Size < 0 || e.Size > maxBackupEntry {
			return nil, fmt.Errorf("%q cannot be in a backup", e.Name)
		}
		seen[e.Name] = true
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, noEOF(err))
		}
		if h.Typeflag != tar.TypeReg || h.Name != e.Name || h.Size != e.Size {
			return nil, fmt.Errorf("%s is not what the manifest says", e.Name)
		}
		if e.Name == keyEntry {
			err = u.takeKey(t, e)
		} else {
			err = unpackEntry(t, e, filepath.Join(dir, filepath.FromSlash(e.Name)))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return nil, errors.New("there is more in it than the manifest says")
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // the last chunk is verified when it is read
		return nil, err
	}
	switch {
	case !seen[keyEntry]:
		return nil, errors.New("there is no key in it")
	case u.key.Address() != u.Address:
		return nil, errors.New("the key has another address than the manifest says")
	}
	return u, nil
}

// takeKey reads the key of the backup.
func (u *unpacked) takeKey(r io.Reader, e manifestEntry) error {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyInput))
	if err != nil {
		return noEOF(err)
	}
	if describe(e.Name, e.Mode, text) != e {
		return errContent
	}
	u.key, err = onion.ParseKeyStream(text)
	return err
}

var errContent = errors.New("the content is not what the manifest says")

func unpackEntry(r io.Reader, e manifestEntry, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), r); err != nil {
		return noEOF(err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return errContent
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// validEntry accepts the names that write makes, and none that leads elsewhere.
func validEntry(name string) bool {
	if name == keyEntry {
		return true
	}
	folder, base, _ := strings.Cut(name, "/")
	local := base != "" && base[0] != '.' && !strings.ContainsAny(base, "/\x00")
	return local && (folder+"/" == configFolder || folder+"/" == storeFolder && filepath.Ext(base) == ".db")
}

// noEOF names an end where there should be none.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
