package isolation

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NoDumps keeps the memory of this process from core files, and from other processes of the same user (ptrace(2),
// /proc/PID/mem). The latter ends when another program is executed.
func NoDumps() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("isolation: no dumps: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("isolation: no core files: %w", err)
	}
	return nil
}
