package main

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"jm-directory-server/server/admin"
	"jm-directory-server/server/unixsocket"
	"jm-directory-server/server/wire"
)

// The values that keys with a fixed choice may have.
var (
	torModes    = []string{"embedded", "system", "external", "off"}
	logLevels   = admin.LogLevels
	isolations  = []string{isolationAuto, isolationRequire, isolationOff}
	logFormats  = []string{"text", "json"}
	socketModes = []fs.FileMode{0o600, 0o660, 0o666}
)

// A violation is a value that a rule refuses. Either allowed completes "must be ...", or message is the
// whole sentence.
type violation struct {
	key, allowed, message string
}

// check returns everything that is wrong with c. It knows nothing of where values came from.
func (c *Config) check() []violation {
	k := &checker{}
	c.checkOptions(k)
	k.checkChoices(c)
	k.checkTor(c)
	k.checkListen(c)
	k.checkAdmin(c)
	k.checkSelfCheck(c)
	return k.found
}

type checker struct{ found []violation }

func (k *checker) must(ok bool, key, allowed string) {
	if !ok {
		k.found = append(k.found, violation{key: key, allowed: allowed})
	}
}

func (k *checker) not(wrong bool, key, message string) {
	if wrong {
		k.found = append(k.found, violation{key: key, message: message})
	}
}

func (k *checker) checkChoices(c *Config) {
	k.must(slices.Contains(torModes, c.Tor.Mode), "tor.mode", "one of "+strings.Join(torModes, ", "))
	k.must(slices.Contains(isolations, c.Isolation), "isolation", "one of "+strings.Join(isolations, ", "))
	k.must(slices.Contains(logLevels, c.Log.Level), "log.level", "one of "+strings.Join(logLevels, ", "))
	k.must(slices.Contains(logFormats, c.Log.Format), "log.format", "one of "+strings.Join(logFormats, ", "))
	k.must(slices.Contains(socketModes, c.Listen.SocketMode), "listen.socket_mode", `one of "0600", "0660", "0666"`)
	k.not(strings.ContainsAny(c.StateDir, "\x00\n"), "state_dir", "is not a path")
	k.not(strings.ContainsAny(c.RuntimeDir, "\x00\n"), "runtime_dir", "is not a path")
}

// checkTor checks [tor]. Keys that name something (a path, a control port, a throw-away address) are
// refused in a mode that would ignore them, because their author expects otherwise; keys that only tune
// an onion service are left alone, so that one file serves with "--tor off" as well.
func (k *checker) checkTor(c *Config) {
	t := &c.Tor
	k.must(t.Port >= 1 && t.Port <= 65535, "tor.port", "1 to 65535")
	k.must(t.PoWQueueRate >= 1 && t.PoWQueueRate <= 1_000_000, "tor.pow_queue_rate", "1 to 1000000")
	k.must(t.PoWQueueBurst >= 1 && t.PoWQueueBurst <= 1_000_000, "tor.pow_queue_burst", "1 to 1000000")
	k.must(t.PoWQueueBurst >= t.PoWQueueRate, "tor.pow_queue_burst", "at least tor.pow_queue_rate")
	k.must(t.MaxStreams >= 0 && t.MaxStreams <= 65535, "tor.max_streams", "0 (no limit) to 65535")
	k.must(t.IntroDoSRate >= 1 && t.IntroDoSRate <= 1_000_000, "tor.intro_dos_rate", "1 to 1000000")
	k.must(t.IntroDoSBurst >= 1 && t.IntroDoSBurst <= 1_000_000, "tor.intro_dos_burst", "1 to 1000000")
	k.must(t.IntroDoSBurst >= t.IntroDoSRate, "tor.intro_dos_burst", "at least tor.intro_dos_rate")
	k.must(t.IntroPoints >= 3 && t.IntroPoints <= 20, "tor.intro_points", "3 to 20")
	for _, line := range t.Torrc {
		k.not(strings.ContainsAny(line, "\x00\r\n"), "tor.torrc", "an element must be one line")
		option, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), " ")
		k.not(option == "clienttransportplugin" && c.Isolation != isolationOff, "tor.torrc",
			`ClientTransportPlugin has Tor start another program: that needs isolation = "off"`)
	}
	k.not(t.Path != "" && t.Mode != "system", "tor.path", `is for tor.mode "system" only`)
	k.not(strings.ContainsAny(t.Path, "\x00\n"), "tor.path", "is not a path")
	k.not(t.Control == "" && t.Mode == "external", "tor.control", `is needed with tor.mode "external": unix:PATH or IP:PORT`)
	k.not(t.Control != "" && t.Mode != "external", "tor.control", `is for tor.mode "external" only`)
	if t.Control != "" {
		a, err := parseAddress(t.Control)
		k.must(err == nil && (a.path != "" || a.tcp.Port() != 0), "tor.control", "unix:PATH or IP:PORT")
	}
	k.not(t.ControlPassword != "" && t.Mode != "external", "tor.control_password", `is for tor.mode "external" only`)
	k.not(strings.ContainsAny(t.ControlPassword, "\x00\r\n"), "tor.control_password", "must be one line")
	k.not(t.Ephemeral && t.Mode == "off", "tor.ephemeral", `has no meaning with tor.mode "off"`)
	k.not(c.LocationCheck.Enabled && t.Mode == "off", "location_check.enabled", `needs a Tor to dial through: not with tor.mode "off"`)
}

