package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"jm-directory-server/server/wire"
)

// answerTimeout is how long nothing at all may happen while peers join, before those that are left count as
// refused.
const answerTimeout = 30 * time.Second

// A fleet is all simulated peers of a scenario, and the readers that serve them.
type fleet struct {
	target, socks target
	network       string
	peers         []*peer
	byNick        map[string]*peer
	readers       []*reader
	threads       sync.WaitGroup

	phase           atomic.Pointer[phase]
	public, private atomic.Pointer[form] // learnt from the first messages
	malformed       atomic.Int64         // lines that clients would drop the directory for
	longestLine     atomic.Int64         // bytes, of those that are no message of ours

	mu      sync.Mutex
	refused map[string]int // handshakes, by reason
	ended   map[string]int // connections that the directory has ended, by how
}

// newFleet makes peers, of which the first makers serve, and starts the readers. close ends them.
func newFleet(o *options, ids *identities, peers, makers int) (*fleet, error) {
	if err := raiseFileLimit(peers); err != nil {
		return nil, err
	}
	f := &fleet{target: o.to, socks: o.through, network: o.network, byNick: make(map[string]*peer, peers),
		refused: map[string]int{}, ended: map[string]int{}}
	for range o.procs {
		if _, err := f.addReader(); err != nil {
			for _, r := range f.readers {
				r.close()
			}
			return nil, err
		}
	}
	for i := range peers {
		p := &peer{id: i, nick: ids.nick(), reader: f.readers[i%len(f.readers)], fd: -1}
		if i < makers {
			p.location = ids.location()
		}
		f.peers = append(f.peers, p)
		f.byNick[p.nick] = p
	}
	for _, r := range f.readers {
		f.threads.Go(r.run)
	}
	return f, nil
}

func (f *fleet) addReader() (*reader, error) {
	r, err := newReader(f, len(f.readers))
	if err == nil {
		f.readers = append(f.readers, r)
	}
	return r, err
}

// readApart gives some of the peers a reader of their own. To be called before they join.
func (f *fleet) readApart(peers []*peer) error {
	r, err := f.addReader()
	if err != nil {
		return err
	}
	for _, p := range peers {
		p.reader = r
	}
	f.threads.Go(r.run)
	return nil
}

// close ends all connections and the readers.
func (f *fleet) close() {
	f.phase.Store(nil)
	f.each(func(r *reader) {
		for _, p := range f.peers {
			if p.reader == r {
				r.drop(p, "given up")
			}
		}
		r.stopped = true
	})
	f.threads.Wait()
	for _, r := range f.readers {
		r.close()
	}
}

// each calls fn in every reader's thread and waits for all of them.
func (f *fleet) each(fn func(r *reader)) {
	var done sync.WaitGroup
	for _, r := range f.readers {
		done.Add(1)
		r.do(func() {
			defer done.Done()
			fn(r)
		})
	}
	done.Wait()
}

// enter makes a phase current. All peers that are connected are its receivers.
func (f *fleet) enter(ph *phase) {
	ph.allocate()
	f.phase.Store(ph)
	f.each(func(r *reader) {
		for _, p := range f.peers {
			if p.reader == r && p.fd >= 0 && p.in {
				ph.count(p)
			}
		}
	})
}

// exit ends the current phase and returns what all readers have counted.
func (f *fleet) exit() *tally {
	ph := f.phase.Swap(nil)
	f.each(func(*reader) {})
	sum := new(tally)
	for _, t := range ph.tallies {
		sum.add(t)
	}
	return sum
}

// delivered is how many messages have come so far.
func (f *fleet) delivered() (n int64) {
	for _, r := range f.readers {
		n += r.delivered.Load()
	}
	return n
}

// waited is how long readers had nothing to do so far.
func (f *fleet) waited() (d time.Duration) {
	for _, r := range f.readers {
		d += time.Duration(r.waited.Load())
	}
	return d
}

// longest notes the length of a line.
func (f *fleet) longest(n int) {
	for {
		old := f.longestLine.Load()
		if int64(n) <= old || f.longestLine.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

func (f *fleet) evicted(how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[how]++
}

// alive are the peers that are connected.
func (f *fleet) alive() (n int) {
	for _, p := range f.peers {
		if p.connected() {
			n++
		}
	}
	return n
}

// faults takes what went wrong with connections since the last call.
func (f *fleet) faults() faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := faults{Malformed: f.malformed.Swap(0), Evicted: f.ended, Refused: f.refused}
	f.ended, f.refused = map[string]int{}, map[string]int{}
	return out
}

// leave closes the connections of peers at once, from our side, and waits until that is done.
func (f *fleet) leave(peers []*peer) {
	f.each(func(r *reader) {
		for _, p := range peers {
			if p.reader == r {
				r.drop(p, "given up")
			}
		}
	})
}

// ask sends one line of the peer's own.
func ask(p *peer, t wire.Type, text string) error {
	b, err := wire.AppendEnvelope(nil, t, []byte(text))
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	p.write(b)
	return nil
}
