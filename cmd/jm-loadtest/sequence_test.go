package main

import "testing"

func TestSequencesAreChecked(t *testing.T) {
	for _, test := range []struct {
		name                            string
		seqs                            []uint32
		distinct, duplicates, reordered int64
		next                            uint32
		missing                         int
	}{
		{"in order", []uint32{0, 1, 2}, 3, 0, 0, 3, 0},
		{"one twice", []uint32{0, 1, 1, 2}, 3, 1, 0, 3, 0},
		{"an old one again", []uint32{0, 1, 2, 0}, 3, 1, 0, 3, 0},
		{"one lost", []uint32{0, 2, 3}, 3, 0, 0, 4, 1},
		{"several lost", []uint32{3, 4, 8}, 3, 0, 0, 9, 6},
		{"one late", []uint32{0, 2, 1, 3}, 4, 0, 1, 4, 0},
		{"late, and again", []uint32{0, 2, 1, 1}, 3, 1, 1, 3, 0},
		{"backwards", []uint32{2, 1, 0}, 3, 0, 2, 3, 0},
	} {
		var tl tally
		var next uint32
		for _, seq := range test.seqs {
			tl.take(&next, 5, 6, seq)
		}
		if tl.distinct != test.distinct || tl.duplicates != test.duplicates || tl.reordered != test.reordered || next != test.next || len(tl.missing) != test.missing {
			t.Errorf("%s: %d came, %d twice, %d late, next %d, %d missing", test.name, tl.distinct, tl.duplicates, tl.reordered, next, len(tl.missing))
		}
		if n := tl.forget(4); n != 0 {
			t.Errorf("%s: %d gaps of another receiver", test.name, n)
		}
		if n := tl.forget(5); n != int64(test.missing) || len(tl.missing) != 0 {
			t.Errorf("%s: forgot %d gaps", test.name, n)
		}
	}
}

func TestGapsThatAreRememberedHaveABound(t *testing.T) {
	var tl tally
	var next uint32
	tl.take(&next, 0, 0, 1<<31)
	if len(tl.missing) != maxGaps {
		t.Errorf("%d gaps are remembered", len(tl.missing))
	}
}
