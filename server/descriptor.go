package server

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A descriptor is open while somebody uses it, also after it was abandoned: its number might belong to another connection when it is
// used. Its poller reports its events.
type descriptor struct {
	poller *poller
	fd     int
	users  atomic.Int32 // calls that use fd now, and abandoned once nobody may begin to
}

// abandoned is set in descriptor.users by abandon.
const abandoned = 1 << 30

// use keeps the descriptor open until release; false: it is closed, or is about to be.
func (d *descriptor) use() bool {
	for {
		n := d.users.Load()
		if n >= abandoned {
			return false
		}
		if d.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a use. The last one closes what was abandoned.
func (d *descriptor) release() {
	if d.users.Add(-1) == abandoned {
		d.end()
	}
}

// abandon lets nobody begin to use the descriptor, and closes it when nobody does. To be called once.
func (d *descriptor) abandon() {
	if d.users.Add(abandoned) == abandoned {
		d.end()
	}
}

// end closes the descriptor. It is called once.
func (d *descriptor) end() {
	d.poller.forget(d.fd)
	unix.Close(d.fd)
}
