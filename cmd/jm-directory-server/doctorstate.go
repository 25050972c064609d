package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
	"jm-directory-server/store"
)

// checkTor looks at the Tor that run would use.
func (d *doctor) checkTor(ctx context.Context) {
	const check = "tor"
	if d.Tor.Mode == "off" {
		d.ok(check, "none of its own: a Tor elsewhere serves %s", d.Listen.Address)
		if d.Location == "" {
			d.warn(check, `set location = "<the name in that Tor's hostname file>:5222"`, "location is not set: the directory is not in its own peer lists, and peers can claim its address")
		}
		return
	}
	found, err := onion.Inspect(ctx, d.onion(nil, nil))
	switch {
	case err != nil:
		d.fail(check, "use tor.mode \"embedded\" with a file that carries Tor (make build), or install a newer Tor", "%s", why(err))
		return
	case found.Version == "":
		d.ok(check, "one that runs already, at %s: it can be asked only by the server", d.Tor.Control)
		return
	case found.Advice != "":
		d.warn(check, "without it the network may refuse this Tor", "%s", found.Advice)
	default:
		d.ok(check, "%s (%s) has the protocols that the network requires (%s or newer)", found.Version, d.Tor.Mode, onion.MinVersion)
	}
	switch {
	case !d.Tor.PoW:
		d.warn(check, "set tor.pow = true: it costs nothing while there is no attack", "the proof-of-work defence is switched off")
	case !found.PoW:
		d.warn(check, "use the embedded Tor, or one built with --enable-gpl", "this Tor has no proof-of-work module: under a flood of connections nobody gets in")
	default:
		d.ok(check, "the module for proof of work is in it")
	}
}

// checkKey looks at the key that run would use.
func (d *doctor) checkKey() {
	const check = "onion key"
	if d.Tor.Mode == "off" {
		d.ok(check, "is with the Tor elsewhere")
		return
	}
	if d.Tor.Ephemeral {
		d.warn(check, "set tor.ephemeral = false on a public directory", "a throw-away one: the address changes with each start")
		return
	}
	found, source, err := currentKey(&d.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(check, "none yet: the first start makes one; \"key import\" brings one along")
	case errors.Is(err, fs.ErrPermission):
		d.warn(check, "run doctor as root or as the server's user", "cannot be read: %s", why(err))
	case err != nil:
		d.fail(check, "put back a copy (\"restore\", \"key import\"); do not delete anything before", "%s", why(err))
	default:
		d.ok(check, "is good, from the %s", source)
		for _, text := range found.Warnings {
			d.warn(check, "", "%s", text)
		}
	}
}

// checkStateDir looks at owner and mode of the state directory.
func (d *doctor) checkStateDir() {
	const check = "state directory"
	info, err := os.Stat(d.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(check, "%s: the first start makes it", d.StateDir)
	case errors.Is(err, fs.ErrPermission):
		d.warn(check, "run doctor as root or as the server's user", "cannot be looked at: %s", why(err))
	case err != nil:
		d.fail(check, "", "%s", why(err))
	case !info.IsDir():
		d.fail(check, "name a directory in state_dir", "%s is not a directory", d.StateDir)
	case info.Mode().Perm()&0o077 != 0:
		d.warn(check, "chmod 700 "+d.StateDir, "%s can be entered by others (mode %04o)", d.StateDir, info.Mode().Perm())
	default:
		owner := "another user"
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Geteuid() {
			owner = "this user"
		}
		d.ok(check, "%s, mode %04o, of %s", d.StateDir, info.Mode().Perm(), owner)
	}
}

// checkStore looks at the file of bans and history. While a server has it, checkServer tells how it is.
func (d *doctor) checkStore() {
	const check = "store"
	path := filepath.Join(d.StateDir, store.FileName)
	s, err := store.OpenReadOnly(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(check, "none yet: the first start makes it")
	case errors.Is(err, store.ErrInUse):
		d.ok(check, "in use by the running server")
	case errors.Is(err, fs.ErrPermission):
		d.warn(check, "run doctor as root or as the server's user", "cannot be read: %s", why(err))
	case errors.Is(err, store.ErrCorrupt):
		d.warn(check, "nothing: the next start puts it aside and begins what is damaged anew; \"restore\" brings a copy back", "%s", why(err))
	case err != nil:
		d.fail(check, "", "%s", why(err))
	default:
		d.ok(check, "can be read")
		s.Close() // it was only looked at
	}
	if aside, _ := filepath.Glob(path + ".corrupt-*"); len(aside) > 0 { // the pattern is good
		d.warn(check, "look for the disk's errors in the kernel's log; then delete the files", "%s put aside: %s", plural(len(aside), "damaged file"), filepath.Base(aside[len(aside)-1]))
	}
}

// Free space below which the operator is told, in bytes: Tor and store together have less than 50 MB.
const (
	littleSpace = 500 << 20
	noSpace     = 50 << 20
)

func (d *doctor) checkDisk() {
	const check = "disk"
	dir := d.StateDir
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for err != nil && dir != "/" { // not made yet
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &st)
	}
	if err != nil {
		d.warn(check, "", "%s: %v", dir, err)
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	text := fmt.Sprintf("%s free for the state directory", mebibytes(free))
	switch {
	case st.Flags&unix.ST_RDONLY != 0 && dir == d.StateDir:
		d.fail(check, "mount it for writing", "the state directory is on a read-only file system")
	case free < noSpace || st.Files > 0 && st.Ffree < 100:
		d.fail(check, "make room: without it key, Tor's state and store cannot be written", "%s, %d files", text, st.Ffree)
	case free < littleSpace:
		d.warn(check, "make room before it is full", "%s", text)
	default:
		d.ok(check, "%s", text)
	}
}

// mebibytes writes a size in bytes for people.
func mebibytes(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// checkClock asks the kernel whether somebody keeps its clock right. Tor tells of one that is wrong when it runs.
func (d *doctor) checkClock() {
	const check, do = "clock", "timedatectl set-ntp true; Tor refuses to work when the clock is wrong by hours"
	if d.now.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		d.fail(check, do, "it says %s: that is before this program was written", d.now.UTC().Format(time.DateTime))
		return
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		d.warn(check, do, "the kernel does not say whether it is kept right: %v", err)
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		d.warn(check, do, "nobody keeps it right; it says %s", d.now.UTC().Format(time.DateTime+" MST"))
	default:
		d.ok(check, "is kept right, to %s or so", (time.Duration(t.Esterror) * time.Microsecond).Round(time.Millisecond))
	}
}
