//go:build embedtor && !golibtor

package onion

import "testing"

func TestEmbeddedTorIsTheOneThatIsNamed(t *testing.T) {
	version, ok := EmbeddedVersion()
	if !ok {
		t.Fatal("carries no tor")
	}
	c := Config{Mode: Embedded, StateDir: t.TempDir(), ExtraTorrc: offline, PoW: true}
	s := mustStart(t, c)
	if got, err := s.control.info(t.Context(), "version"); err != nil || got != version {
		t.Errorf("runs %q, %v, want %q", got, err, version)
	}
	if s.TorVersion() != version || !s.PoW() {
		t.Errorf("version %q, proof of work %v", s.TorVersion(), s.PoW())
	}
}
