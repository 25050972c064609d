//go:build golibtor

package onion

import (
	"fmt"

	"github.com/ipsn/go-libtor"
)

// Build tag golibtor puts Tor into our own process by github.com/ipsn/go-libtor:
// one process instead of two, which means that what parses hostile bytes can
// reach the network, that a Tor that calls exit() ends the server without a
// word, and that Tor cannot be started a second time. Needs cgo, and with
// current C libraries
//
//	CGO_CFLAGS="-DEVENT__HAVE_ARC4RANDOM=1 -DEVENT__HAVE_ARC4RANDOM_BUF=1"
//
// Its newest release carries Tor 0.3.5, which the network no longer serves:
// Start answers ErrTorTooOld. A refreshed one can be put in by a replace line
// in go.mod.

// EmbeddedVersion says whether this file carries a Tor (build tag embedtor or
// golibtor), and which version it is.
func EmbeddedVersion() (string, bool) {
	_, text, err := parseVersion(libtor.ProviderVersion())
	return text, err == nil
}

// embedded is the linked Tor. Its features are found out by asking it.
func embedded(Config) (*source, error) {
	version, ok := EmbeddedVersion()
	if !ok {
		return nil, fmt.Errorf("%w: go-libtor names no version: %q", ErrNoEmbeddedTor, libtor.ProviderVersion())
	}
	return &source{version: version, inside: libtor.Creator}, nil
}
