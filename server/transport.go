package server

import (
	"errors"
	"time"
)

// errWouldBlock is what a read or a write returns when the socket has or takes nothing now.
var errWouldBlock = errors.New("would block")

// stillAfter is how long a receiver may take nothing and still be taken for one that reads, slowly.
const stillAfter = 2 * time.Second

// A transport is a connection as the hot path needs it: reads and writes that never wait, and a way to be told when they may go
// on. One goroutine reads at a time; one at a time writes.
type transport interface {
	// read takes room from r and reads once. io.EOF is reported as 0, nil; errWouldBlock when there is
	// nothing.
	read(r *lineReader) (int, error)
	// awaitReadable waits until read may go on, or fails.
	awaitReadable() error
	// park has c run by a reader as soon as read may go on, or fails. It reports false when it does so now.
	park(c *conn) bool
	// writev writes what v holds as far as it goes at once; errWouldBlock when nothing went.
	writev(v *vector) (int, error)
	// awaitWritable waits until a write may go on. It fails with os.ErrDeadlineExceeded when the
	// other side has taken nothing at all for d. It calls unread with true when that is so for stillAfter, and
	// with false when it no longer is.
	awaitWritable(d time.Duration, unread func(bool)) error
	// setReadDeadline makes read fail with os.ErrDeadlineExceeded from then on; zero: never. Who waits looks
	// again; one that is parked is woken only by a time that is over.
	setReadDeadline(t time.Time) error
	// closeWrite says to the other side that nothing more will come.
	closeWrite() error
	// hungUp reports whether the other side has ended its half at least, so that it will send nothing that is not
	// here already.
	hungUp() bool
	// close ends everything, also calls that wait.
	close() error
}
