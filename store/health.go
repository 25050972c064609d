package store

import (
	"sync"
	"time"
)

// Health is what the last writes came to.
type Health struct {
	OK        bool      // the last write succeeded, or there was none
	LastError string    // of the last write, "" when OK
	Since     time.Time // since when OK has been what it is
	Failed    uint64    // writes that failed since Open
}

// health follows the writes. Its lock is held for no write, so that a disk that hangs does not hold up
// whoever asks.
type health struct {
	mu  sync.Mutex
	now Health
}

func (h *health) start() { h.now = Health{OK: true, Since: time.Now()} }

// note takes the result of one write.
func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ok := err == nil; ok != h.now.OK {
		h.now.OK, h.now.Since = ok, time.Now()
	}
	h.now.LastError = ""
	if err != nil {
		h.now.LastError = err.Error()
		h.now.Failed++
	}
}

// Health returns the state of writing. It never waits for the disk.
func (s *Store) Health() Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.now
}
