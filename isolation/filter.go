package isolation

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// forbidden are system calls that no process of ours makes once it has started. Not every machine has each.
var forbidden = []string{
	// programs, and memory files to make them of
	"execve", "execveat", "fork", "vfork", "memfd_create", "memfd_secret", "uselib", "personality",
	// other processes
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_open", "pidfd_getfd",
	"rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill", "move_pages", "migrate_pages",
	"setpriority", "ioprio_set", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	// what System V and POSIX have for several processes; shared memory can be attached executable, too
	"shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semtimedop_time64",
	"semctl", "ipc", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive", "mq_timedreceive_time64",
	"mq_notify", "mq_getsetattr",
	// interfaces of the kernel that have a history
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"add_key", "request_key", "keyctl", "modify_ldt", "lookup_dcookie", "remap_file_pages", "vmsplice", "sysfs", "ustat", "_sysctl",
	"nfsservctl", "fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "quotactl", "quotactl_fd",
	// mounts and namespaces
	"mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount",
	"fspick", "mount_setattr", "unshare", "setns",
	// the machine
	"init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
	"syslog", "acct", "settimeofday", "clock_settime", "clock_adjtime", "clock_adjtime64", "clock_settime64", "adjtimex", "stime",
	"sethostname", "setdomainname", "iopl", "ioperm", "vhangup", "vm86", "vm86old",
	// owners and users
	"mknod", "mknodat", "chown", "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat", "capset",
	"setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32", "setregid", "setregid32", "setresuid", "setresuid32",
	"setresgid", "setresgid32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "setgroups", "setgroups32",
	"setxattr", "setxattrat", "lsetxattr", "fsetxattr", "removexattr", "removexattrat", "lremovexattr", "fremovexattr",
	// of files that may not be opened: their attributes, and what happens to them
	"getxattr", "getxattrat", "lgetxattr", "fgetxattr", "listxattr", "listxattrat", "llistxattr", "flistxattr",
	"inotify_init", "inotify_init1", "inotify_add_watch",
}

// ours are what our own programs do not need, and a Tor or its libraries may: who may open a file, a key for one, by its mode; which
// machine this is; and messages, which can carry descriptors: sockets of others in, our own out.
var ours = []string{
	"chmod", "fchmod", "fchmodat", "fchmodat2", "uname", "statmount", "listmount",
	"sendmsg", "sendmmsg", "recvmsg", "recvmmsg", "recvmmsg_time64",
}

// closed are system calls that open something, or lead elsewhere with what is open; messages can carry descriptors.
var closed = []string{
	"open", "openat", "openat2", "creat", "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
	"sendto", "sendmsg", "sendmmsg", "recvmsg", "recvmmsg", "recvmmsg_time64",
}

// namespaces are the flags of clone(2) that make one.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// setOwner is FIOSETOWN of ioctl(2), the same number on all machines whose calls we know.
const setOwner = 0x8901

// Commands of ioctl(2) whose second byte is 0x89 or 0x8b are of networks: a socket of any family tells by them the addresses of all
// interfaces, and the radio network. Those that say how much waits in a socket are not among them.
const (
	networkMask     = 0xfd00
	networkCommands = 0x8900
)

// filter restricts what has no name.
func (r Rules) filter() error {
	if !Probe().Filters {
		return nil
	}
	instructions, err := r.program()
	if err != nil {
		return err
	}
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return fmt.Errorf("isolation: seccomp: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	runtime.LockOSThread() // no_new_privs belongs to a thread; the kernel copies it to the others with the filter
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("isolation: no new privileges: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	thread, errno := install(func(flags uintptr) (uintptr, unix.Errno) {
		thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		return thread, errno
	})
	switch {
	case errno != 0:
		return fmt.Errorf("isolation: seccomp: %w", errno)
	case thread != 0:
		return fmt.Errorf("isolation: seccomp: thread %d has a filter of its own", thread)
	}
	return nil
}

