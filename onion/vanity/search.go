// Package vanity searches for onion keys whose address begins with a prefix.
//
// A worker begins at a random key and goes on in steps of 8B, adding 8 to the
// scalar each time: that keeps it clamped, which is what Tor asks of it. All
// additions of a batch share one inversion. After each find a worker begins
// anew at another random key, because keys that are few steps apart can be told
// to belong together, and whoever has one can compute the other.
package vanity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"filippo.io/edwards25519"

	"jm-directory-server/onion"
)

// batchSteps is how many steps to either side a batch goes. BenchmarkBatch
// finds no gain above; memory is 240 bytes for each step and worker, and 120
// shared.
const batchSteps = 512

// A Search counts what it has tried. The zero value is ready; it is for one Run.
type Search struct {
	tried atomic.Uint64
}

// Tried is how many keys were looked at so far.
func (s *Search) Tried() uint64 { return s.tried.Load() }

// Run searches with jobs workers until ctx ends or found returns false or an
// error, which Run returns. Each key is verified as onion.ParseKey does before
// found gets it; found is not called twice at a time. The error is that of
// ctx if it ended the search.
func (s *Search) Run(ctx context.Context, p *Prefixes, jobs int, found func(onion.SecretKey) (more bool, err error)) error {
	if jobs < 1 {
		return fmt.Errorf("vanity search: %d jobs", jobs)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex
	tell := func(k onion.SecretKey) error {
		one.Lock()
		defer one.Unlock()
		if ctx.Err() != nil {
			return nil // another worker's was the last
		}
		more, err := found(k)
		if err == nil && !more {
			err = errEnough
		}
		if err != nil {
			cancel(err) // before another worker gets its turn
		}
		return err
	}
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			w := &worker{prefixes: p, batch: newBatch(batchSteps), tried: &s.tried}
			if err := w.run(ctx, tell); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errEnough) {
		return fmt.Errorf("vanity search: %w", err)
	}
	return nil
}

// errEnough ends a search that has found what was asked for.
var errEnough = errors.New("enough keys are found")

// A worker is one line of keys.
type worker struct {
	prefixes *Prefixes
	batch    *batch
	tried    *atomic.Uint64

	expanded [64]byte // of the key that the line began with
	centre   int64    // steps from there to the centre of the batch
}

// run searches until ctx ends (nil) or tell returns an error.
func (w *worker) run(ctx context.Context, tell func(onion.SecretKey) error) error {
	fresh := true
	for ctx.Err() == nil {
		if fresh {
			if err := w.begin(); err != nil {
				return err
			}
		}
		key, ok, err := w.next()
		if err != nil {
			return err
		}
		if fresh = ok; ok {
			if err := tell(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin goes to a random key.
func (w *worker) begin() error {
	if _, err := rand.Read(w.expanded[:]); err != nil {
		return fmt.Errorf("random key: %w", err)
	}
	w.expanded[0] &= 248
	w.expanded[31] &= 63
	w.expanded[31] |= 64
	return w.start()
}

// start puts the centre at the key in w.expanded.
func (w *worker) start() error {
	s, err := edwards25519.NewScalar().SetBytesWithClamping(w.expanded[:32])
	if err != nil {
		return err
	}
	w.centre = 0
	w.batch.centre = affine(new(edwards25519.Point).ScalarBaseMult(s))
	return nil
}

// next looks at one batch and goes on to the one behind it. It returns the
// first key that matches.
func (w *worker) next() (key onion.SecretKey, ok bool, err error) {
	b := w.batch
	behind, ok := b.compute()
	if !ok {
		// One start in 2^240 meets this: any other will do.
		return key, false, w.begin()
	}
	if w.prefixes.candidate(head(&b.centre.y)) {
		if key, ok, err := w.verify(w.centre); ok || err != nil {
			return key, ok, err
		}
	}
	for i := range b.ys {
		if w.prefixes.candidate(head(&b.ys[i])) {
			if key, ok, err := w.verify(w.centre + step(i)); ok || err != nil {
				return key, ok, err
			}
		}
	}
	w.tried.Add(uint64(b.width()))
	w.centre += int64(b.width())
	b.centre = behind
	return key, false, nil
}

// verify makes the key that is n steps from the start, from its scalar alone.
// It is false where the scalar has left the range of clamped ones, and where
// more than the first 64 bits decide and do not match.
func (w *worker) verify(n int64) (onion.SecretKey, bool, error) {
	var none onion.SecretKey
	scalar, ok := advance([32]byte(w.expanded[:32]), n)
	if !ok {
		return none, false, nil
	}
	expanded := w.expanded
	copy(expanded[:], scalar[:])
	key, err := onion.KeyFromExpanded(expanded)
	if err != nil {
		return none, false, fmt.Errorf("%d steps from the start: %w", n, err)
	}
	return key, w.prefixes.Match(key.Address()), nil
}
