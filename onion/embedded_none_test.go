//go:build !embedtor && !golibtor

package onion

import (
	"errors"
	"strings"
	"testing"
)

func TestEmbeddedWithoutATorSaysWhatToDo(t *testing.T) {
	if version, ok := EmbeddedVersion(); ok {
		t.Errorf("carries %q", version)
	}
	_, err := Start(t.Context(), Config{Mode: Embedded, StateDir: t.TempDir()})
	if !errors.Is(err, ErrNoEmbeddedTor) || !strings.Contains(err.Error(), "make build") {
		t.Errorf("start: %v", err)
	}
}
