package main

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsAreOrderedAndNarrow(t *testing.T) {
	for last, v := 0, int64(0); v < 1<<41; v += 1 + v/1000 {
		i := bucketOf(v)
		if i < last || i > last+1 {
			t.Fatalf("%d ns is in bucket %d, what is a little shorter in %d", v, i, last)
		}
		last = i
		if m := bucketMiddle(i); m-v > v/64+1 || v-m > v/64+1 {
			t.Fatalf("%d ns counts as %d", v, m)
		}
	}
	for _, v := range []int64{-1, 1 << 62} {
		if i := bucketOf(v); i < 0 || i >= histogramBuckets {
			t.Errorf("%d ns is in bucket %d of %d", v, i, histogramBuckets)
		}
	}
}

func TestQuantilesAreThoseOfTheSortedTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 300).Draw(t, "times")
		var a, b histogram
		for i, v := range all {
			if i%3 == 0 {
				a.record(v)
			} else {
				b.record(v)
			}
		}
		a.add(&b)
		slices.Sort(all)
		for _, q := range []float64{0, .5, .9, .99, 1} {
			rank := min(max(int(q*float64(len(all))+.5), 1), len(all))
			want, got := all[rank-1], int64(a.quantile(q))
			if got < want-want/64-1 || got > want+want/64+1 {
				t.Fatalf("quantile %g is %d, want %d", q, got, want)
			}
		}
	})
	if got := new(histogram).quantile(.5); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
}