// install has all threads filtered. Kernels before 5.16 would slow a process with a filter down, as it might run code of
// strangers; ours runs none. Those before 4.17 neither do that nor know the flag against it.
func install(seccomp func(flags uintptr) (thread uintptr, errno unix.Errno)) (thread uintptr, errno unix.Errno) {
	thread, errno = seccomp(unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
	if errno == unix.EINVAL {
		return seccomp(unix.SECCOMP_FILTER_FLAG_TSYNC)
	}
	return thread, errno
}

// The answers of a filter.
const (
	pass   = unix.SECCOMP_RET_ALLOW
	refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	absent = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// Where struct seccomp_data has what; from arguments on each takes 8 bytes.
const (
	atNumber, atArch, atArguments = 0, 4, 16
)

// program is the filter for r.
func (r Rules) program() ([]bpf.Instruction, error) {
	known, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("isolation: seccomp: %w", err)
	}
	newest := slices.Max(slices.Collect(maps.Values(known.SyscallNames)))
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: atArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(known.ID), SkipTrue: 1},
		bpf.RetConstant{Val: absent},
		bpf.LoadAbsolute{Off: atNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: uint32(newest), SkipTrue: 1}, // those of x32 are above it
		bpf.RetConstant{Val: absent},
	}
	// Each call has a block of its own, which decides.
	block := func(name string, decide ...bpf.Instruction) {
		if number, ok := known.SyscallNames[name]; ok {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(number), SkipTrue: uint8(len(decide))})
			p = append(p, decide...)
		}
	}
	uses := r.uses()
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		var decide []bpf.Instruction
		for _, use := range uses[name] {
			decide = append(decide, use.instructions()...)
		}
		block(name, append(decide, bpf.RetConstant{Val: refuse})...)
	}
	// Its flags are in memory, where no filter sees them; who makes threads by it falls back to clone.
	block("clone3", bpf.RetConstant{Val: absent})
	for _, name := range forbidden {
		if uses[name] == nil {
			block(name, bpf.RetConstant{Val: refuse})
		}
	}
	return append(p, bpf.RetConstant{Val: pass}), nil
}

// A use of a system call is allowed when all conditions hold.
type use []condition

// instructions let the call pass or go on behind them.
func (u use) instructions() []bpf.Instruction {
	var p []bpf.Instruction
	for _, c := range u {
		p = append(p, c.instructions()...)
	}
	p = append(p, bpf.RetConstant{Val: pass})
	for i, in := range p { // a condition that does not hold leads behind the last one
		if j, ok := in.(bpf.JumpIf); ok && j.SkipFalse == toEnd {
			j.SkipFalse = uint8(len(p) - 1 - i)
			p[i] = j
		}
	}
	return p
}

// toEnd stands for the end of a use until that is known.
const toEnd = 0xff

// A condition is on one argument: of the bits in mask exactly those in value are set or, with differ, not exactly those.
type condition struct {
	argument    uint32
	mask, value uint64
	differ      bool
}

// instructions go on where the condition holds, and to the end of its use where it does not. The halves of a condition with
// differ are not told apart: only one of them may have a mask.
func (c condition) instructions() []bpf.Instruction {
	var p []bpf.Instruction
	for i, half := range []struct{ mask, value uint32 }{{uint32(c.mask), uint32(c.value)}, {uint32(c.mask >> 32), uint32(c.value >> 32)}} {
		if half.mask == 0 {
			continue
		}
		offset := atArguments + 8*c.argument
		if (i == 1) == (binary.NativeEndian.Uint16([]byte{1, 0}) == 1) {
			offset += 4
		}
		test := bpf.JumpEqual
		if c.differ {
			test = bpf.JumpNotEqual
		}
		p = append(p, bpf.LoadAbsolute{Off: offset, Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: half.mask},
			bpf.JumpIf{Cond: test, Val: half.value, SkipFalse: toEnd})
	}
	return p
}

const (
	whole = ^uint64(0)
	lower = uint64(0xffffffff)
)

// is and isNot are of a whole argument and of its lower half, where the kernel looks at no more.
func is(argument uint32, value uint64) condition { return condition{argument, whole, value, false} }
func isNot(argument uint32, value uint64) condition {
	return condition{argument, lower, value, true}
}

// with and without are that all of the bits are set, and that none is.
func with(argument uint32, bits uint64) condition    { return condition{argument, bits, bits, false} }
func without(argument uint32, bits uint64) condition { return condition{argument, bits, 0, false} }

// Connects says whether there is anything that may be connected to. If not, connect(2) is refused.
func (r Rules) Connects() bool {
	return r.Internet || r.Program != 0 || len(r.Sockets)+len(r.Ports) > 0
}

