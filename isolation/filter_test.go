package isolation

import (
	"encoding/binary"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
)

// allowed is SECCOMP_RET_ALLOW.
const allowed = 0x7fff0000

// runFilter runs a filter as the kernel would, on a system call whose arguments are all the same.
func runFilter(t *testing.T, filter []bpf.Instruction, number, arch uint32, argument uint64) bool {
	t.Helper()
	// struct seccomp_data, whose halves are in the order of this machine; the virtual machine reads words as a network has them.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[0:], number)
	binary.BigEndian.PutUint32(data[4:], arch)
	for i := range 6 {
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
	for _, name := range append([]string{"clone3"}, forbidden...) {
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
