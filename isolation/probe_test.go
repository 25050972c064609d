package isolation

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An order is what a probe is told: a process that attempts what the rules forbid, with or without them.
type order struct {
	Apply bool
	Rules Rules

	Dir      string // with read/, remove/, other/, each with a file f; in remove/ and other/ are s and d, unix sockets of streams and datagrams
	Port     int    // of a listener on 127.0.0.1
	Abstract string // the name of an abstract socket
	Parent   int
}

const orderVariable = "ISOLATION_PROBE"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		probe(text)
		return
	}
	os.Exit(m.Run())
}

// An attempt is one thing that a process may try. It got through if there was no error or one of those in past: what the
// kernel says of nonsense once it has let a call pass.
type attempt struct {
	name string
	do   func(o *order) error
	past []error
}

func call(number uintptr, arguments ...uintptr) func(*order) error {
	return func(*order) error {
		var a [6]uintptr
		copy(a[:], arguments)
		if _, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

func newSocket(family, kind, protocol int) func(*order) error {
	return func(*order) error {
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, 5*time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func openFile(path func(*order) string, flags int) func(*order) error {
	return func(o *order) error {
		f, err := os.OpenFile(path(o), flags, 0o600)
		if err == nil {
			f.Close()
		}
		return err
	}
}

func at(elements ...string) func(*order) string {
	return func(o *order) string { return filepath.Join(append([]string{o.Dir}, elements...)...) }
}

func fixed(path string) func(*order) string { return func(*order) string { return path } }

const all = ^uintptr(0) // -1

// held is an accepted TCP connection from before the rules, as a directory without a Tor has many.
var held int

// What a directory has of unix sockets from before the rules: connections for datagrams, as to a service manager, and a listener, on
// which somebody waits.
var (
	manager, spare, abstract int
	waiting                  net.Listener
)

// holdUnix opens them.
func holdUnix(o *order) error {
	for _, c := range []struct {
		fd   *int
		name string
	}{{&manager, at("other", "d")(o)}, {&spare, at("other", "d")(o)}, {&abstract, "@" + o.Abstract + "-d"}} {
		var err error
		if *c.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err != nil {
			return err
		}
		if err := unix.Connect(*c.fd, &unix.SockaddrUnix{Name: c.name}); err != nil {
			return err
		}
	}
	var err error
	if waiting, err = net.Listen("unix", at("listen")(o)); err != nil {
		return err
	}
	for range 2 { // for each thread
		if err := dial("unix", at("listen")(o)); err != nil {
			return err
		}
	}
	return nil
}

// holdTCP opens held.
func holdTCP() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	if err := dial("tcp4", l.Addr().String()); err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	defer f.Close()
	held, err = unix.Dup(int(f.Fd())) // Fd makes it blocking
	return err
}

// turned is held without its peer, with the address of the listener outside.
func turned(o *order) *unix.SockaddrInet4 {
	none := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.Syscall(unix.SYS_CONNECT, uintptr(held), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none)) // it may have none
	return &unix.SockaddrInet4{Port: o.Port, Addr: [4]byte{127, 0, 0, 1}}
}

// forbiddenAttempts are refused by the rules of a directory.
var forbiddenAttempts = []attempt{
	{name: "connect TCP", do: func(o *order) error { return dial("tcp4", fmt.Sprintf("127.0.0.1:%d", o.Port)) }},
	{name: "TCP over IPv6", do: newSocket(unix.AF_INET6, unix.SOCK_STREAM, 0)},
	{name: "Multipath TCP", do: newSocket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)},
	{name: "UDP", do: newSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)},
	{name: "UDP over IPv6", do: newSocket(unix.AF_INET6, unix.SOCK_DGRAM, 0)},
	{name: "raw IP", do: newSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
	{name: "netlink", do: newSocket(unix.AF_NETLINK, unix.SOCK_RAW, 0)},
	{name: "packets", do: newSocket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
	{name: "vsock", do: newSocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
	{name: "AF_ALG", do: newSocket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
	{name: "listen on TCP", do: func(*order) error {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	}},
	{name: "fast open", do: func(o *order) error { return unix.Sendto(held, []byte("out"), unix.MSG_FASTOPEN, turned(o)) }},
	{name: "fast open by a message", do: func(o *order) error {
		return unix.Sendmsg(held, []byte("out"), nil, turned(o), unix.MSG_FASTOPEN)
	}},
	{name: "fast open by several messages", do: func(o *order) error {
		turned(o)
		return call(unix.SYS_SENDMMSG, uintptr(held), 0, 1, unix.MSG_FASTOPEN)(o)
	}, past: []error{unix.EFAULT}},
	{name: "listen on a connection", do: func(o *order) error { turned(o); return unix.Listen(held, 1) }},
	{name: "abstract socket", do: func(o *order) error { return dial("unix", "@"+o.Abstract) }},
	{name: "connect to a unix socket", do: func(o *order) error { return dial("unix", at("remove", "s")(o)) }},
	{name: "connect to a unix socket elsewhere", do: func(o *order) error { return dial("unix", at("other", "s")(o)) }},
	{name: "connect to one of datagrams", do: func(o *order) error { return dial("unixgram", at("other", "d")(o)) }},
	{name: "send to a unix socket elsewhere", do: func(o *order) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: at("other", "d")(o)})
	}},
	{name: "send elsewhere from what is connected", do: func(o *order) error {
		return unix.Sendto(manager, []byte("x"), 0, &unix.SockaddrUnix{Name: at("other", "d")(o)})
	}},
	{name: "connect anew from what is connected", do: func(o *order) error {
		return unix.Connect(spare, &unix.SockaddrUnix{Name: at("other", "d")(o)})
	}},

	{name: "addresses of the machine", do: func(*order) error { return askSocket(unix.SIOCGIFCONF, make([]byte, 16)) }},
	{name: "addresses by the lower half of the command", do: func(*order) error { return askSocket(unix.SIOCGIFCONF|1<<32, make([]byte, 16)) }},
	{name: "hardware address", do: func(*order) error { return askSocket(unix.SIOCGIFHWADDR, append([]byte("lo"), make([]byte, 38)...)) }},
	{name: "radio network", do: func(*order) error { return askSocket(siocgiwap, append([]byte("lo"), make([]byte, 38)...)) },
		past: []error{unix.EOPNOTSUPP, unix.EINVAL, unix.ENOTTY}},
	{name: "connections of the machine", do: openFile(fixed("/proc/self/net/tcp"), os.O_RDONLY)},
	{name: "routes of the machine", do: openFile(fixed("/proc/self/net/route"), os.O_RDONLY)},
	{name: "mounts", do: openFile(fixed("/proc/self/mountinfo"), os.O_RDONLY)},
	{name: "mounts by a call", do: call(unix.SYS_LISTMOUNT), past: []error{unix.EFAULT, unix.EINVAL}},
	{name: "name of the machine", do: func(*order) error { return unix.Uname(new(unix.Utsname)) }},

	{name: "give a descriptor away", do: giveDescriptor},
	{name: "take a descriptor", do: call(unix.SYS_RECVMSG, all), past: []error{unix.EBADF}},
	{name: "take several", do: call(unix.SYS_RECVMMSG, all, 0, 1), past: []error{unix.EBADF}},

	{name: "start a program", do: func(*order) error { return exec.Command("/bin/true").Run() }},
	{name: "execve", do: func(*order) error { return unix.Exec("/nonexistent", nil, nil) }, past: []error{unix.ENOENT}},
	{name: "execveat", do: call(unix.SYS_EXECVEAT, all, 0, 0, 0, 0), past: []error{unix.EFAULT}},
	{name: "fork", do: call(unix.SYS_CLONE, uintptr(unix.CLONE_NEWUSER|unix.CLONE_FS)), past: []error{unix.EINVAL}},
	{name: "clone3", do: call(unix.SYS_CLONE3, 0, 0), past: []error{unix.EINVAL}},
	{name: "memory file", do: func(*order) error { _, err := unix.MemfdCreate("x", 0); return err }},
	{name: "executable memory", do: func(*order) error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	}},
	{name: "memory made executable", do: func(*order) error {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
	}},
	{name: "shared memory that is executed", do: func(*order) error {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o700)
		if err != nil {
			return err
		}
		defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		const executable = 0o100000 // SHM_EXEC
		b, err := unix.SysvShmAttach(id, 0, executable)
		if err != nil {
			return err
		}
		return unix.SysvShmDetach(b)
	}},
	{name: "shared memory of others", do: call(unix.SYS_SHMAT, all), past: []error{unix.EINVAL}},
	{name: "semaphores", do: call(unix.SYS_SEMGET, 0, all), past: []error{unix.EINVAL}},
	{name: "messages", do: call(unix.SYS_MSGGET, 0x7ffffffe, 0), past: []error{unix.ENOENT}},
	{name: "messages of POSIX", do: call(unix.SYS_MQ_OPEN), past: []error{unix.EFAULT}},

	{name: "read /etc/passwd", do: openFile(fixed("/etc/passwd"), os.O_RDONLY)},
	{name: "read the program", do: openFile(fixed("/proc/self/exe"), os.O_RDONLY)},
	{name: "read of another process", do: func(o *order) error {
		return openFile(fixed(fmt.Sprintf("/proc/%d/cmdline", o.Parent)), os.O_RDONLY)(o)
	}},
	{name: "write own memory", do: openFile(fixed("/proc/self/mem"), os.O_WRONLY)},
	{name: "list /", do: func(*order) error { _, err := os.ReadDir("/"); return err }},
	{name: "read another directory", do: openFile(at("other", "f"), os.O_RDONLY)},
	{name: "write another directory", do: openFile(at("other", "f"), os.O_WRONLY)},
	{name: "make a file elsewhere", do: openFile(at("other", "new"), os.O_WRONLY|os.O_CREATE)},
	{name: "truncate elsewhere", do: func(o *order) error { return os.Truncate(at("other", "f")(o), 0) }},
	{name: "remove elsewhere", do: func(o *order) error { return os.Remove(at("other", "gone")(o)) }},
	{name: "write what may be read", do: openFile(at("read", "f"), os.O_WRONLY)},
	{name: "make a file where may be read", do: openFile(at("read", "new"), os.O_WRONLY|os.O_CREATE)},
	{name: "read where may be removed", do: openFile(at("remove", "f"), os.O_RDONLY)},
	{name: "mode of a file", do: func(o *order) error { return os.Chmod(at("other", "f")(o), 0o644) }},
	{name: "mode of an open file", do: call(unix.SYS_FCHMOD, all), past: []error{unix.EBADF}},
	{name: "mode by its newest call", do: call(unix.SYS_FCHMODAT2, all, 0, 0, 0), past: []error{unix.EFAULT}},
	{name: "attributes of a file", do: func(o *order) error {
		_, err := unix.Getxattr(at("other", "f")(o), "user.x", nil)
		return err
	}, past: []error{unix.ENODATA, unix.EOPNOTSUPP}},
	{name: "watch a directory", do: func(*order) error {
		fd, err := unix.InotifyInit1(0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{name: "link out", do: func(o *order) error { return os.Link(at("read", "f")(o), at("remove", "link")(o)) }},

	{name: "ptrace", do: call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 0x7ffffffe), past: []error{unix.ESRCH}},
	{name: "process_vm_readv", do: call(unix.SYS_PROCESS_VM_READV, uintptr(os.Getpid())), past: []error{unix.EINVAL}},
	{name: "process_vm_writev", do: call(unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getpid())), past: []error{unix.EINVAL}},
	{name: "pidfd_open", do: call(unix.SYS_PIDFD_OPEN, uintptr(os.Getpid()))},
	{name: "signal the parent", do: func(o *order) error { return unix.Kill(o.Parent, 0) }},
	{name: "have the process of ours say more", do: func(o *order) error { return unix.Kill(outside(o), unix.SIGURG) }},
	{name: "the same by a handle", do: call(unix.SYS_PIDFD_SEND_SIGNAL, all, uintptr(unix.SIGURG)), past: []error{unix.EBADF}},
	{name: "signal all", do: func(*order) error { return unix.Kill(-0x7ffffffe, 0) }, past: []error{unix.ESRCH}},
	{name: "owner of a descriptor's signals", do: call(unix.SYS_FCNTL, all, unix.F_SETOWN), past: []error{unix.EBADF}},
	{name: "the same with its kind", do: call(unix.SYS_FCNTL, all, unix.F_SETOWN_EX), past: []error{unix.EBADF}},
	{name: "which signal a descriptor sends", do: call(unix.SYS_FCNTL, all, unix.F_SETSIG), past: []error{unix.EBADF}},
	{name: "owner by FIOSETOWN", do: call(unix.SYS_IOCTL, all, setOwner), past: []error{unix.EBADF}},
	{name: "owner by SIOCSPGRP", do: call(unix.SYS_IOCTL, all, unix.SIOCSPGRP), past: []error{unix.EBADF}},
	{name: "signal the parent by a descriptor", do: signalByDescriptor},
	{name: "handle on a socket's peer", do: func(o *order) error {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(p[0])
		defer unix.Close(p[1])
		handle, err := unix.GetsockoptInt(p[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		if err == nil {
			unix.Close(handle)
		}
		return err
	}},
	{name: "handles with messages", do: call(unix.SYS_SETSOCKOPT, all, unix.SOL_SOCKET, unix.SO_PASSPIDFD), past: []error{unix.EBADF}},
	{name: "limits of the parent", do: func(o *order) error {
		var l unix.Rlimit
		err := unix.Prlimit(o.Parent, unix.RLIMIT_CORE, nil, &l)
		return errors.Join(err, unix.Prlimit(o.Parent, unix.RLIMIT_CORE, &l, nil))
	}},
	{name: "priority of the parent", do: func(o *order) error {
		twenty, err := unix.Getpriority(unix.PRIO_PROCESS, o.Parent) // less what setpriority(2) takes
		return errors.Join(err, unix.Setpriority(unix.PRIO_PROCESS, o.Parent, 20-twenty))
	}},
	{name: "processors of the parent", do: func(o *order) error {
		var set unix.CPUSet
		return errors.Join(unix.SchedGetaffinity(o.Parent, &set), unix.SchedSetaffinity(o.Parent, &set))
	}},
	{name: "ioprio_set", do: call(unix.SYS_IOPRIO_SET, 1, 0x7ffffffe, 0), past: []error{unix.ESRCH}},
	{name: "sched_setattr", do: call(unix.SYS_SCHED_SETATTR, 0x7ffffffe), past: []error{unix.EINVAL}},
	{name: "sched_setparam", do: call(unix.SYS_SCHED_SETPARAM, 0x7ffffffe), past: []error{unix.EINVAL}},
	{name: "sched_setscheduler", do: call(unix.SYS_SCHED_SETSCHEDULER, 0x7ffffffe), past: []error{unix.EINVAL}},
	{name: "rt_sigqueueinfo", do: call(unix.SYS_RT_SIGQUEUEINFO, 0x7ffffffe), past: []error{unix.EFAULT}},
	{name: "bpf", do: call(unix.SYS_BPF, 0xffff), past: []error{unix.EINVAL, unix.EFAULT}},
	{name: "io_uring", do: call(unix.SYS_IO_URING_SETUP, 0), past: []error{unix.EINVAL, unix.EFAULT}},
	{name: "userfaultfd", do: call(unix.SYS_USERFAULTFD, 0xffff), past: []error{unix.EINVAL}},
	{name: "perf_event_open", do: call(unix.SYS_PERF_EVENT_OPEN), past: []error{unix.EFAULT}},
	{name: "keyctl", do: call(unix.SYS_KEYCTL, 0xffff), past: []error{unix.EOPNOTSUPP}},
	{name: "mount", do: func(*order) error { return unix.Mount("none", "/nonexistent", "tmpfs", 0, "") }, past: []error{unix.ENOENT}},
	{name: "fsopen", do: call(unix.SYS_FSOPEN), past: []error{unix.EFAULT}},
	{name: "umount", do: func(*order) error { return unix.Unmount("/nonexistent", 0) }, past: []error{unix.ENOENT}},
	{name: "chroot", do: func(*order) error { return unix.Chroot("/nonexistent") }, past: []error{unix.ENOENT}},
	{name: "unshare", do: call(unix.SYS_UNSHARE, 0)},
	{name: "setns", do: call(unix.SYS_SETNS, all), past: []error{unix.EBADF}},
	{name: "load a module", do: call(unix.SYS_FINIT_MODULE, all), past: []error{unix.EBADF, unix.EFAULT}},
	{name: "kexec", do: call(unix.SYS_KEXEC_FILE_LOAD, all, all, 0, 0, 0xffff), past: []error{unix.EINVAL, unix.EBADF}},
	{name: "another user", do: func(*order) error { return unix.Setresuid(-1, -1, -1) }},
	{name: "owner of a file", do: func(o *order) error { return os.Chown(at("other", "f")(o), -1, -1) }},
	{name: "type into a terminal", do: call(unix.SYS_IOCTL, all, unix.TIOCSTI), past: []error{unix.EBADF}},
	{name: "the same by its lower half", do: call(unix.SYS_IOCTL, all, unix.TIOCSTI|1<<32), past: []error{unix.EBADF}},
	{name: "dumps again", do: call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)},
}

// neededAttempts are what a directory goes on doing.
var neededAttempts = []attempt{
	{name: "accept", do: func(*order) error {
		c, err := waiting.Accept()
		if err == nil {
			c.Close()
		}
		return err
	}},
	{name: "tell who is connected", do: func(*order) error { _, err := unix.Write(manager, []byte("x")); return err }},
	{name: "send to who is connected", do: func(*order) error { return unix.Send(manager, []byte("x"), unix.MSG_NOSIGNAL) }},
	{name: "tell an abstract socket that is connected", do: func(*order) error { _, err := unix.Write(abstract, []byte("x")); return err }},
	{name: "file that may be read", do: openFile(at("read", "f"), os.O_RDONLY)},
	{name: "file put in its place", do: openFile(at("read", "replaced"), os.O_RDONLY)},
	{name: "removal", do: func(o *order) error { return os.RemoveAll(at("remove", "dir")(o)) }},
	{name: "own numbers", do: func(*order) error {
		for _, name := range []string{"statm", "stat", "limits"} {
			if _, err := os.ReadFile("/proc/self/" + name); err != nil {
				return err
			}
		}
		_, err := os.ReadDir("/proc/self/fd")
		return err
	}},
	{name: "time since boot", do: openFile(fixed("/proc/stat"), os.O_RDONLY)},
	{name: "signal oneself", do: func(*order) error { return unix.Kill(os.Getpid(), 0) }},
	{name: "signal the process of ours", do: func(o *order) error {
		if o.Rules.Signal == 0 {
			return nil
		}
		return unix.Kill(o.Rules.Signal, 0)
	}},
	{name: "end the process of ours", do: func(o *order) error {
		if o.Rules.Signal == 0 {
			return nil
		}
		var errs []error
		for _, signal := range []uintptr{uintptr(unix.SIGTERM), uintptr(unix.SIGKILL)} { // by a handle that is none
			if err := call(unix.SYS_PIDFD_SEND_SIGNAL, all, signal)(o); !errors.Is(err, unix.EBADF) {
				errs = append(errs, fmt.Errorf("signal %d: %w", signal, err))
			}
		}
		return errors.Join(errs...)
	}},
	{name: "file limit", do: func(*order) error {
		var l syscall.Rlimit
		return errors.Join(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l))
	}},
	{name: "new threads", do: func(*order) error {
		done := make(chan int, 8)
		for range 8 {
			go func() { runtime.LockOSThread(); done <- unix.Gettid(); time.Sleep(10 * time.Millisecond) }()
		}
		seen := map[int]bool{}
		for range 8 {
			seen[<-done] = true
		}
		if len(seen) < 2 {
			return errors.New("all on one thread")
		}
		return nil
	}},
}

