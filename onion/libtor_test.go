//go:build golibtor

package onion

import (
	"errors"
	"testing"
)

func TestLinkedTorIsRefusedBeforeItRuns(t *testing.T) {
	version, ok := EmbeddedVersion()
	if !ok {
		t.Fatal("go-libtor names no version")
	}
	v, _, err := parseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	if !v.less(refuseBelow) {
		t.Skipf("a refreshed go-libtor carries Tor %s", version)
	}
	if _, err := Start(t.Context(), Config{Mode: Embedded, StateDir: t.TempDir()}); !errors.Is(err, ErrTorTooOld) {
		t.Errorf("start: %v", err)
	}
}
