package main

import (
	"errors"
	"math"
	"strings"
	"time"
)

// parseDuration reads a time as operators write it: as time.ParseDuration, and before that, if it is long, with days of 24 hours:
// 90m, 7d, 1d12h, 0.5d.
func parseDuration(text string) (time.Duration, error) {
	plain, negative := strings.CutPrefix(text, "-")
	days, rest, long := strings.Cut(plain, "d")
	if !long {
		return time.ParseDuration(text)
	}
	if days == "" || strings.Trim(days, "0123456789.") != "" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, errDuration
	}
	d, err := time.ParseDuration(days + "h")
	if err != nil || d > math.MaxInt64/24 {
		return 0, errDuration
	}
	d *= 24
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more > math.MaxInt64-d {
			return 0, errDuration
		}
		d += more
	}
	if negative {
		d = -d
	}
	return d, nil
}

// errDuration says what a flag allows.
var errDuration = errors.New("must be a time such as 30s, 90m, 12h, 7d or 1d12h")

// durationFlag is a pflag.Value that takes days, too, and whose errors are written for people.
type durationFlag time.Duration

// String implements pflag.Value.
func (d *durationFlag) String() string { return goDuration.Replace(time.Duration(*d).String()) }

// Type implements pflag.Value.
func (d *durationFlag) Type() string { return "duration" }

// Set implements pflag.Value.
func (d *durationFlag) Set(text string) error {
	v, err := parseDuration(text)
	if err != nil {
		return errDuration
	}
	*d = durationFlag(v)
	return nil
}
