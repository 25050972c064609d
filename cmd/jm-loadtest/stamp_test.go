package main

import (
	"testing"

	"pgregory.net/rapid"
)

func drawStamp(t *rapid.T) stamp {
	return stamp{rapid.Uint32().Draw(t, "phase"), rapid.Uint32().Draw(t, "sender"), rapid.Uint32().Draw(t, "slot"),
		rapid.Uint32().Draw(t, "seq"), rapid.Int64().Draw(t, "time")}
}

func TestStampComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawStamp(t)
		b := make([]byte, stampLen)
		want.put(b)
		if got, ok := parseStamp(b); !ok || got != want {
			t.Fatalf("%s is read as %+v, want %+v", b, got, want)
		}
	})
}

// TestDamagedStampIsNoticed leaves out the eight zeros, which say nothing.
func TestDamagedStampIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStamp(t)
		b := make([]byte, stampLen)
		s.put(b)
		at := rapid.IntRange(0, stampLen-1).Filter(func(i int) bool { return i < 48 || i >= 56 }).Draw(t, "at")
		old := b[at]
		b[at] = rapid.SampledFrom([]byte("0123456789abcdef")).Filter(func(c byte) bool { return c != old }).Draw(t, "digit")
		if got, ok := parseStamp(b); ok {
			t.Fatalf("%c for %c at %d: taken for %+v", b[at], old, at, got)
		}
	})
}

func TestStampsDoNotAllocate(t *testing.T) {
	b := make([]byte, stampLen)
	if n := testing.AllocsPerRun(100, func() {
		stamp{time: 1}.put(b)
		if _, ok := parseStamp(b); !ok {
			t.Fatal("not read")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
