package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"jm-directory-server/onion/internal/socks"
)

var (
	// ErrNoDial: there is no SOCKS port that Dial may use.
	ErrNoDial = errors.New("no SOCKS port to dial through")
	// ErrNotOnion: Dial goes to v3 onion services only.
	ErrNotOnion = errors.New("not a v3 onion address")
)

// Refusal is why Tor has no stream for Dial; its Code tells, among others,
// 0xf0: descriptor not found, 0xf2: introduction failed, 0xf3: rendezvous
// failed, 0xf7: introduction timed out (Tor manual, ExtendedErrors).
type Refusal = socks.Refusal

// onionHost is what Dial takes; whether it is an address, Tor decides (its
// checksum).
var onionHost = regexp.MustCompile(`^[a-z2-7]{56}\.onion$`)

// Dial opens a stream to port of an onion service through Tor, in one attempt.
// Streams with different isolation (up to 255 bytes) never share a circuit. Any
// host but a v3 onion address is refused with ErrNotOnion before Tor sees it,
// and by a Tor of ours as well (OnionTrafficOnly).
//
// A Tor that we start needs Config.Socks. Of an external one, a SOCKS port on a
// unix socket or on loopback is taken, if its control port tells of one; with
// Config.Confine, of those that it has at the start. Else the error wraps ErrNoDial. What Tor answers is a *Refusal. No error names the
// host.
func (s *Service) Dial(ctx context.Context, host string, port int, isolation string) (net.Conn, error) {
	if host = strings.ToLower(host); !onionHost.MatchString(host) {
		return nil, fmt.Errorf("onion: dial: %w", ErrNotOnion)
	}
	if s.noDial != nil {
		return nil, fmt.Errorf("onion: dial: %w", s.noDial)
	}
	if s.caller != nil {
		c, err := s.caller.connect(ctx)
		if err == nil {
			c, err = socks.Open(ctx, c, isolation, host, port)
		}
		if err != nil {
			return nil, fmt.Errorf("onion: dial: %w", err)
		}
		return c, nil
	}
	ports, err := s.socksPorts(ctx)
	if err != nil {
		return nil, fmt.Errorf("onion: dial: %w", err)
	}
	var failed error
	for _, p := range ports {
		c, err := socks.Dial(ctx, p.Network, p.Address, isolation, host, port)
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, err)
		var refused *Refusal
		if errors.As(err, &refused) || ctx.Err() != nil {
			break // the next port would lead to the same Tor
		}
	}
	return nil, fmt.Errorf("onion: dial: %w", failed)
}

// connects says whether Dial connects to SOCKS ports by itself: it has no dialer, and may find a port later.
func (s *Service) connects() bool { return s.caller == nil && s.noDial == nil }

// socksPort is where a SOCKS port listens.
type socksPort struct{ Network, Address string }

// port is the number of a TCP port; 0: it is none.
func (p socksPort) port() uint16 {
	a, err := netip.ParseAddrPort(p.Address)
	if err != nil {
		return 0
	}
	return a.Port()
}

// socksPorts are those that Dial may use, at least one.
func (s *Service) socksPorts(ctx context.Context) ([]socksPort, error) {
	if s.config.Mode != External {
		if s.socks == "" {
			return nil, fmt.Errorf("%w: it was not asked for", ErrNoDial)
		}
		return []socksPort{{"unix", s.socks}}, nil
	}
	r, err := s.control.request(ctx, commandInfo+infoSocks)
	if err != nil {
		return nil, err
	}
	for _, d := range r.Data {
		if list, ok := strings.CutPrefix(d, infoSocks+"="); ok {
			if ports := parseListeners(list); len(ports) > 0 {
				return ports, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: the running Tor has none on a unix socket or on loopback: SocksPort in its torrc", ErrNoDial)
}

// parseListeners reads `"127.0.0.1:9050" "unix:/run/tor/socks"` (control-spec,
// GETINFO net/listeners) and returns what is on this host only, unix sockets
// first.
func parseListeners(list string) []socksPort {
	var unix, loopback []socksPort
	for {
		_, rest, ok := strings.Cut(list, `"`)
		if !ok {
			return append(unix, loopback...)
		}
		var where string
		where, list = unquote(rest)
		if path, ok := strings.CutPrefix(where, "unix:"); ok && strings.HasPrefix(path, "/") {
			unix = append(unix, socksPort{"unix", path})
		} else if a, err := netip.ParseAddrPort(where); err == nil && a.Addr().IsLoopback() {
			loopback = append(loopback, socksPort{"tcp", a.String()})
		}
	}
}
