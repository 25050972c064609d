package tornet

import (
	"os"
	"path/filepath"
)

// TB is what Tor needs of a testing.TB; taking it this way keeps package
// testing out of programs that use tornet.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Tor returns the tor executable for tests: $JM_TEST_TOR, else build/tor/tor of
// this module. Without one the test is skipped, but fails if $JM_REQUIRE_TOR
// is 1.
func Tor(tb TB) string {
	tb.Helper()
	path := os.Getenv("JM_TEST_TOR")
	if path == "" {
		path = filepath.Join(moduleRoot(), "build", "tor", "tor")
	}
	if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
		return path
	}
	if os.Getenv("JM_REQUIRE_TOR") == "1" {
		tb.Fatalf("no tor at %s: run scripts/build-tor.sh", path)
	}
	tb.Skipf("no tor at %s: run scripts/build-tor.sh for the tests over a private Tor network", path)
	return ""
}

// moduleRoot is the nearest directory above the current one with a go.mod;
// tests run in their package's directory.
func moduleRoot() string {
	start, err := os.Getwd()
	if err != nil {
		return "."
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return start
		}
	}
}
