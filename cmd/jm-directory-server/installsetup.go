package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where "install" puts things.
const (
	programPath = "/usr/local/bin/jm-directory-server"
	unitPath    = "/etc/systemd/system/" + unitName
	dropInPath  = unitPath + ".d"
	configPath  = "/etc/jm-directory-server/config.toml"
	statePath   = "/var/lib/jm-directory-server"
	// privatePath is where systemd keeps the state of a DynamicUser; statePath is a link to it then.
	privatePath = "/var/lib/private/jm-directory-server"
)

// A setup changes what is installed, and shows each step before it does it.
type setup struct {
	out  io.Writer
	root string // stands for "/" in tests; empty: "/"
	dry  bool   // show only
	uid  int
}

func newSetup(out io.Writer, root string, dry bool) *setup {
	return &setup{out: out, root: root, dry: dry, uid: os.Geteuid()}
}

func (s *setup) path(p string) string { return filepath.Join("/", s.root, p) }

// say shows a step. That nobody reads it is no reason to stop half-way.
func (s *setup) say(line string) { fmt.Fprintln(s.out, line) }

var errNoSystemd = errors.New("this machine is not run by systemd")

// possible refuses where it cannot work: without systemd, and, but for a dry run, as another user than root.
func (s *setup) possible() error {
	if info, err := os.Stat(s.path("/run/systemd/system")); err != nil || !info.IsDir() {
		return errNoSystemd
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		return fmt.Errorf("systemctl is needed: %w", err)
	}
	if s.uid != 0 && !s.dry && s.root == "" {
		return errors.New("this needs root: run it with sudo; --dry-run shows the steps and needs nothing")
	}
	return nil
}

// systemctl runs systemctl; what it says is shown.
func (s *setup) systemctl(ctx context.Context, args ...string) error {
	s.say("run     systemctl " + strings.Join(args, " "))
	if s.dry {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("systemctl %s: %w", args[0], err)
	}
	return nil
}

// write makes a file have that content, and reports whether it had not.
func (s *setup) write(path string, content []byte, mode fs.FileMode) (changed bool, err error) {
	path = s.path(path)
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, content) {
		s.say("keep    " + path)
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	s.say("write   " + path)
	if s.dry {
		return true, nil
	}
	return true, replaceFile(path, bytes.NewReader(content), mode)
}

// copyProgram puts the program in place, and reports whether it was not there.
func (s *setup) copyProgram(from string) (changed bool, err error) {
	to := s.path(programPath)
	same, err := sameContent(from, to)
	if err != nil {
		return false, err
	}
	if same {
		s.say("keep    " + to)
		return false, nil
	}
	s.say("copy    " + from + " to " + to)
	if s.dry {
		return true, nil
	}
	f, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return true, replaceFile(to, f, 0o755)
}

// remove removes a file or, with all that is in it, a directory. One that is not there is not mentioned.
func (s *setup) remove(path string) error {
	path = s.path(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.say("remove  " + path)
	if s.dry {
		return nil
	}
	return os.RemoveAll(path)
}

// replaceFile writes a file in one step: a program that runs goes on with the old one. Directories that are
// missing are made, for all to read.
func replaceFile(path string, content io.Reader, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // what was wrong is in err
	}
	return err
}

// sameContent says that both files have the same bytes; b may be missing.
func sameContent(a, b string) (bool, error) {
	infoA, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Stat(b)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case os.SameFile(infoA, infoB):
		return true, nil
	case infoA.Size() != infoB.Size():
		return false, nil
	}
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}
