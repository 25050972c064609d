package store

import (
	"fmt"
	"sync"
	"time"
)

// Health is what the last writes came to.
type Health struct {
	OK        bool      // the last write succeeded, or there was none, and none takes longer than slowWrite now
	LastError string    // of the last write, or that one does not end; "" when OK
	Since     time.Time // since when OK has been what it is; of a write that does not end, when it began
	Failed    uint64    // writes that failed since Open
}

// slowWrite is how long a write may take until the disk is taken for one that hangs: such a disk reports no error.
const slowWrite = 30 * time.Second

// health follows the writes. Its lock is held for no write, so that a disk that hangs does not hold up
// whoever asks.
type health struct {
	mu    sync.Mutex
	now   Health
	began time.Time // of the write that is under way; zero: there is none
}

func (h *health) start() { h.now = Health{OK: true, Since: time.Now()} }

// begin takes note of a write, which ends with note.
func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = time.Now()
}

// note takes the result of one write.
func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = time.Time{}
	if ok := err == nil; ok != h.now.OK {
		h.now.OK, h.now.Since = ok, time.Now()
	}
	h.now.LastError = ""
	if err != nil {
		h.now.LastError = err.Error()
		h.now.Failed++
	}
}

// abandon takes note of the end of a write that says nothing of the disk.
func (h *health) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = time.Time{}
}

// Health returns the state of writing. It never waits for the disk.
func (s *Store) Health() Health {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now
	if took := time.Since(h.began); now.OK && !h.began.IsZero() && took >= slowWrite {
		now.OK, now.Since = false, h.began
		now.LastError = fmt.Sprintf("a write has not ended for %v", took.Truncate(time.Second))
	}
	return now
}
