package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// environmentKeys are the names of the Python directory server's configuration, as environment variables and in *.env files,
// with their keys. HOST and PORT have none of their own: what they mean depends on tor.mode, see
// loader.hostPort.
var environmentKeys = map[string]string{
	"NETWORK":            "network",
	"HOST":               "",
	"PORT":               "",
	"MAX_PEERS":          "limits.max_peers",
	"MESSAGE_RATE_LIMIT": "limits.message_rate",
	"LOG_LEVEL":          "log.level",
}

// environmentNames is the set of names in environmentKeys.
func environmentNames() map[string]bool {
	names := map[string]bool{}
	for name := range environmentKeys {
		names[name] = true
	}
	return names
}

// environmentSettings returns the settings of the process's environment. An empty variable sets nothing:
// container files often pass on variables that nobody set.
func environmentSettings(getenv func(string) string) []setting {
	var settings []setting
	for _, name := range slices.Sorted(maps.Keys(environmentKeys)) {
		if value := getenv(name); value != "" {
			from := origin{source: fromEnvironment, name: name}
			settings = append(settings, setting{key: environmentKeys[name], raw: value, text: true, from: from})
		}
	}
	return settings
}

// hostPort applies HOST and PORT, each given as the setting that won or as nil. With tor.mode "off" they
// are the listening address, as there; what one of them does not say comes from listen.address.
// With Tor, PORT is the virtual port, and HOST says nothing that is still true: a warning tells whoever
// expects other hosts to be able to connect.
func (l *loader) hostPort(host, port *setting) {
	base := address{tcp: netip.MustParseAddrPort(DefaultConfig().Listen.Address)}
	if a, err := parseAddress(l.config.Listen.Address); err == nil && a.path == "" {
		base = a
	}
	ip, number, valid := base.tcp.Addr(), base.tcp.Port(), true
	off := l.config.Tor.Mode == "off"
	if port != nil {
		n, err := strconv.ParseUint(port.raw.(string), 10, 16)
		if number = uint16(n); err != nil || n == 0 {
			l.refuse(port.from, "must be 1 to 65535, got "+showRaw(port.raw))
			valid = false
		} else if !off {
			l.config.Tor.Port, l.origins["tor.port"] = int(n), port.from
		}
	}
	if host != nil {
		name := host.raw.(string)
		var err error
		if ip, err = netip.ParseAddr(name); name == "localhost" {
			ip, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
		}
		if err != nil && (off || !isHostName(name)) {
			l.refuse(host.from, "must be an IP address or localhost, got "+showRaw(host.raw))
			valid = false
		} else if !off && !ip.IsLoopback() {
			l.warn(fmt.Sprintf("%s: %s has no effect: with tor.mode %q peers come through Tor only", host.from.where(), showRaw(host.raw), l.config.Tor.Mode))
		}
	}
	if !off || !valid || host == nil && port == nil || l.origins["listen.address"].source == fromFlag {
		return
	}
	l.config.Listen.Address = netip.AddrPortFrom(ip, number).String()
	if port != nil {
		l.origins["listen.address"] = port.from
	}
	if host != nil {
		l.origins["listen.address"] = host.from
	}
}

// isHostName accepts what could be the name of a host; some shells set HOST to it.
func isHostName(s string) bool {
	return len(s) <= 253 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}

// canonicalLevel translates the names of levels that the Python directory server's logger knows, in any case.
func canonicalLevel(s string) string {
	switch l := strings.ToLower(s); l {
	case "trace":
		return "debug"
	case "success":
		return "info"
	case "warning":
		return "warn"
	case "critical":
		return "error"
	default:
		return l
	}
}