// siocgiwap asks for the access point that an interface is connected to (SIOCGIWAP of linux/wireless.h).
const siocgiwap = 0x8b15

// askSocket has a unix socket answer an ioctl of networks.
func askSocket(command uintptr, argument []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), command, uintptr(unsafe.Pointer(&argument[0]))); errno != 0 {
		return errno
	}
	return nil
}

// giveDescriptor sends one over a unix socket.
func giveDescriptor(*order) error {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	return unix.Sendmsg(p[0], []byte("x"), unix.UnixRights(p[0]), nil, 0)
}

// outside is the process that may be ended, or else the parent.
func outside(o *order) int {
	if o.Rules.Signal != 0 {
		return o.Rules.Signal
	}
	return o.Parent
}

// signalByDescriptor has the kernel send SIGURG, which harms nobody, to the parent when something comes on a socket.
func signalByDescriptor(o *order) error {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	for _, step := range []struct{ command, argument int }{
		{unix.F_SETOWN, o.Parent}, {unix.F_SETSIG, int(unix.SIGURG)}, {unix.F_SETFL, unix.O_ASYNC},
	} {
		if _, err := unix.FcntlInt(uintptr(p[0]), step.command, step.argument); err != nil {
			return err
		}
	}
	_, err = unix.Write(p[1], []byte("x"))
	return err
}

