package main

import (
	"fmt"
	"syscall"

	"github.com/sirupsen/logrus"
)

// spareFiles are the descriptors for everything that is not a connection: log, sockets, state.
const spareFiles = 100

// raiseFileLimit raises the limit of open files to what the system allows, and warns when that is less
// than the configured connections need. Nothing is lowered in silence: with too few, new connections wait.
func raiseFileLimit(c *Config, log logrus.FieldLogger) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("limit of open files: raise it to %d: %w", limit.Max, err)
		}
	}
	need := uint64(c.Limits.MaxPeers + c.Limits.MaxHandshakes + spareFiles)
	if limit.Cur < need {
		log.WithFields(logrus.Fields{"limit": limit.Cur, "needed": need}).
			Warnf("the limit of open files, %d, is below max_peers + max_handshakes + %d = %d: raise it (ulimit -n, LimitNOFILE=) or lower those", limit.Cur, spareFiles, need)
	}
	return nil
}
