package main

import (
	"fmt"
	"strconv"
	"time"

	"jm-directory-server/cmd/terminal"
)

// shortCount writes a number in at most five characters: 9999, 12.3k, 4.5M.
func shortCount[N int | uint64](n N) string {
	if n < 10_000 {
		return strconv.FormatInt(int64(n), 10)
	}
	return scaled(float64(n), 1000, "kMGTPE", "")
}

// shortRate writes a number a second: 0, 0.04, 7.3, 120, 15.2k.
func shortRate(r float64) string {
	switch {
	case !(r < 1e18): // not a number of this world
		return "?"
	case r < 0.005:
		return "0"
	case r < 0.095:
		return strconv.FormatFloat(r, 'f', 2, 64)
	case r < 99.95:
		return strconv.FormatFloat(r, 'f', 1, 64)
	default:
		return shortCount(uint64(r + 0.5))
	}
}

// shortBytes writes a size: 512 B, 1.2 KiB, 84 MiB.
func shortBytes[N int | int64 | uint64 | float64](n N) string {
	switch f := float64(n); {
	case !(f < 1<<63):
		return "?"
	case f < 1024:
		return strconv.FormatInt(int64(n), 10) + " B"
	}
	return scaled(float64(n), 1024, "KMGTPE", " ") + "iB"
}

// scaled writes v with three digits or so and the sign of the power of base.
func scaled(v, base float64, signs, space string) string {
	i := -1
	for i < 0 || v >= base && i < len(signs)-1 {
		v /= base
		i++
	}
	if v < 99.95 {
		return fmt.Sprintf("%.1f%s%c", v, space, signs[i])
	}
	return fmt.Sprintf("%.0f%s%c", v, space, signs[i])
}

// shortTime writes a duration in its two largest units: 340 ms, 41 s, 4h 12m, 12d 4h.
func shortTime(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	}
}

// seconds is a number of seconds as a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// ago says how long at is before now, in whole seconds; "just now" below one.
func ago(now, at time.Time) string {
	d := now.Sub(at).Truncate(time.Second)
	if d < time.Second {
		return "just now"
	}
	return shortTime(d) + " ago"
}

// plural writes a count and its noun: 1 peer, 2 peers.
func plural[N int | uint64](n N, one string) string {
	return terminal.Plural(shortCount(n), one)
}
