package server

import (
	"sync"
	"sync/atomic"
)

// readers are the goroutines that read: one for each connection that has something to read, and none for the others. What
// they do may wait, for a rate limit or for the other side of a handshake, so there are as many as are needed.
type readers struct {
	ready chan *conn // unbuffered: to a reader that has nothing to do
	idle  atomic.Int32
	done  chan struct{}
	wg    sync.WaitGroup
}

// idleReaders is how many are kept when there is nothing to do. Their stacks have grown, 8 kB each; the next one would
// have to grow its own. Of those only fewReaders stay when the heartbeat comes by.
const (
	idleReaders = 64
	fewReaders  = 4
)

func (r *readers) init() { r.ready, r.done = make(chan *conn), make(chan struct{}) }

// run has c's input taken. It does not wait.
func (r *readers) run(c *conn) {
	select {
	case r.ready <- c:
	default:
		r.wg.Add(1)
		go r.work(c)
	}
}

func (r *readers) work(c *conn) {
	defer r.wg.Done()
	for {
		c.run()
		if r.idle.Add(1) > idleReaders {
			r.idle.Add(-1)
			return
		}
		select {
		case c = <-r.ready:
			r.idle.Add(-1)
			if c == nil {
				return
			}
		case <-r.done:
			return
		}
	}
}

// trim ends most of those that have nothing to do now.
func (r *readers) trim() {
	for n := r.idle.Load(); n > fewReaders; n-- {
		select {
		case r.ready <- nil:
		default: // somebody has got something to do
		}
	}
}

// stop ends the readers. All connections must have ended.
func (r *readers) stop() {
	close(r.done)
	r.wg.Wait()
}
