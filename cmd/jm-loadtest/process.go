package main

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// started is when this program began; times in stamps count from here, on the monotonic clock.
var started = time.Now()

// now is the time since the start of the program in ns.
func now() int64 { return int64(time.Since(started)) }

// ownCPU is the CPU time that this process has used.
func ownCPU() time.Duration { return usageOf(unix.RUSAGE_SELF) }

// usageOf is the CPU time, of user and system, of the process (RUSAGE_SELF) or of the calling thread (RUSAGE_THREAD).
func usageOf(who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		panic(err) // both values of who are known to every kernel
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A processUse is what a process has used, as /proc tells.
type processUse struct {
	cpu time.Duration // in steps of 10 ms
	rss int64         // bytes now
}

// readProcess reads what /proc says of a process (proc(5)).
func readProcess(pid int) (processUse, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return processUse{}, fmt.Errorf("process of the server: %w", err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return processUse{}, fmt.Errorf("process of the server: %w", err)
	}
	memory, err := proc.Statm() // stat's own number of it is less exact
	if err != nil {
		return processUse{}, fmt.Errorf("process of the server: %w", err)
	}
	return processUse{
		cpu: time.Duration(math.Round(stat.CPUTime()*1000)) * time.Millisecond,
		rss: int64(memory.ResidentBytes()),
	}, nil
}

// maxFiles is the most descriptors that this program asks for.
const maxFiles = 20_000

// raiseFileLimit makes room for that many connections, or says how many there is room for.
func raiseFileLimit(peers int) error {
	const spare = 64 // descriptors that are no connection
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if want := min(limit.Max, maxFiles); limit.Cur < want {
		limit.Cur = want
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("limit of open files: %w", err)
		}
	}
	if uint64(peers+spare) > limit.Cur {
		return fmt.Errorf("%d peers need more open files than the %d allowed (ulimit -n)", peers, limit.Cur)
	}
	return nil
}
