package onion

import "context"

// Found is what a Tor that we would start is.
type Found struct {
	// Version is what it calls itself, e.g. "0.4.9.11".
	Version string
	// PoW says whether it has the proof-of-work module.
	PoW bool
	// Advice is what the operator should do about its version, "" if nothing.
	Advice string
}

// Inspect looks at the Tor that Start would start with c, and starts nothing.
// Errors are those of Start: ErrNoEmbeddedTor, ErrTorTooOld, or that there is
// none. For mode External, whose Tor can be asked only while it runs, all is
// empty.
func Inspect(ctx context.Context, c Config) (Found, error) {
	c, err := c.withDefaults()
	if err != nil || c.Mode == External {
		return Found{}, err
	}
	s := &Service{config: c}
	src, err := s.source(ctx)
	if err != nil {
		return Found{}, err
	}
	advice, err := checkVersion(src.version)
	return Found{Version: src.version, PoW: src.pow, Advice: advice}, err
}
