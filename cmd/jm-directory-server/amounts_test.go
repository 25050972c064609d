package main

import (
	"math"
	"testing"
	"time"
)

func TestAmountsAreShort(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{shortCount(0), "0"}, {shortCount(9999), "9999"}, {shortCount(10_000), "10.0k"}, {shortCount(99_940), "99.9k"},
		{shortCount(123_456), "123k"}, {shortCount(1_400_332_111), "1.4G"}, {shortCount(uint64(math.MaxUint64)), "18.4E"}, {shortCount(-5), "-5"},
		{shortRate(0), "0"}, {shortRate(0.004), "0"}, {shortRate(0.04), "0.04"}, {shortRate(0.1), "0.1"}, {shortRate(12.44), "12.4"},
		{shortRate(99.94), "99.9"}, {shortRate(99.96), "100"}, {shortRate(15_234.5), "15.2k"}, {shortRate(math.NaN()), "?"}, {shortRate(math.Inf(1)), "?"},
		{shortBytes(0), "0 B"}, {shortBytes(1023), "1023 B"}, {shortBytes(1300000), "1.2 MiB"}, {shortBytes(uint64(88 << 20)), "88.0 MiB"}, {shortBytes(1200.7), "1.2 KiB"},
		{shortBytes(math.Inf(1)), "?"},
		{shortTime(-time.Second), "0 ms"}, {shortTime(340 * time.Millisecond), "340 ms"}, {shortTime(2100 * time.Millisecond), "2.1 s"},
		{shortTime(2 * time.Second), "2 s"}, {shortTime(41 * time.Second), "41 s"}, {shortTime(2 * time.Minute), "2 min"},
		{shortTime(130 * time.Second), "2m 10s"}, {shortTime(41 * time.Minute), "41 min"}, {shortTime(4*time.Hour + 12*time.Minute), "4h 12m"},
		{shortTime(292 * time.Hour), "12d 4h"},
		{plural(1, "peer"), "1 peer"}, {plural(0, "peer"), "0 peers"}, {plural(2, "peer"), "2 peers"},
		{plural(uint64(12_345), "upload"), "12.3k uploads"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
