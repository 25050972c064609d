package main

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTimesOfOperatorsHaveDays(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "7d": 7 * day, "1d12h": 36 * time.Hour, "0d": 0, "1.5d": 36 * time.Hour,
		"-1d12h": -36 * time.Hour, "106751d": 106751 * day, "2d500ms": 2*day + 500*time.Millisecond,
	} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "7days", "7D", "1w", "12h1d", "1d-1h", "1d+1h", "--1d", "+1d", "1 d", "1d 12h", "1d1d", "1e3d", "106752d", "106751d24h", "1..5d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
		d := durationFlag(time.Second)
		if err := d.Set(text); !errors.Is(err, errDuration) || time.Duration(d) != time.Second {
			t.Errorf("%q: %v, and the flag is %v", text, err, d)
		}
	}
}

// TestDaysAreHours holds for any text that is a time: with days it is what it is with hours.
func TestDaysAreHours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "d"))
		text := d.String()
		if got, err := parseDuration(text); got != d || err != nil {
			t.Fatalf("%q is %v, %v", text, got, err)
		}
		if got, err := parseDuration("-" + text); got != -d || err != nil {
			t.Fatalf("-%q is %v, %v", text, got, err)
		}
		if rest := math.MaxInt64 - d; rest > 24*time.Hour {
			if got, err := parseDuration("1d" + text); got != d+24*time.Hour || err != nil {
				t.Fatalf("1d%s is %v, %v", text, got, err)
			}
		}
	})
}

func TestConfigurationTakesDays(t *testing.T) {
	e, err := loadConfig(request{file: "c.toml", text: []byte("state_dir = \"s\"\n[heartbeat]\nlegacy_idle = \"1d12h\"\n"), getenv: func(string) string { return "" }})
	if err != nil || e.Heartbeat.LegacyIdle != 36*time.Hour {
		t.Errorf("%+v, %v", e, err)
	}
}
