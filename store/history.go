package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// A Resolution is the length of the intervals of a history.
type Resolution int

// Resolutions of the history. Each is kept for its own time.
const (
	Minute Resolution = iota
	Hour
	Day
)

// Resolutions are all of them, the finest first.
var Resolutions = []Resolution{Minute, Hour, Day}

var resolutions = []struct {
	name, bucket string
	span, keep   time.Duration
}{
	Minute: {"minute", "minutes", time.Minute, 48 * time.Hour},
	Hour:   {"hour", "hours", time.Hour, 60 * 24 * time.Hour},
	Day:    {"day", "days", 24 * time.Hour, 5 * 365 * 24 * time.Hour},
}

// String is "minute", "hour" or "day".
func (r Resolution) String() string { return resolutions[r].name }

// Span is the length of an interval.
func (r Resolution) Span() time.Duration { return resolutions[r].span }

// Keep is how long an interval is kept.
func (r Resolution) Keep() time.Duration { return resolutions[r].keep }

func (r Resolution) bucket() []byte { return []byte(resolutions[r].bucket) }

// seconds is the key of an interval's start.
func seconds(unix int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(unix)) }

// pruneAtOnce bounds how many intervals one sample removes from a resolution. One is enough to keep up; it is more after
// the server has not run, and less than all so that a clock that is wrong for a minute does not cost the history.
const pruneAtOnce = 60

// Append adds one minute to the history: to its minute, its hour and its day, and removes what is too old, in one
// transaction. Start is cut to the minute. What was there of the same minute is merged, which is what happens when a
// clock is set back. Errors wrap ErrInvalid, or what the disk said; the minute is then missing.
func (s *Store) Append(m Sample) error {
	if err := m.check(); err != nil {
		return err
	}
	return s.write("history", func(tx *bbolt.Tx) error {
		for _, res := range Resolutions {
			b, err := samples(tx, res)
			if err == nil {
				err = appendTo(b, res, m)
			}
			if err != nil {
				return fmt.Errorf("%v: %w", res, err)
			}
		}
		return nil
	})
}

// samples returns the bucket of a resolution. There is none if it was damaged, and the disk took no new one.
func samples(tx *bbolt.Tx, res Resolution) (*bbolt.Bucket, error) {
	if b := tx.Bucket(res.bucket()); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%w: no bucket %s", ErrCorrupt, res.bucket())
}

// appendTo adds one minute to one resolution.
func appendTo(b *bbolt.Bucket, res Resolution, m Sample) error {
	span := int64(res.Span() / time.Second)
	start := m.Start.Unix() / span * span
	key := seconds(start)
	sum := Sample{}
	old, err := get(b, key)
	if err != nil {
		return err
	}
	if old != nil {
		was, err := decodeSample(res, key, old)
		if err != nil {
			return err
		}
		sum = *was
	}
	sum.merge(&m)
	if err := put(b, key, sum.encode()); err != nil {
		return err
	}
	return prune(b, res, start)
}

// prune removes intervals that are too old. Those after now are there when the clock was set back; there may be as
// many of them as fit into the time that is kept, and the farthest go first.
func prune(b *bbolt.Bucket, res Resolution, now int64) error {
	var drop [][]byte // a cursor loses its place when something is deleted
	c := b.Cursor()
	oldest := seconds(max(0, now-int64(res.Keep()/time.Second)))
	for k, _ := c.First(); k != nil && bytes.Compare(k, oldest) < 0 && len(drop) < pruneAtOnce; k, _ = c.Next() {
		drop = append(drop, k)
	}
	later := 0
	for k, _ := c.Seek(seconds(now + 1)); k != nil; k, _ = c.Next() {
		later++
	}
	k, _ := c.Last()
	for over := min(later-int(res.Keep()/res.Span()), pruneAtOnce); over > 0; over-- {
		drop = append(drop, k)
		k, _ = c.Prev()
	}
	for _, k := range drop {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// History returns the intervals that start from one time on and before another, in order. Those in which the server did
// not run are missing. Where a clock was set back an interval has seen more time than it has; Up and Ready are
// returned as at most Span.
func (s *Store) History(res Resolution, from, to time.Time) ([]Sample, error) {
	if res < Minute || res > Day {
		return nil, fmt.Errorf("history: %w: no resolution %d", ErrInvalid, int(res))
	}
	var list []Sample
	err := s.view(func(tx *bbolt.Tx) error {
		b, err := samples(tx, res)
		if err != nil {
			return err
		}
		c := b.Cursor()
		for k, sealed := c.Seek(seconds(ceil(from))); k != nil && bytes.Compare(k, seconds(ceil(to))) < 0; k, sealed = c.Next() {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			m, err := decodeSample(res, k, v)
			if err != nil {
				return err
			}
			m.Up, m.Ready = min(m.Up, m.Span), min(m.Ready, m.Span)
			list = append(list, *m)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: history: %w", err)
	}
	return list, nil
}

// ceil is a time in whole seconds since 1970, not before it and not below 0.
func ceil(t time.Time) int64 {
	sec := t.Unix()
	if t.Nanosecond() > 0 {
		sec++
	}
	return max(0, sec)
}
