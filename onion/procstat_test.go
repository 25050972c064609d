package onion

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestProcStat(t *testing.T) {
	page := int64(os.Getpagesize())
	rest := " S 1 2 2 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 4 0 12345 33554432 700 18446744073709551615 1 1"
	for name, tt := range map[string]struct {
		stat string
		rss  int64
		cpu  time.Duration
	}{
		"plain":              {"42 (tor)" + rest, 700 * page, 1750 * time.Millisecond},
		"a name like fields": {"42 (a) R 1 (b c)" + rest, 700 * page, 1750 * time.Millisecond},
		"cut off":            {"42 (tor) S 1 2 2 0 -1 4194560 900 0 0 0 150 25", 0, 0},
		"no name":            {"42 tor S", 0, 0},
		"empty":              {"", 0, 0},
		"no numbers":         {"42 (tor)" + strings.Repeat(" x", 30), 0, 0},
		"time out of range":  {"42 (tor)" + strings.Repeat(" 2770000000000", 30), 0, 0},
		"out of range":       {"42 (tor)" + strings.Repeat(" 9223372036854775807", 30), 0, 0},
	} {
		if rss, cpu := parseProcStat([]byte(tt.stat)); rss != tt.rss || cpu != tt.cpu {
			t.Errorf("%s: %d bytes, %v; want %d, %v", name, rss, cpu, tt.rss, tt.cpu)
		}
	}
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if rss, _ := parseProcStat(own); rss < 1<<20 {
		t.Errorf("of this process: %d bytes", rss)
	}
}

func FuzzProcStat(f *testing.F) {
	f.Add([]byte("42 (tor) S 1 2 2 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 4 0 12345 33554432 700 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rss, cpu := parseProcStat(b); rss < 0 || cpu < 0 {
			t.Errorf("%d bytes, %v", rss, cpu)
		}
	})
}
