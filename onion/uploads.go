package onion

import (
	"sync"
	"time"

	"github.com/cretz/bine/control"
)

// uploads counts what directories did with our descriptor.
type uploads struct {
	mu           sync.Mutex
	under        map[string]struct{} // directories that have not answered yet
	done, failed int
	first, last  time.Time
}

// note takes an HS_DESC event about our address and says whether a directory
// has stored the descriptor. FAILED also comes when our own Tor fails to fetch
// the descriptor as a client (Dial), so only directories that it is uploading
// to count.
func (u *uploads) note(e *control.HSDescEvent, now time.Time) (stored bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, asked := u.under[e.HSDir]
	switch e.Action {
	case "UPLOAD":
		if u.under == nil {
			u.under = make(map[string]struct{})
		}
		u.under[e.HSDir] = struct{}{}
	case "UPLOADED":
		delete(u.under, e.HSDir)
		u.done++
		u.last = now
		if u.done == 1 {
			u.first = now
		}
		return true
	case "FAILED":
		if asked {
			delete(u.under, e.HSDir)
			u.failed++
		}
	}
	return false
}

func (u *uploads) fill(st *State) {
	u.mu.Lock()
	defer u.mu.Unlock()
	st.FirstUpload, st.LastUpload = u.first, u.last
	st.Uploads, st.UploadFailures = u.done, u.failed
}
