//go:build embedtor && !golibtor

package onion

import (
	_ "embed"
	"strings"
)

//go:embed embedded/tor.gz
var torGz []byte

//go:embed embedded/tor.version
var torVersion string

// EmbeddedVersion says whether this file carries a Tor (build tag embedtor or
// golibtor), and which version it is.
func EmbeddedVersion() (string, bool) { return strings.TrimSpace(torVersion), true }

// embedded is the executable that scripts/build-tor.sh made.
func embedded(c Config) (*source, error) {
	version, _ := EmbeddedVersion()
	return &source{version: version, pow: true, exe: memfile{gz: torGz, fallback: c.RuntimeDir}}, nil
}
