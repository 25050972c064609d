//go:build !embedtor && !golibtor

package onion

import "fmt"

// EmbeddedVersion says whether this file carries a Tor (build tag embedtor or
// golibtor), and which version it is.
func EmbeddedVersion() (string, bool) { return "", false }

// embedded answers ErrNoEmbeddedTor.
func embedded(Config) (*source, error) {
	return nil, fmt.Errorf("%w: build it with `make build`, or choose tor mode system, external or off", ErrNoEmbeddedTor)
}
