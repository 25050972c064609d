package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// processUsage returns the resident memory of this process in bytes and the processor time that it has used, user and
// system; zero where the system does not say.
func processUsage() (rss uint64, cpuSeconds float64) {
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(statm); len(fields) > 1 {
			pages, _ := strconv.ParseUint(string(fields[1]), 10, 64) // 0 if it is none
			rss = pages * uint64(os.Getpagesize())
		}
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		cpuSeconds = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	return rss, cpuSeconds
}

// fileUsage returns how many descriptors this process has open, and how many it may have; zero where the system does
// not say.
func fileUsage() (open int, limit uint64) {
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, _ := dir.Readdirnames(-1) // as many as can be read
		dir.Close()
		open = max(0, len(names)-1) // one is the directory itself
	}
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		limit = l.Cur
	}
	return open, limit
}
