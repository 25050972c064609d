package isolation

import (
	"fmt"
	"runtime"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// The versions of Landlock that brought what we use (Linux Documentation/userspace-api/landlock.rst).
const (
	landlockFiles    = 1 // Linux 5.13
	landlockTruncate = 3 // 6.2
	landlockTCP      = 4 // 6.7
	landlockDevices  = 5 // 6.10
	landlockScopes   = 6 // 6.12
	landlockSockets  = 9 // unix sockets by their path
)

// A Kernel is what a kernel offers for isolation.
type Kernel struct {
	Landlock int  // its version; 0: there is none
	Filters  bool // for system calls, and their numbers on this machine are known
}

// Probe asks the running kernel.
func Probe() Kernel {
	var k Kernel
	if version, err := syscall.LandlockGetABIVersion(); err == nil {
		k.Landlock = version
	}
	known, err := arch.GetInfo("")
	k.Filters = err == nil && len(known.SyscallNames) > 0 && seccomp.Supported()
	return k
}

// Missing names what of Rules this kernel cannot put in force, in words and with what to do; empty when it can do all of it.
// What only newer kernels than 6.12 have is not counted.
func (k Kernel) Missing() []string {
	var lacks []string
	if !k.Filters {
		lacks = append(lacks, fmt.Sprintf("filters for system calls (CONFIG_SECCOMP_FILTER, on %s)", runtime.GOARCH))
	}
	for _, part := range []struct {
		since int
		name  string
	}{
		{landlockFiles, "files (Landlock: Linux 5.13 with landlock in lsm=)"},
		{landlockTruncate, "truncating files (Landlock of Linux 6.2)"},
		{landlockTCP, "TCP ports (Landlock of Linux 6.7)"},
		{landlockDevices, "control of devices (Landlock of Linux 6.10)"},
		{landlockScopes, "signals and abstract sockets (Landlock of Linux 6.12)"},
	} {
		if k.Landlock < part.since {
			lacks = append(lacks, part.name)
		}
	}
	return lacks
}

// Open names what a process of ours that may connect to something may still do on this kernel, and may not on one that is newer
// than any counted in Missing; "" if there is nothing. One that may connect to nothing (Rules) does not do it on any.
func (k Kernel) Open() string {
	if k.Landlock < landlockSockets {
		return fmt.Sprintf("connections to unix sockets of others (Landlock %d)", landlockSockets)
	}
	return ""
}

// InForce names what this kernel puts in force, in words.
func (k Kernel) InForce() []string {
	has := []string{}
	if k.Filters {
		has = append(has, "system calls (seccomp)")
	}
	for _, part := range []struct {
		since int
		name  string
	}{
		{landlockFiles, "files (Landlock)"},
		{landlockTCP, "TCP ports (Landlock)"},
		{landlockScopes, "signals and abstract sockets (Landlock)"},
		{landlockSockets, "unix sockets (Landlock)"},
	} {
		if k.Landlock >= part.since {
			has = append(has, part.name)
		}
	}
	return has
}
