package isolation

import (
	"strings"
	"testing"
)

func TestMissingNamesWhatAKernelLacks(t *testing.T) {
	for _, c := range []struct {
		kernel         Kernel
		lacks, inForce string // joined
	}{
		{Kernel{Landlock: 7, Filters: true}, "", "system calls (seccomp), files (Landlock), TCP ports (Landlock), signals and abstract sockets (Landlock)"},
		{Kernel{Landlock: 9, Filters: true}, "", "unix sockets (Landlock)"},
		{Kernel{Landlock: 2, Filters: true}, "TCP ports (Landlock of Linux 6.7)", "system calls (seccomp), files (Landlock)"},
		{Kernel{Landlock: 7}, "CONFIG_SECCOMP_FILTER", "files (Landlock)"},
		{Kernel{}, "files (Landlock: Linux 5.13 with landlock in lsm=)", ""},
	} {
		lacks, inForce := strings.Join(c.kernel.Missing(), ", "), strings.Join(c.kernel.InForce(), ", ")
		if (c.lacks == "") != (lacks == "") || !strings.Contains(lacks, c.lacks) {
			t.Errorf("%+v lacks %q, want %q", c.kernel, lacks, c.lacks)
		}
		if open := c.kernel.Open(); (open == "") != strings.Contains(inForce, "unix sockets") {
			t.Errorf("%+v leaves open %q, and puts in force %q", c.kernel, open, inForce)
		}
		if !strings.Contains(inForce, c.inForce) || (c.kernel == Kernel{}) != (inForce == "") {
			t.Errorf("%+v puts in force %q, want %q", c.kernel, inForce, c.inForce)
		}
	}
}
