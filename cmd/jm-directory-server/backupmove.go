package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// move puts file to its place, and keeps what was there as aside. At any time there is the old file or the new one, where the file
// system has links.
func (r *restore) move(ctx context.Context, file, to, aside string) error {
	// The configuration may be on another file system. A restore that was killed may have left half a copy.
	fresh := to + ".restored"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyFile(ctx, file, fresh); err != nil {
		return err
	}
	_, err := os.Lstat(to)
	occupied := err == nil
	if occupied {
		if err := keepAside(to, aside); err != nil {
			return errors.Join(err, os.Remove(fresh))
		}
		r.undo = append(r.undo, func() error { return takeBack(aside, to) })
		r.said = append(r.said, "the old file is kept in "+aside)
	}
	if err := os.Rename(fresh, to); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if !occupied {
		r.undo = append(r.undo, func() error { return os.Remove(to) })
	}
	return nil
}

// keepAside gives a file a second name, or, where it may have one only, another one.
func keepAside(name, aside string) error {
	if os.Link(name, aside) == nil {
		return nil
	}
	return os.Rename(name, aside)
}

// takeBack undoes keepAside.
func takeBack(aside, name string) error {
	if err := os.Rename(aside, name); err != nil {
		return err
	}
	// Two names of one file are both left by a rename.
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeFolderForAll makes a folder that all may read, and those above it that are missing: the service is another user than who
// restores its configuration.
func makeFolderForAll(dir string) error {
	defer unix.Umask(unix.Umask(0o022))
	return os.MkdirAll(dir, 0o755)
}

// copyFile copies content, mode and owner, or, if ctx ends, nothing.
func copyFile(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, whileWanted{ctx, in})
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && err == nil && os.Geteuid() == 0 {
		err = out.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = out.Chmod(fi.Mode().Perm())
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// whileWanted ends a stream when the context ends.
type whileWanted struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (w whileWanted) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(b)
}

// giveToOwner gives a file to the owner of a directory, if we are root.
func giveToOwner(file, dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Lchown(file, int(st.Uid), int(st.Gid))
	}
	return nil
}
