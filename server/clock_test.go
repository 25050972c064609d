package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock is what takes the monotonic reading out of a time, or makes a time without one.
var wallClock = regexp.MustCompile(`\.(Unix|UnixNano|UnixMilli|UnixMicro|UTC|Local|In|Truncate|MarshalText)\(|time\.(Date|Parse|ParseInLocation)\(`)

// TestOnlyBansGoByTheClockOfTheWall: whoever sets that clock, by an hour, say, must end or hold up no connection. No test can set it for
// this process alone, so this one looks for what would make a time of it.
func TestOnlyBansGoByTheClockOfTheWall(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	bans := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			switch {
			case !wallClock.MatchString(line):
			case strings.Contains(line, "time.Unix(1, 0)"): // long over by any clock
			case strings.Contains(line, "Created: ") || strings.Contains(line, "Expires"):
				bans++
			default:
				t.Errorf("%s:%d: %s", name, i+1, strings.TrimSpace(line))
			}
		}
	}
	if bans == 0 {
		t.Error("no ban has a time: this test looks for the wrong things")
	}
}