// uses are the system calls that are allowed for some uses only.
func (r Rules) uses() map[string][]use {
	own := uint64(os.Getpid())
	noOwner := []use{{isNot(1, unix.F_SETOWN), isNot(1, unix.F_SETOWN_EX), isNot(1, unix.F_SETSIG)}}
	uses := map[string][]use{
		"clone":  {{with(0, unix.CLONE_THREAD), without(0, namespaces)}},
		"kill":   {{is(0, own)}},
		"tgkill": {{is(0, own)}},
		"socket": {{is(0, unix.AF_UNIX)}},
		// Other families have pairs, too (TIPC), which need not stay with each other.
		"socketpair": {{is(0, unix.AF_UNIX)}},
		// Bytes must not be put into the terminal that we run on, nor a descriptor signal others when something comes.
		"ioctl":   {{isNot(1, unix.TIOCSTI), isNot(1, unix.TIOCLINUX), isNot(1, setOwner), isNot(1, unix.SIOCSPGRP)}},
		"fcntl":   noOwner,
		"fcntl64": noOwner,
		// A unix socket gives a handle on the process at its other end, which can be signalled by it.
		"getsockopt": {{isNot(1, unix.SOL_SOCKET)}, {isNot(2, unix.SO_PEERPIDFD)}},
		"setsockopt": {{isNot(1, unix.SOL_SOCKET)}, {isNot(2, unix.SO_PASSPIDFD)}},
		// Not the limits of others: that of processor time kills.
		"prlimit64": {{is(0, 0)}, {is(0, own)}},
	}
	// A Tor is asked to end, and ended; by other signals it would say more than it should (SIGUSR2).
	uses["pidfd_send_signal"] = []use{}
	if r.Signal != 0 {
		for _, signal := range []uint64{0, uint64(unix.SIGTERM), uint64(unix.SIGKILL)} {
			uses["kill"] = append(uses["kill"], use{is(0, uint64(r.Signal)), is(1, signal)})
			uses["pidfd_send_signal"] = append(uses["pidfd_send_signal"], use{is(1, signal)})
		}
	}
	if r.Program != 0 {
		uses["execveat"] = []use{{is(0, uint64(r.Program)), is(4, unix.AT_EMPTY_PATH)}}
		uses["kill"] = append(uses["kill"], use{is(1, 0)}) // Tor looks whether its owner lives
	} else {
		uses["prctl"] = []use{{isNot(0, unix.PR_SET_DUMPABLE)}} // NoDumps is for ever
	}
	if r.Program == 0 && !r.Internet {
		// A TCP socket from before must not be turned outwards: TCP Fast Open connects without connect(2), and listen(2) takes
		// a port without bind(2), where Landlock looks at neither.
		uses["sendto"] = []use{{without(3, unix.MSG_FASTOPEN)}}
		uses["listen"] = []use{}
		uses["ioctl"] = []use{{isNot(1, unix.TIOCSTI), isNot(1, unix.TIOCLINUX), {1, networkMask, networkCommands, true}}}
		for _, name := range ours {
			uses[name] = []use{}
		}
	}
	if !r.Connects() {
		uses["connect"] = []use{}
		uses["sendto"] = []use{{without(3, unix.MSG_FASTOPEN), is(4, 0)}} // to whom it is connected already
	}
	if r.Internet || len(r.Ports) > 0 {
		for _, family := range []uint64{unix.AF_INET, unix.AF_INET6} {
			// With protocol 0 or TCP it is plain TCP, which Landlock knows; Multipath TCP it does not know. The kind is in the
			// lowest four bits, flags are above them.
			kind := condition{argument: 1, mask: 0xf, value: unix.SOCK_STREAM}
			uses["socket"] = append(uses["socket"], use{is(0, family), kind, is(2, 0)}, use{is(0, family), kind, is(2, unix.IPPROTO_TCP)})
		}
	}
	if !r.Code {
		for _, name := range []string{"mmap", "mprotect", "pkey_mprotect"} {
			uses[name] = []use{{without(2, unix.PROT_EXEC)}}
		}
	}
	if r.Closed {
		for _, name := range closed {
			uses[name] = []use{}
		}
	}
	return uses
}
