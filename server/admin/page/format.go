package page

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A quantity is a number for people, with its unit apart so that it can be set smaller.
type quantity struct{ Value, Unit string }

// thin is the blank between groups of digits, and between a number and its unit: narrow, and no place for a line break.
const thin = "\u202f"

// String returns both, for a sentence.
func (q quantity) String() string {
	if q.Unit == "" {
		return q.Value
	}
	return q.Value + thin + q.Unit
}

// count writes a whole number: with groups of three digits up to 9 999 999, above that with three digits and a letter.
func count(n uint64) string {
	if n >= 10_000_000 {
		q := scaled(float64(n), "")
		return q.String()
	}
	return grouped(strconv.FormatUint(n, 10))
}

// peers writes a count of peers.
func peers(n uint64) string {
	if n == 1 {
		return "1 peer"
	}
	return count(n) + " peers"
}

// grouped puts thin blanks between groups of three digits.
func grouped(digits string) string {
	if len(digits) <= 3 {
		return digits
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(thin)
		}
		b.WriteRune(d)
	}
	return b.String()
}

// scaled writes a number that is not negative with three digits or so, and a decimal prefix before the unit.
func scaled(v float64, unit string) quantity {
	prefixes := []string{"", "k", "M", "G", "T", "P", "E"}
	if !(v >= 0) || math.IsInf(v, 0) { // a rate that cannot be
		return quantity{"–", unit}
	}
	i := 0
	for v >= 999.5 && i < len(prefixes)-1 {
		v, i = v/1000, i+1
	}
	return quantity{digits(v), prefixes[i] + unit}
}

// digits writes a number below 1000 with as many decimals as it needs for two or three digits.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.005:
		return "<0.01"
	case v < 0.995:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 2, 64), "0")
	case v < 99.95:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// rate writes a number per second: whole ones with groups of digits up to 99 999.
func rate(v float64) quantity {
	if v >= 999.5 && v < 99_999.5 {
		return quantity{grouped(strconv.FormatFloat(v, 'f', 0, 64)), "/s"}
	}
	q := scaled(v, "")
	if q.Unit != "" {
		q.Value, q.Unit = q.Value+thin+q.Unit, ""
	}
	return quantity{q.Value, "/s"}
}

// bytesOf writes a size in decimal units.
func bytesOf(n uint64) quantity { return scaled(float64(n), "B") }

// positive is n, or 0 for what is below.
func positive[N int | int64](n N) uint64 { return uint64(max(n, 0)) }

// latency writes a time that somebody waits: in ms below ten seconds.
func latency(d time.Duration) quantity {
	switch {
	case d < 0:
		return quantity{"–", ""}
	case d < time.Millisecond:
		return quantity{digits(float64(d) / float64(time.Microsecond)), "µs"}
	case d < 10*time.Millisecond:
		return quantity{digits(float64(d) / float64(time.Millisecond)), "ms"}
	case d < 10*time.Second:
		return quantity{grouped(strconv.FormatInt(d.Milliseconds(), 10)), "ms"}
	}
	return span(d)
}

// span writes a length of time in its two largest units, the smaller as part of the value.
func span(d time.Duration) quantity {
	d = max(d, 0)
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units[:3] {
		if d < u.of {
			continue
		}
		whole, rest := d/u.of, d%u.of/units[i+1].of
		value := grouped(strconv.FormatInt(int64(whole), 10))
		if rest == 0 || whole >= 10 {
			return quantity{value, u.name}
		}
		return quantity{value + thin + u.name + " " + strconv.FormatInt(int64(rest), 10), units[i+1].name}
	}
	return quantity{strconv.FormatInt(int64(d/time.Second), 10), "s"}
}

// ago writes how long before now something was, or that it never was.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < time.Second {
		return "just now"
	}
	return span(d).String() + " ago"
}

// percent writes a share of one; only what is all is 100 %.
func percent(share float64) string {
	switch {
	case share >= 1:
		return "100" + thin + "%"
	case !(share > 0):
		return "0" + thin + "%"
	}
	return strconv.FormatFloat(math.Floor(share*1000)/10, 'f', 1, 64) + thin + "%"
}

// share is n of all, between 0 and 1; 0 of nothing.
func share(n, all float64) float64 {
	if !(all > 0) || !(n > 0) {
		return 0
	}
	return min(n/all, 1)
}
