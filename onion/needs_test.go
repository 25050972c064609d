package onion

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNeedsOfOurOwnTor: with a dialer this process connects to nothing by itself.
func TestNeedsOfOurOwnTor(t *testing.T) {
	for _, confine := range []Confine{Unconfined, ConfineRequire} {
		c := testConfig(t)
		c.Socks, c.Confine = true, confine
		s := mustStart(t, c)
		n := s.Needs(t.Context())
		if n.PID != s.PID() || n.Internet || len(n.Ports)+len(n.Write) > 0 {
			t.Errorf("%q: %+v", confine, n)
		}
		if want := []string{s.config.RuntimeDir}; !slices.Equal(n.Remove, want) {
			t.Errorf("%q: %+v, want to remove from %q", confine, n, want)
		}
		if confine == Unconfined && !slices.Equal(n.Sockets, []string{s.socks}) || confine != Unconfined && len(n.Sockets) > 0 {
			t.Errorf("%q: %+v connects, the SOCKS socket is %s", confine, n, s.socks)
		}
		if _, err := os.Stat(s.socks); err != nil { // what is not there cannot be in the rules
			t.Error(err)
		}
	}
}

// TestNeedsOfALongRuntimeDirectory: its sockets are elsewhere, and so is what Close removes.
func TestNeedsOfALongRuntimeDirectory(t *testing.T) {
	for _, confine := range []Confine{Unconfined, ConfineRequire} {
		base := t.TempDir()
		t.Setenv("XDG_RUNTIME_DIR", base)
		c := testConfig(t)
		c.Socks, c.Confine, c.RuntimeDir = true, confine, filepath.Join(t.TempDir(), strings.Repeat("long", 30))
		s := mustStart(t, c)
		n := s.Needs(t.Context())
		if !slices.Contains(n.Remove, base) || slices.Contains(n.Sockets, s.socks) != (confine == Unconfined) {
			t.Errorf("%q: %+v, want to remove from %s", confine, n, base)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
			t.Errorf("%q: left are %v, %v", confine, left, err)
		}
	}
}