// probe is the process that makes all attempts and prints what came of each.
func probe(text string) {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	// A thread from before, which is not the one that the rules are applied on.
	ask, answer := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for f := range ask {
			answer <- f()
		}
	}()
	ask <- func() error { return nil }
	<-answer

	if err := errors.Join(holdTCP(), holdUnix(&o)); err != nil {
		panic(err)
	}
	store, err := os.OpenFile(at("store")(&o), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	if o.Apply {
		if err := errors.Join(NoDumps(), Apply(o.Rules)); err != nil {
			panic(err)
		}
	}
	results := map[string]string{}
	note := func(name string, err error, past []error) {
		results[name] = "through"
		if err != nil {
			results[name] = err.Error()
		}
		for _, p := range past {
			if errors.Is(err, p) {
				results[name] = "through"
			}
		}
	}
	if err := os.Rename(at("read", "fresh")(&o), at("read", "replaced")(&o)); err == nil && o.Apply {
		panic("renamed where may only be read")
	}
	for _, a := range append(forbiddenAttempts, neededAttempts...) {
		note(a.name, a.do(&o), a.past)
		ask <- func() error { return a.do(&o) }
		if err := <-answer; a.name != "removal" && a.name != "remove elsewhere" && a.name != "link out" {
			note(a.name+", another thread", err, a.past)
		}
	}
	note("use an open store", useStore(store), nil)
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}