func (k *checker) checkSelfCheck(c *Config) {
	i, t := c.SelfCheck.Interval, c.SelfCheck.Timeout
	k.must(i == 0 || i >= time.Second && i <= 24*time.Hour, "selfcheck.interval", "0s (never) or 1s to 24h")
	k.must(t >= time.Second && t <= 10*time.Minute, "selfcheck.timeout", "1s to 10m")
}

func (k *checker) checkListen(c *Config) {
	def := DefaultConfig().Listen
	off := c.Tor.Mode == "off"
	only := `is for tor.mode "off" only`
	k.not(c.Listen.Address != def.Address && !off, "listen.address", only)
	k.not(c.Listen.ProxyProtocol && !off, "listen.proxy_protocol", only)
	k.not(c.Listen.AllowPublic && !off, "listen.allow_public", only)
	k.not(c.Location != "" && !off, "location", only+": the server knows its onion address")
	if c.Location != "" {
		l, err := wire.ParseLocation(c.Location, c.AllowClearnet)
		k.must(err == nil && l.Serving(), "location", "a v3 onion address and a port, such as abc...xyz.onion:5222")
	}
	a, err := parseAddress(c.Listen.Address)
	if err != nil {
		k.must(false, "listen.address", "IP:PORT or unix:PATH (at most 107 bytes)")
		return
	}
	k.not(!a.local() && !c.Listen.AllowPublic, "listen.address",
		"others than this host can reach it; set listen.allow_public = true if that is meant, or use 127.0.0.1 or unix:PATH")
	k.not(c.Listen.SocketMode != def.SocketMode && a.path == "", "listen.socket_mode", "is for a listen.address of the form unix:PATH only")
}

// An address is where to listen or where a control port is: a unix socket's path, or IP and port.
type address struct {
	path string
	tcp  netip.AddrPort
}

// parseAddress reads unix:PATH or IP:PORT; localhost is 127.0.0.1. Other names are refused: what they mean
// is up to a resolver.
func parseAddress(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || len(path) > unixsocket.MaxPath || strings.ContainsAny(path, "\x00\n") {
			return address{}, fs.ErrInvalid
		}
		return address{path: path}, nil
	}
	if port, ok := strings.CutPrefix(s, "localhost:"); ok {
		s = "127.0.0.1:" + port
	}
	tcp, err := netip.ParseAddrPort(s)
	if err != nil {
		return address{}, err
	}
	return address{tcp: tcp}, nil
}

// local says that only this host can connect.
func (a address) local() bool { return a.path != "" || a.tcp.Addr().Unmap().IsLoopback() }

// String is the address as listen.address and --listen take it.
func (a address) String() string {
	if a.path != "" {
		return "unix:" + a.path
	}
	return a.tcp.String()
}
