package page

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestNumbersAreWrittenForPeople guards units, groups of digits and the number of digits.
func TestOnePeerIsNotPlural(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 peers", 1: "1 peer", 2: "2 peers"} {
		if got := peers(n); got != want {
			t.Errorf("%d is %q, not %q", n, got, want)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1 000"}, {count(9_999_999), "9 999 999"}, {count(10_000_000), "10 M"}, {count(math.MaxUint64), "18.4 E"},
		{rate(0).String(), "0 /s"}, {rate(0.001).String(), "<0.01 /s"}, {rate(0.123).String(), "0.12 /s"}, {rate(0.5).String(), "0.5 /s"},
		{rate(0.996).String(), "1 /s"}, {rate(9.94).String(), "9.9 /s"}, {rate(99.96).String(), "100 /s"}, {rate(999.6).String(), "1 000 /s"}, {rate(12_345).String(), "12 345 /s"},
		{rate(123_456).String(), "123 k /s"}, {rate(-1).String(), "– /s"}, {rate(math.NaN()).String(), "– /s"}, {rate(math.Inf(1)).String(), "– /s"},
		{bytesOf(0).String(), "0 B"}, {bytesOf(999).String(), "999 B"}, {bytesOf(4 << 20).String(), "4.2 MB"}, {bytesOf(math.MaxUint64).String(), "18.4 EB"},
		{latency(0).String(), "0 µs"}, {latency(12 * time.Microsecond).String(), "12 µs"}, {latency(1500 * time.Microsecond).String(), "1.5 ms"},
		{latency(842 * time.Millisecond).String(), "842 ms"}, {latency(9_999 * time.Millisecond).String(), "9 999 ms"}, {latency(31 * time.Second).String(), "31 s"}, {latency(-1).String(), "–"},
		{span(0).String(), "0 s"}, {span(59 * time.Second).String(), "59 s"}, {span(61 * time.Second).String(), "1 min 1 s"}, {span(time.Hour).String(), "1 h"},
		{span(90 * time.Minute).String(), "1 h 30 min"}, {span(12*day + 4*time.Hour).String(), "12 d"}, {span(-time.Hour).String(), "0 s"}, {span(math.MaxInt64).String(), "106 751 d"},
		{ago(time.Time{}, noon), "never"}, {ago(noon, noon), "just now"}, {ago(noon.Add(time.Hour), noon), "just now"}, {ago(noon.Add(-5*time.Minute), noon), "5 min ago"},
		{percent(0), "0 %"}, {percent(0.9999), "99.9 %"}, {percent(1), "100 %"}, {percent(math.NaN()), "0 %"}, {percent(7), "100 %"},
	} {
		if got := strings.ReplaceAll(test.got, thin, " "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestLimitsAreLookedAt guards when a number near its limit is pointed out.
func TestLimitsAreLookedAt(t *testing.T) {
	for _, test := range []struct {
		n, all float64
		level  string
		bar    string
	}{{0, 100, "", "0.0"}, {79, 100, "", "79.0"}, {80, 100, warn, "80.0"}, {100, 100, bad, "100.0"}, {500, 100, bad, "100.0"}, {5, 0, "", "0.0"}, {math.NaN(), 10, "", "0.0"}} {
		if f := (fact{}).limit(test.n, test.all, "", 0.8); f.Level != test.level || f.Bar != test.bar {
			t.Errorf("%v of %v: level %q, bar %q", test.n, test.all, f.Level, f.Bar)
		}
	}
}