// useStore does with an open file what bbolt does.
func useStore(f *os.File) error {
	if err := f.Truncate(1 << 20); err != nil {
		return err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 1<<20, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("page"), 4096); err != nil {
		return err
	}
	if string(b[4096:4100]) != "page" {
		return errors.New("written, and not in the map")
	}
	return errors.Join(unix.Fdatasync(int(f.Fd())), unix.Munmap(b))
}

// runProbe runs a probe in a directory of its own. With tor it may signal the process tor, as a server with a Tor of ours may.
func runProbe(t *testing.T, apply bool, tor int) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"read/f", "read/fresh", "read/replaced", "remove/f", "remove/dir/f", "other/f", "other/gone"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	name := "isolation-" + strconv.Itoa(os.Getpid())
	for _, address := range []string{"@" + name, filepath.Join(dir, "remove", "s"), filepath.Join(dir, "other", "s")} {
		l, err := net.Listen("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	for _, address := range []string{"@" + name + "-d", filepath.Join(dir, "other", "d")} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() { // few wait in it
			var err error
			for err == nil {
				_, err = l.Read(make([]byte, 8))
			}
			read <- err
		}()
		defer func() { l.Close(); <-read }()
	}
	o := order{Apply: apply, Dir: dir, Port: tcp.Addr().(*net.TCPAddr).Port, Abstract: name, Parent: os.Getpid(), Rules: Rules{
		Read:   append([]string{filepath.Join(dir, "read"), filepath.Join(dir, "absent")}, OwnNumbers...),
		Remove: []string{filepath.Join(dir, "remove")}, Signal: tor,
	}}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text), "GOTRACEBACK=all")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	results := map[string]string{}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

