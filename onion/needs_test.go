package onion

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNeedsOfOurOwnTor(t *testing.T) {
	c := testConfig(t)
	c.Socks = true
	s := mustStart(t, c)
	n := s.Needs(t.Context())
	if n.PID != s.PID() || n.Internet || len(n.Ports)+len(n.Write) > 0 {
		t.Errorf("%+v", n)
	}
	if want := []string{s.config.RuntimeDir}; !slices.Equal(n.Remove, want) || !slices.Contains(n.Sockets, s.socks) {
		t.Errorf("%+v, want to remove from %q and to connect to %s", n, want, s.socks)
	}
}

// TestNeedsOfALongRuntimeDirectory: its sockets are elsewhere, and so is what Close removes.
func TestNeedsOfALongRuntimeDirectory(t *testing.T) {
	base := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", base)
	c := testConfig(t)
	c.Socks, c.RuntimeDir = true, filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	s := mustStart(t, c)
	n := s.Needs(t.Context())
	if !slices.Contains(n.Remove, base) || !slices.Contains(n.Sockets, filepath.Dir(s.socks)) {
		t.Errorf("%+v, want to remove from %s", n, base)
	}
}
