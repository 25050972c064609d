package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets whose width grows with them: any quantile is right to one part in 64.
// The zero value is empty. One goroutine records at a time.
type histogram struct {
	buckets [histogramBuckets]uint64
	n       uint64
	most    int64 // ns
}

const (
	histogramBits    = 6  // buckets of one power of two: 64
	histogramTop     = 42 // the last power of two in ns that has buckets of its own: 73 minutes
	histogramBuckets = (histogramTop - histogramBits + 1) << histogramBits
)

// bucketOf is the bucket of a duration in ns; the last one takes all that is longer.
func bucketOf(ns int64) int {
	v := uint64(max(ns, 0))
	if v < 1<<histogramBits {
		return int(v)
	}
	shift := bits.Len64(v) - histogramBits - 1
	return min(shift<<histogramBits+int(v>>shift), histogramBuckets-1)
}

// bucketMiddle is the duration in ns that stands for all of a bucket.
func bucketMiddle(i int) int64 {
	if i < 2<<histogramBits {
		return int64(i)
	}
	shift := i>>histogramBits - 1
	least := int64(i-shift<<histogramBits) << shift
	return least + 1<<shift/2
}

// record counts one duration in ns. It MUST NOT allocate.
func (h *histogram) record(ns int64) {
	h.buckets[bucketOf(ns)]++
	h.n++
	h.most = max(h.most, ns)
}

// add counts everything that o has counted.
func (h *histogram) add(o *histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.n += o.n
	h.most = max(h.most, o.most)
}

// quantile returns the duration that a part q of all, 0 to 1, does not exceed; 0 when nothing was recorded.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q*float64(h.n) + 0.5)
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(min(bucketMiddle(i), h.most))
		}
	}
	return 0
}