func TestWhatIsForbiddenFailsAndWhatIsNeededDoesNot(t *testing.T) {
	if lacks := Probe().Missing(); len(lacks) > 0 {
		t.Skipf("this kernel lacks %s", strings.Join(lacks, ", "))
	}
	tor := exec.Command("/bin/sleep", "60")
	if err := tor.Start(); err != nil {
		t.Fatal(err)
	}
	defer tor.Wait()
	defer tor.Process.Kill()
	t.Run("alone", func(t *testing.T) { compareProbes(t, 0) })
	t.Run("with a Tor of ours", func(t *testing.T) { compareProbes(t, tor.Process.Pid) })
}

// compareProbes runs a probe without rules and one with them.
func compareProbes(t *testing.T, tor int) {
	free, confined := runProbe(t, false, tor), runProbe(t, true, tor)
	needed := map[string]bool{"use an open store": true}
	for _, a := range neededAttempts {
		needed[a.name] = true
	}
	attempted := 0
	for name, result := range confined {
		t.Run(name, func(t *testing.T) {
			switch base, _, _ := strings.Cut(name, ", another thread"); {
			case free[name] != "through" && !needed[base]:
				t.Skipf("fails here without rules, too: %s", free[name])
			case needed[base] && (result != "through" || free[name] != "through"):
				t.Errorf("with rules: %s; without: %s", result, free[name])
			case !needed[base] && result == "through":
				t.Error("is not refused")
			case !needed[base] && !strings.Contains(result, "permitted") && !strings.Contains(result, "denied") && !strings.Contains(result, "not implemented") && !strings.Contains(result, "cross-device"):
				t.Errorf("fails, but is not refused: %s", result)
			default:
				attempted++
			}
		})
	}
	if attempted < 2*len(neededAttempts)+len(forbiddenAttempts) {
		t.Errorf("only %d attempts say anything", attempted)
	}
}

