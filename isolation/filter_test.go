package isolation

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// allowed is SECCOMP_RET_ALLOW.
const allowed = 0x7fff0000

// runFilter runs a filter as the kernel would, on a system call whose arguments are all the same.
func runFilter(t *testing.T, filter []bpf.Instruction, number, arch uint32, argument uint64) bool {
	t.Helper()
	return runFilterOn(t, filter, number, arch, [6]uint64{argument, argument, argument, argument, argument, argument})
}

// runFilterOn is runFilter with these arguments.
func runFilterOn(t *testing.T, filter []bpf.Instruction, number, arch uint32, arguments [6]uint64) bool {
	t.Helper()
	// struct seccomp_data, whose halves are in the order of this machine; the virtual machine reads words as a network has them.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[0:], number)
	binary.BigEndian.PutUint32(data[4:], arch)
	for i, argument := range arguments {
		low, high := 16+8*i, 20+8*i
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
			low, high = high, low
		}
		binary.BigEndian.PutUint32(data[low:], uint32(argument))
		binary.BigEndian.PutUint32(data[high:], uint32(argument>>32))
	}
	vm, err := bpf.NewVM(filter)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return verdict == allowed
}

// TestForbiddenNamesExist: a name that no machine knows would forbid nothing.
func TestForbiddenNamesExist(t *testing.T) {
	for _, name := range slices.Concat([]string{"clone3"}, forbidden, ours, closed) {
		known := false
		for _, machine := range []*arch.Info{arch.X86_64, arch.AARCH64, arch.I386, arch.ARM} {
			_, ok := machine.SyscallNames[name]
			known = known || ok
		}
		if !known {
			t.Errorf("no machine knows %s", name)
		}
	}
}

// TestClosedProcessOpensNothing: nor does it turn to anybody else with what it has.
func TestClosedProcessOpensNothing(t *testing.T) {
	machine, err := arch.GetInfo("")
	if err != nil {
		t.Skip(err)
	}
	open, err := Rules{}.program()
	if err != nil {
		t.Fatal(err)
	}
	shut, err := Rules{Closed: true}.program()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"openat": false, "socket": false, "accept4": false, "sendto": false,
		"read": true, "write": true, "epoll_pwait": true, "futex": true, "close": true, "mmap": true,
	} {
		number, argument := uint32(machine.SyscallNames[name]), uint64(0)
		if name == "socket" {
			argument = unix.AF_UNIX
		}
		if !runFilter(t, open, number, uint32(machine.ID), argument) {
			t.Errorf("%s is refused to all", name)
		}
		if got := runFilter(t, shut, number, uint32(machine.ID), argument); got != want {
			t.Errorf("%s: allowed %v, want %v", name, got, want)
		}
	}
}

// TestOldKernelsTakeTheFilterToo: before Linux 4.17 a flag that is unknown is an error.
func TestOldKernelsTakeTheFilterToo(t *testing.T) {
	for _, known := range []uintptr{unix.SECCOMP_FILTER_FLAG_TSYNC, unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW} {
		var taken uintptr
		_, errno := install(func(flags uintptr) (uintptr, unix.Errno) {
			if flags&^known != 0 {
				return 0, unix.EINVAL
			}
			taken = flags
			return 0, 0
		})
		if errno != 0 || taken != known {
			t.Errorf("a kernel that knows the flags %#x: %v, takes %#x", known, errno, taken)
		}
	}
	if _, errno := install(func(uintptr) (uintptr, unix.Errno) { return 0, unix.EINVAL }); errno != unix.EINVAL {
		t.Errorf("a kernel that refuses the filter: %v", errno)
	}
}

// TestOnlyTorConnectsBySending: the server does not, with a port that it may connect to neither; a Tor is free to connect anyhow.
func TestOnlyTorConnectsBySending(t *testing.T) {
	known, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		rules Rules
		may   bool
	}{
		{"server", Rules{Signal: 7}, false},
		{"server with a port", Rules{Ports: []uint16{9050}}, false},
		{"server with a Tor in its process", Rules{Internet: true}, true},
		{"Tor", Rules{Internet: true, Program: 5}, true},
	} {
		instructions, err := c.rules.program()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"sendto", "sendmsg", "sendmmsg", "listen"} {
			if got := runFilter(t, instructions, uint32(known.SyscallNames[name]), uint32(known.ID), unix.MSG_FASTOPEN); got != c.may {
				t.Errorf("%s: %s is allowed: %v, want %v", c.name, name, got, c.may)
			}
		}
		if !runFilterOn(t, instructions, uint32(known.SyscallNames["sendto"]), uint32(known.ID), [6]uint64{3: unix.MSG_NOSIGNAL}) {
			t.Errorf("%s cannot send", c.name)
		}
	}
}

// TestOnlyWhoHasSomethingToConnectToConnects: not to a unix socket either, by its path, which a filter does not see.
func TestOnlyWhoHasSomethingToConnectToConnects(t *testing.T) {
	known, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		rules Rules
		may   bool
	}{
		{"server", Rules{Signal: 7, Read: []string{"/a"}, Remove: []string{"/b"}}, false},
		{"server without a dialer", Rules{Sockets: []string{"/c"}}, true},
		{"the same with a port", Rules{Ports: []uint16{9050}}, true},
		{"server with a Tor in its process", Rules{Internet: true}, true},
		{"Tor", Rules{Internet: true, Program: 5}, true},
		{"what becomes a program without internet", Rules{Program: 5}, true},
		{"guard", Rules{Closed: true}, false},
	} {
		instructions, err := c.rules.program()
		if err != nil {
			t.Fatal(err)
		}
		if c.rules.Connects() != c.may {
			t.Errorf("%s: Connects is %v", c.name, c.rules.Connects())
		}
		for name, arguments := range map[string][6]uint64{
			"connect": {3, 0x7f0000001000, 110}, "sendto": {3, 0x7f0000001000, 1, unix.MSG_NOSIGNAL, 0x7f0000002000, 110},
		} {
			if got := runFilterOn(t, instructions, uint32(known.SyscallNames[name]), uint32(known.ID), arguments); got != c.may {
				t.Errorf("%s: %s is allowed: %v, want %v", c.name, name, got, c.may)
			}
		}
	}
}
