package onion

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the room in sockaddr_un, without the closing NUL.
const maxSocketPath = 107

// The sockets that we listen on: for Tor with the streams of clients, and for the dialer.
const (
	serviceSocket = "onion.sock"
	dialedSocket  = "dialed.sock"
)

// runtimeDir is our directory for what lives no longer than the process. While
// we hold its lock nobody else uses it.
type runtimeDir struct {
	path  string
	lock  *os.File
	short string // a second directory, where path is too long for a socket
}

// openRuntimeDir makes the directory and locks it, and clears away what a
// killed predecessor left there. The error wraps ErrInUse if it is locked.
func openRuntimeDir(path string) (*runtimeDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("runtime directory: %w", err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("runtime directory: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("runtime directory: %s belongs to user %d, not to user %d who runs this: chown %d %q", path, st.Uid, os.Geteuid(), os.Geteuid(), path)
	}
	if fi.Mode().Perm()&0o022 != 0 { // others could replace the socket
		return nil, fmt.Errorf("runtime directory: %s may be written by others (mode %04o): chmod 700 %q", path, fi.Mode().Perm(), path)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("runtime directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("runtime directory: %s: %w", path, ErrInUse)
		}
		return nil, fmt.Errorf("runtime directory: lock %s: %w", path, err)
	}
	d := &runtimeDir{path: path, lock: lock}
	for _, pattern := range []string{serviceSocket, "socks.sock", dialedSocket, "ephemeral-*", "tor-exe-*"} {
		left, _ := filepath.Glob(filepath.Join(globQuote(path), pattern)) // the pattern is valid
		for _, p := range left {
			if err := os.RemoveAll(p); err != nil {
				d.close()
				return nil, fmt.Errorf("runtime directory: %w", err)
			}
		}
	}
	return d, nil
}

// globQuote makes a path match only itself.
func globQuote(path string) string {
	var b []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// socket is the path of a socket. Where the directory's name is too long for
// one it lies in a short private directory instead.
func (d *runtimeDir) socket(name string) (string, error) {
	path := filepath.Join(d.path, name)
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if d.short == "" {
		base := os.Getenv("XDG_RUNTIME_DIR")
		if base == "" {
			base = os.TempDir()
		}
		short, err := os.MkdirTemp(base, "onion-") // mode 0700
		if err != nil {
			return "", fmt.Errorf("socket: %s is longer than %d bytes, and there is no shorter place: %w", path, maxSocketPath, err)
		}
		d.short = short
	}
	path = filepath.Join(d.short, name)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("socket: %s is longer than %d bytes: choose a shorter runtime directory", path, maxSocketPath)
	}
	return path, nil
}

// listen opens a socket, mode 0600.
func (d *runtimeDir) listen(name string) (*net.UnixListener, error) {
	path, err := d.socket(name)
	if err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	// The directory is private, so nobody can have connected before this.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return l, nil
}

// close removes Tor's socket, which a killed Tor leaves, and the short
// directory, and releases the lock.
func (d *runtimeDir) close() error {
	err := os.RemoveAll(filepath.Join(d.path, "socks.sock"))
	if d.short != "" {
		err = errors.Join(err, os.RemoveAll(d.short))
	}
	return errors.Join(err, d.lock.Close())
}