// TestForeignNumbersAreRefused calls by the table of x32, whose numbers have a bit of their own.
func TestForeignNumbersAreRefused(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("for amd64")
	}
	instructions, err := Rules{}.program()
	if err != nil {
		t.Fatal(err)
	}
	const x86, i386, x32 = 0xc000003e, 0x40000003, 0x40000000
	for _, c := range []struct {
		name         string
		number, arch uint32
		argument     uint64
		allowed      bool
	}{
		{"getpid", unix.SYS_GETPID, x86, 0, true},
		{"a new one", unix.SYS_MSEAL, x86, 0, true},
		{"getpid of x32", unix.SYS_GETPID | x32, x86, 0, false},
		{"getpid of i386", 20, i386, 0, false},
		{"a number of the future", 4000, x86, 0, false},
		{"unix socket", unix.SYS_SOCKET, x86, unix.AF_UNIX, true},
		{"inet socket", unix.SYS_SOCKET, x86, unix.AF_INET, false},
		{"unix socket with upper bits", unix.SYS_SOCKET, x86, unix.AF_UNIX | 1<<32, false},
		{"pair of unix sockets", unix.SYS_SOCKETPAIR, x86, unix.AF_UNIX, true},
		{"pair of others", unix.SYS_SOCKETPAIR, x86, unix.AF_TIPC, false},
		{"thread", unix.SYS_CLONE, x86, unix.CLONE_THREAD | unix.CLONE_VM, true},
		{"thread in a namespace", unix.SYS_CLONE, x86, unix.CLONE_THREAD | unix.CLONE_NEWUSER, false},
		{"process", unix.SYS_CLONE, x86, unix.CLONE_VM, false},
	} {
		if got := runFilter(t, instructions, c.number, c.arch, c.argument); got != c.allowed {
			t.Errorf("%s: allowed %v, want %v", c.name, got, c.allowed)
		}
	}
}
