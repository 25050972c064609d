package onion

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc: USER_HZ is 100 wherever Go runs on
// Linux.
const clockTick = time.Second / 100

// maxProcStat is more than /proc/PID/stat ever has, in bytes.
const maxProcStat = 2048

// parseProcStat reads /proc/PID/stat (proc_pid_stat(5)): resident memory in
// bytes and the processor time used in user and kernel mode; 0 where it is not
// understood. The name in brackets may hold anything.
func parseProcStat(b []byte) (rss int64, cpu time.Duration) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, 0
	}
	const first, utime, stime, resident = 3, 14, 15, 24 // fields, the manual's numbers
	f := bytes.Fields(b[end+1:])
	if len(f) <= resident-first {
		return 0, 0
	}
	number := func(field int, limit int64) int64 {
		n, err := strconv.ParseInt(string(f[field-first]), 10, 64)
		if err != nil || n < 0 || n > limit {
			return 0
		}
		return n
	}
	const most = 1 << 38 // ticks, 87 years of them, or pages; keeps sum and products in range
	ticks := number(utime, most) + number(stime, most)
	return number(resident, most) * int64(os.Getpagesize()), time.Duration(ticks) * clockTick
}
