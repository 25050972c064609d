package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
)

// directories fills in the directories that nobody named, and makes all of them absolute.
func (l *loader) directories(r request) {
	if l.config.StateDir == "" {
		dir, from, err := defaultStateDir(r)
		if err != nil {
			l.refuse(origin{name: "state_dir"}, err.Error())
			return
		}
		l.config.StateDir, l.origins["state_dir"] = dir, from
	}
	if l.config.RuntimeDir == "" {
		dir, from := defaultRuntimeDir(r, l.config.StateDir)
		l.config.RuntimeDir, l.origins["runtime_dir"] = dir, from
	}
	for _, d := range []*string{&l.config.StateDir, &l.config.RuntimeDir} {
		abs, err := filepath.Abs(*d)
		if err != nil {
			l.refuse(origin{name: "state_dir"}, err.Error())
			return
		}
		*d = abs
	}
	if sameDir(l.config.StateDir, l.config.RuntimeDir) {
		l.violation(violation{key: "runtime_dir", message: "must be another directory than state_dir, " + l.config.StateDir +
			": each has a lock of its own, and from runtime_dir the running server may remove files"})
	}
	l.adminPath()
}

// sameDir says whether two clean paths are one directory, also by a link.
func sameDir(a, b string) bool {
	if a == b {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}

// defaultStateDir is $STATE_DIRECTORY (systemd.exec(5)), /var/lib/jm-directory-server for root, and below
// $XDG_STATE_HOME or ~/.local/state for everybody else.
func defaultStateDir(r request) (string, origin, error) {
	if dir, _, _ := strings.Cut(r.getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir, origin{source: fromEnvironment, name: "STATE_DIRECTORY"}, nil
	}
	if r.root {
		return "/var/lib/jm-directory-server", origin{}, nil
	}
	if dir := r.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "jm-directory-server"), origin{source: fromEnvironment, name: "XDG_STATE_HOME"}, nil
	}
	if home := r.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/state/jm-directory-server"), origin{}, nil
	}
	return "", origin{}, errors.New("must be set, because there is no HOME to put it below")
}

// defaultRuntimeDir is $RUNTIME_DIRECTORY (systemd.exec(5)) or "run" in the state directory.
func defaultRuntimeDir(r request, stateDir string) (string, origin) {
	if dir, _, _ := strings.Cut(r.getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return dir, origin{source: fromEnvironment, name: "RUNTIME_DIRECTORY"}
	}
	return filepath.Join(stateDir, "run"), origin{}
}

// inUseError says who has the lock of a state directory.
type inUseError struct {
	dir     string
	process string // its number, as it wrote it
}

// Error says what to do.
func (e *inUseError) Error() string {
	return fmt.Sprintf("state directory %s is in use by another jm-directory-server (process %s): stop that or set another state_dir", e.dir, e.process)
}

// lockStateDir makes the state directory where it is missing, with mode 0700, and takes its lock until the
// file is closed or the process ends. Two servers with one key would take turns in answering. The error is an *inUseError while another has it.
func lockStateDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		var owner [20]byte
		n, _ := f.ReadAt(owner[:], 0) // who it is helps, but is not needed
		err = &inUseError{dir, strings.TrimSpace(string(owner[:n]))}
	} else if err == nil {
		err = writePID(f)
	} else {
		err = fmt.Errorf("state directory: lock %s: %w", name, err)
	}
	if err != nil {
		f.Close() // what was wrong is in err
		return nil, err
	}
	return f, nil
}

// clearLeftovers removes what a command that was killed has left in the state directory, whose lock the caller has: a key in the
// making, and what of a backup was unpacked. An old key that was about to be put aside is, and kept says where.
func clearLeftovers(dir string) (kept []string, err error) {
	if kept, err = onion.ClearKeyDirs(dir); err != nil {
		return kept, fmt.Errorf("state directory: what a killed command has left: %w", err)
	}
	list, err := os.ReadDir(dir)
	for _, e := range list {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), restoreFolder) {
			continue
		}
		fi, gone := e.Info()
		if gone != nil {
			err = errors.Join(err, gone)
		} else if st, ok := fi.Sys().(*syscall.Stat_t); ok && (os.Geteuid() == 0 || int(st.Uid) == os.Geteuid()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return kept, fmt.Errorf("state directory: what a killed restore has left: %w", err)
	}
	return kept, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}
