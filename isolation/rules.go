package isolation

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Rules are what a process may still do. The zero value is: compute, use what is open, accept on it, make threads, and signal
// itself; not to connect to anything. Paths that do not exist are left out.
type Rules struct {
	// Read are files and directories that may be read, with all below them.
	Read []string `json:",omitempty"`
	// Write are directories below which files may be read, written, made, renamed and removed, but not executed.
	Write []string `json:",omitempty"`
	// Devices are files that exist and may be read and written.
	Devices []string `json:",omitempty"`
	// Remove are directories that may be listed, and from which files and directories may be removed.
	Remove []string `json:",omitempty"`
	// Bind are directories in which unix sockets may be made and removed.
	Bind []string `json:",omitempty"`
	// Sockets are unix sockets, or directories of some, that others may have opened and that may be connected to. Kernels
	// whose Landlock is older than version 9 do not restrict that.
	Sockets []string `json:",omitempty"`
	// Execute are files that may be executed.
	Execute []string `json:",omitempty"`

	// Ports are TCP ports that may be connected to, whatever the address.
	Ports []uint16 `json:",omitempty"`
	// Internet allows any connection, but not to bind a TCP port. listen(2) without bind(2) gives one of the kernel's choice, which
	// Landlock does not see and a filter cannot tell from a unix socket's.
	Internet bool `json:",omitempty"`

	// Closed is for a process that has all that it needs: it opens no files and makes no sockets, nor turns those that it has
	// to somebody else.
	Closed bool `json:",omitempty"`

	// Signal is a process outside that may be asked to end (SIGTERM) and ended (SIGKILL), as may others then of which a handle
	// (pidfd) is open: a filter does not see whose that is. 0: none.
	Signal int `json:",omitempty"`
	// Program is an open descriptor that may be executed (execveat(2)); 0: nothing may be.
	Program int `json:",omitempty"`
	// Code allows memory to be made executable, as a dynamic linker does.
	Code bool `json:",omitempty"`
}

// OwnNumbers are the files in which a process reads what it takes of the machine, for Rules.Read. Not all of /proc/self: in
// its net the addresses of the machine are, and with whom its Tor is connected.
var OwnNumbers = []string{
	"/proc/self/stat", "/proc/self/statm", "/proc/self/limits", "/proc/self/fd",
	"/proc/stat", // when the machine started, which the start of a process is counted from
}

const (
	readFile = landlock.AccessFSSet(ll.AccessFSReadFile)
	readDir  = readFile | ll.AccessFSReadDir
	write    = readDir | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir |
		ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
	device  = readFile | ll.AccessFSWriteFile
	remove  = landlock.AccessFSSet(ll.AccessFSReadDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir)
	bind    = landlock.AccessFSSet(ll.AccessFSReadDir | ll.AccessFSMakeSock | ll.AccessFSRemoveFile | ll.AccessFSResolveUnix)
	connect = landlock.AccessFSSet(ll.AccessFSResolveUnix)
	execute = readFile | ll.AccessFSExecute
)

// Apply puts r in force for this process, as far as its kernel can, for all threads and for ever. The error is that of a
// kernel which has what is needed and refuses it; part of r may be in force then.
func Apply(r Rules) error {
	return errors.Join(r.landlock(), r.filter())
}

// landlock restricts what can be named.
func (r Rules) landlock() error {
	// Of what exists now all is handled, so that whatever is not named below is refused.
	config := landlock.V11
	var rules []landlock.Rule
	if r.Internet {
		config.HandledAccessNet = ll.AccessNetBindTCP
	}
	for _, port := range r.Ports {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	config.Scoped = ll.ScopeAbstractUnixSocket
	if r.Signal == 0 {
		config.Scoped |= ll.ScopeSignal
	}
	for _, path := range r.Read {
		access := readFile
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			access = readDir
		}
		if err := pin(path); err != nil {
			return fmt.Errorf("isolation: %w", err)
		}
		rules = append(rules, landlock.PathAccess(access, path).IgnoreIfMissing())
	}
	for _, list := range []struct {
		access landlock.AccessFSSet
		paths  []string
	}{{write, r.Write}, {device, r.Devices}, {remove, r.Remove}, {bind, r.Bind}, {connect, r.Sockets}, {execute, r.Execute}} {
		if len(list.paths) > 0 {
			rules = append(rules, landlock.PathAccess(list.access, list.paths...).IgnoreIfMissing())
		}
	}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("isolation: landlock: %w", err)
	}
	return nil
}

// pinned are files of /proc that stay open: a rule is tied to what the kernel has in memory of a file, which for /proc is
// made anew once it has been forgotten.
var pinned struct {
	sync.Mutex
	files []*os.File
}

// pin keeps what r allows in /proc in the kernel's memory.
func pin(path string) error {
	if !strings.HasPrefix(path, "/proc/") {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_PATH, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pinned.Lock()
	defer pinned.Unlock()
	pinned.files = append(pinned.files, f)
	return nil
}
