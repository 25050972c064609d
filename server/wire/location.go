package wire

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// NotServing is the location of a peer that cannot be reached directly (protocol.md 4.2), case-sensitive.
const NotServing = "NOT-SERVING-ONION"

// maxLocation is the longest location in bytes: onion, colon, five digits (protocol.md 9.1).
const maxLocation = onionLen + 1 + 5

// ErrLocation says that a string is neither a location nor NotServing (protocol.md 4.2).
var ErrLocation = errors.New("not a location")

// A Location is where a peer claims to serve. The zero value is a peer that does not serve. Locations that came from
// ParseLocation are canonical: comparable, and free of the separators of a peer list.
type Location struct {
	Host string // v3 onion in lower case; with the test switch also an IP address or a name
	Port uint16
}

// Serving reports whether the peer claims to be reachable.
func (l Location) Serving() bool { return l.Host != "" }

// String returns the location as it stands on the wire: host:port, an IPv6 address in brackets, or NotServing.
func (l Location) String() string { return string(l.append(nil)) }

func (l Location) append(dst []byte) []byte {
	if !l.Serving() {
		return append(dst, NotServing...)
	}
	if strings.IndexByte(l.Host, ':') >= 0 {
		dst = append(dst, '[')
		dst = append(dst, l.Host...)
		dst = append(dst, ']')
	} else {
		dst = append(dst, l.Host...)
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(l.Port), 10)
}

// ParseLocation parses a location string (protocol.md 4.2): a v3 onion in any case and a port of 1 to 65535 in plain decimal, or
// NotServing, or "" for the same. clearnet is the explicit test switch: it also accepts IPv4 and bracketed IPv6
// addresses and host names in place of the onion. The error is ErrLocation, with ErrOnion where the host is the fault.
func ParseLocation(s string, clearnet bool) (Location, error) {
	if s == "" || s == NotServing {
		return Location{}, nil
	}
	if len(s) > maxLocation {
		return Location{}, ErrLocation
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return Location{}, ErrLocation
	}
	port, ok := parsePort(s[colon+1:])
	if !ok {
		return Location{}, ErrLocation
	}
	host, err := ParseOnion(s[:colon])
	if err != nil && clearnet {
		host, err = parseClearnetHost(s[:colon])
	}
	if err != nil {
		return Location{}, errors.Join(ErrLocation, err)
	}
	return Location{Host: host, Port: port}, nil
}

// parsePort takes digits only: no sign, blank, leading zero, and not 0.
func parsePort(s string) (uint16, bool) {
	if len(s) == 0 || len(s) > 5 || s[0] == '0' {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return uint16(n), n <= 65535
}

// parseClearnetHost accepts what a test network uses: an IPv4 address, an IPv6 address in brackets and without zone, or
// a name of letters, digits, hyphens, underscores and dots.
func parseClearnetHost(s string) (string, error) {
	if v6, ok := strings.CutPrefix(s, "["); ok {
		v6, ok = strings.CutSuffix(v6, "]")
		addr, err := netip.ParseAddr(v6)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", ErrLocation
		}
		return addr.String(), nil
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Is4() {
		return addr.String(), nil
	}
	s = asciiLower(s)
	last := s[strings.LastIndexByte(s, '.')+1:]
	switch {
	case last == "" || "."+last == onionSuffix, s == asciiLower(NotServing):
		return "", ErrLocation
	case strings.Trim(last, "0123456789") == "":
		return "", ErrLocation // an IPv4 address gone wrong
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", ErrLocation
		}
	}
	return s, nil
}
