package onion

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"jm-directory-server/isolation"
	"jm-directory-server/onion/internal/owned"
)

// Confine says what a Tor that we start is kept from, and what we are kept from telling a Tor.
type Confine string

const (
	// Unconfined starts Tor as it is.
	Unconfined Confine = ""
	// ConfineAuto takes from Tor what it does not need, as far as the kernel can: files but its own, programs, other
	// processes, ports to listen on. Once the service is there, a guard between us and Tor passes on what the service needs
	// and nothing else. What fails is a warning in Tor's log.
	ConfineAuto Confine = "auto"
	// ConfineRequire does the same, and does not start where it fails.
	ConfineRequire Confine = "require"
)

// confinement is what our program is told when it is to become Tor.
type confinement struct {
	Rules   isolation.Rules
	Require bool
	Path    string // of the executable; "": programFD
}

// becomeTor puts the rules for Tor on this process and executes Tor in its place.
func becomeTor(told string, args []string) error {
	var c confinement
	if err := json.Unmarshal([]byte(told), &c); err != nil {
		return err
	}
	program := programFD
	if c.Path == "" {
		unix.CloseOnExec(programFD)
	} else {
		var err error
		if program, err = unix.Open(c.Path, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return &os.PathError{Op: "open", Path: c.Path, Err: err}
		}
	}
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envv, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		return err
	}
	empty, err := unix.BytePtrFromString("")
	if err != nil {
		return err
	}
	c.Rules.Program = program
	// Tor makes itself undumpable (DisableDebuggerAttachment); the limit of core files it inherits.
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), isolation.Apply(c.Rules)); err != nil {
		if c.Require {
			return err
		}
		fmt.Printf("%s [warn] %v\n", time.Now().Format("Jan 02 15:04:05.000"), err) // as Tor's log
	}
	runtime.LockOSThread()
	// owned.Start had the kernel end us with our parent. The kernel keeps that with the thread that was there then; this one,
	// the only one that is left after the execution, may be another.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("end with our parent: %w", err)
	}
	for try := 0; ; try++ {
		_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(empty)),
			uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
		// A file just written may be busy for a moment, and while a thread is being made the kernel may not be able to.
		if errno != unix.ETXTBSY && errno != unix.EAGAIN || try == 20 {
			return &os.PathError{Op: "execute", Path: args[0], Err: errno}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// startConfined starts our own program, which becomes Tor, and returns when it has.
func (p *child) startConfined(img *image) (*owned.Process, error) {
	if p.control == nil {
		return nil, errors.New("confined tor: no control channel")
	}
	c := confinement{Rules: p.creator.rules, Require: p.creator.confine == ConfineRequire}
	files := []*os.File{p.control}
	if img.file != nil {
		files = append(files, img.file)
	} else {
		// The service may be a link to it.
		path, err := filepath.EvalSymlinks(img.path)
		if err != nil {
			return nil, err
		}
		c.Path = path
		c.Rules.Execute = append(c.Rules.Execute[:len(c.Rules.Execute):len(c.Rules.Execute)], path)
	}
	told, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	proc, err := startSelf(append([]string{becomingTor, string(told), "tor"}, p.torArgs()...), nil, files, p.creator.output, p.watch)
	if err != nil {
		p.unwatch()
		return nil, fmt.Errorf("become tor: %w", err)
	}
	return proc, nil
}

// watch keeps the numbers of a process at hand. Once it is Tor, and we are confined, /proc does not show it to us any more.
func (p *child) watch(proc *owned.Process) {
	p.stat, _ = os.Open("/proc/" + strconv.Itoa(proc.PID()) + "/stat") // without, there are no numbers
}

// usage is what the child takes of the machine; 0 where that is not known.
func (p *child) usage() (rss int64, cpu time.Duration) {
	if p.stat == nil {
		return 0, 0
	}
	var b [maxProcStat]byte
	n, _ := p.stat.ReadAt(b[:], 0) // io.EOF after all of it
	return parseProcStat(b[:n])
}

func (p *child) unwatch() {
	if p.stat != nil {
		p.stat.Close()
	}
}

// torRules are what a Tor of ours needs, of which kind ever it is.
func (s *Service) torRules(dataDir string, src *source) isolation.Rules {
	r := isolation.Rules{
		Internet: true,
		Write:    []string{dataDir, s.keyDir},
		Sockets:  []string{s.socket.Addr().String()},
		Devices:  []string{os.DevNull},
		Read: []string{"/dev/urandom", "/etc/localtime", "/proc/meminfo",
			"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible"},
	}
	if s.socks != "" {
		r.Bind = []string{filepath.Dir(s.socks)}
	}
	if src.linked {
		r.Code = true
		r.Read = append(r.Read, "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/libexec", "/nix/store", "/gnu/store",
			"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ssl/openssl.cnf", "/usr/share/tor", "/usr/share/zoneinfo")
		r.Execute = loaders()
	}
	return r
}

// loaders are the dynamic linkers of this host, which the kernel executes with a program.
func loaders() []string {
	var found []string
	for _, pattern := range []string{"/lib/ld-*.so*", "/lib64/ld-*.so*", "/lib/*/ld-*.so*", "/usr/lib/*/ld-*.so*", "/nix/store/*-glibc-*/lib/ld-*.so*"} {
		paths, _ := filepath.Glob(pattern) // the patterns are valid
		found = append(found, paths...)
	}
	return found
}
