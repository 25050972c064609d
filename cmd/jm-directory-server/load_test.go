package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// loadText loads a configuration from a file of that name and text, with an environment and flags.
func loadText(t testing.TB, name, text string, env map[string]string, flags ...setting) (*effective, error) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadConfig(request{file: name, flags: flags, root: true, getenv: func(n string) string { return env[n] }})
}

func TestEveryMistakeIsOneLineWithItsPlaceAndWhatIsAllowed(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"wrong type", "\n[limits]\nmax_peers = \"many\"", []string{`config.toml:3: limits.max_peers: must be 1 to 1000000, got "many"`}},
		{"out of range", "limits.max_peers = 0", []string{`config.toml:1: limits.max_peers: must be 1 to 1000000, got 0`}},
		{"above an integer", "limits.max_peers = 9223372036854775807", []string{`config.toml:1: limits.max_peers: must be 1 to 1000000, got 9223372036854775807`}},
		{"fraction for integer", "limits.max_peers = 1.5", []string{`config.toml:1: limits.max_peers: must be 1 to 1000000, got 1.5`}},
		{"float for integer", "limits.max_peers = 2.0", []string{`config.toml:1: limits.max_peers: must be 1 to 1000000, got 2`}},
		{"not a number", "limits.message_rate = nan", []string{`config.toml:1: limits.message_rate: must be 0 (no limit) to 1000000, got NaN`}},
		{"wrong name", "network = \"main\"", []string{`config.toml:1: network: must be one of mainnet, testnet, signet, regtest, got "main"`}},
		{"number for name", "network = 1", []string{`config.toml:1: network: must be one of mainnet, testnet, signet, regtest, got 1`}},
		{"number for text", "motd = 1", []string{`config.toml:1: motd: must be a text in quotes, got 1`}},
		{"motd", "motd = \"a\\u0000\"", []string{`config.toml:1: motd: has byte 0x00 in line 1, column 2: only printable ASCII and line feeds are allowed`}},
		{"number for bool", "[tor]\npow = 1", []string{`config.toml:2: tor.pow: must be true or false, got 1`}},
		{"number for duration", "shutdown_timeout = 5", []string{`config.toml:1: shutdown_timeout: must be a duration in quotes, such as "30s", "12h" or "7d", 10ms to 5m, got 5`}},
		{"duration without unit", "shutdown_timeout = \"5\"", []string{`config.toml:1: shutdown_timeout: must be a duration in quotes, such as "30s", "12h" or "7d", 10ms to 5m, got "5"`}},
		{"long duration", "shutdown_timeout = \"1h\"", []string{`config.toml:1: shutdown_timeout: must be 10ms to 5m, got "1h"`}},
		{"text for array", "network_aliases = \"testnet\"", []string{`config.toml:1: network_aliases: must be an array of texts, such as ["a", "b"], got "testnet"`}},
		{"numbers in array", "network_aliases = [\"testnet\", 1]", []string{`config.toml:1: network_aliases: must be an array of texts, such as ["a", "b"], got an array`}},
		{"wrong alias", "network_aliases = [\"mainnet\"]", []string{`config.toml:1: network_aliases: must be other names out of mainnet, testnet, signet, regtest, got ["mainnet"]`}},
		{"date", "motd = 1979-05-27", []string{`config.toml:1: motd: must be a text in quotes, got a date`}},
		{"mode", "tor.mode = \"off\"\nlisten.address = \"unix:s\"\nlisten.socket_mode = \"0640\"", []string{`config.toml:3: listen.socket_mode: must be one of "0600", "0660", "0666", got "0640"`}},
		{"mode that is none", "listen.socket_mode = 600", []string{`config.toml:1: listen.socket_mode: must be one of "0600", "0660", "0666", got 600`}},
		{"unknown key", "[limits]\n\nmax_peer = 1", []string{`config.toml:3: limits.max_peer: unknown key; did you mean "limits.max_peers"?`}},
		{"unknown table", "[limit]\nmax_peers = 1", []string{`config.toml:2: limit.max_peers: unknown key; did you mean "limits.max_peers"?`}},
		{"key without its table", "max_peers = 1", []string{`config.toml:1: max_peers: unknown key; did you mean "limits.max_peers"?`}},
		{"upper case", "Network = \"mainnet\"", []string{`config.toml:1: Network: unknown key; did you mean "network"?`}},
		{"nothing near", "zzzzzzzzzz = 1", []string{`config.toml:1: zzzzzzzzzz: unknown key`}},
		{"unknown empty table", "[nowhere]", []string{`config.toml:1: nowhere: unknown key`}},
		{"unknown array of tables", "\n[[peer]]\nnick = 1", []string{`config.toml:2: peer: unknown key`}},
		{"below a value", "\n[network]\nname = 1", []string{`config.toml:2: network: must be one of mainnet, testnet, signet, regtest, got a table`}},
		{"value for a table", "limits = 5", []string{`config.toml:1: limits: must be a table: write [limits] on a line of its own, got 5`}},
		{"unprintable key", "\"a\\u001b[1m\" = 1", []string{`config.toml:1: "a\u001b[1m": unknown key`}},
		{"set twice", "network = \"mainnet\"\nmotd = \"\"\nnetwork = \"signet\"", []string{`config.toml:3: network: is set twice`}},
		{"table twice", "[tor]\n[log]\n[tor]", []string{`config.toml:3: tor: is set twice`}},
		{"all of them, by line", "[limits]\nmax_peers = 0\nbad = 1\nmax_handshakes = 0", []string{
			`config.toml:2: limits.max_peers: must be 1 to 1000000, got 0`,
			`config.toml:3: limits.bad: unknown key`,
			`config.toml:4: limits.max_handshakes: must be 1 to 1000000, got 0`,
		}},
		{"against a default", "[heartbeat]\nping_idle = \"30m\"", []string{`config.toml:2: heartbeat.evict_idle: must be more than heartbeat.ping_idle, got "25m" (heartbeat.ping_idle is "30m")`}},
		{"burst below the rate", "tor.pow_queue_rate = 5000", []string{`config.toml:1: tor.pow_queue_burst: must be at least tor.pow_queue_rate, got 2500 (tor.pow_queue_rate is 5000)`}},
		{"listen with Tor", "[listen]\naddress = \"127.0.0.1:1\"", []string{`config.toml:2: listen.address: is for tor.mode "off" only`}},
		{"PROXY with Tor", "[listen]\nproxy_protocol = true", []string{`config.toml:2: listen.proxy_protocol: is for tor.mode "off" only`}},
		{"public with Tor", "[listen]\nallow_public = true", []string{`config.toml:2: listen.allow_public: is for tor.mode "off" only`}},
		{"location with Tor", "location = \"x\"", []string{
			`config.toml:1: location: is for tor.mode "off" only: the server knows its onion address`,
			`config.toml:1: location: must be a v3 onion address and a port, such as abc...xyz.onion:5222, got "x"`,
		}},
		{"public without leave", "[tor]\nmode = \"off\"\n[listen]\naddress = \"0.0.0.0:5222\"", []string{
			`config.toml:4: listen.address: others than this host can reach it; set listen.allow_public = true if that is meant, or use 127.0.0.1 or unix:PATH`}},
		{"name as address", "tor.mode = \"off\"\nlisten.address = \"example.com:5222\"", []string{`config.toml:2: listen.address: must be IP:PORT or unix:PATH (at most 107 bytes), got "example.com:5222"`}},
		{"location check without Tor", "tor.mode = \"off\"\nlocation_check.enabled = true", []string{`config.toml:2: location_check.enabled: needs a Tor to dial through: not with tor.mode "off"`}},
		{"delays the wrong way round", "[location_check]\ndelay_min = \"9m\"", []string{`config.toml:2: location_check.delay_max: must be at least location_check.delay_min, got "5m" (location_check.delay_min is "9m")`}},
		{"few offers and short ones", "[offers]\nmax = 257\nmax_bytes = 99", []string{`config.toml:2: offers.max: must be 0 (no limit) to 256, got 257`, `config.toml:3: offers.max_bytes: must be 0 (no limit) or 100 to 40000, got 99`}},
		{"ephemeral without Tor", "tor.mode = \"off\"\ntor.ephemeral = true", []string{`config.toml:2: tor.ephemeral: has no meaning with tor.mode "off"`}},
		{"external without control", "tor.mode = \"external\"", []string{`config.toml:1: tor.control: is needed with tor.mode "external": unix:PATH or IP:PORT (tor.mode is "external")`}},
		{"control that is none", "tor.mode = \"external\"\ntor.control = \"9051\"", []string{`config.toml:2: tor.control: must be unix:PATH or IP:PORT, got "9051"`}},
		{"control without external", "tor.control = \"unix:/run/tor/control\"", []string{`config.toml:1: tor.control: is for tor.mode "external" only`}},
		{"secrets are not shown", "tor.control_password = 12345", []string{`config.toml:1: tor.control_password: must be a text in quotes`}},
		{"path without system", "tor.path = \"/usr/bin/tor\"", []string{`config.toml:1: tor.path: is for tor.mode "system" only`}},
		{"torrc lines", "tor.torrc = [\"A 1\\nB 2\"]", []string{`config.toml:1: tor.torrc: an element must be one line`}},
		{"isolation", "isolation = \"on\"", []string{`config.toml:1: isolation: must be one of auto, require, off, got "on"`}},
		{"pluggable transport", "tor.torrc = [\" ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\"]", []string{`config.toml:1: tor.torrc: ClientTransportPlugin has Tor start another program: that needs isolation = "off"`}},
		{"socket mode of an address", "tor.mode = \"off\"\nlisten.socket_mode = \"0660\"", []string{`config.toml:2: listen.socket_mode: is for a listen.address of the form unix:PATH only`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, "config.toml", tt.text, nil)
			var ps problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v, want problems", err)
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyntaxErrorsNameFileAndLine(t *testing.T) {
	for _, text := range []string{"a = 1\nb =\n", "a = 1\nb = [1\n", "a = 1\n= 2", "a = 1\n[x", "a = 1\n\"b = 2", "a = 1\nb = \x00", "a = 1\nb = \xff", "a = 1\nb = \"\x1b[1m"} {
		_, err := loadText(t, "config.toml", text, nil)
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		if s := err.Error(); !strings.HasPrefix(s, "config.toml:2: ") && !strings.HasPrefix(s, "config.toml:3: ") || strings.IndexFunc(s, unicode.IsControl) >= 0 {
			t.Errorf("%q: got %q", text, s)
		}
	}
}

func TestFlagBeforeEnvironmentBeforeFileBeforeDefault(t *testing.T) {
	flag := flagSetting("network", "network", "regtest")
	env := map[string]string{"NETWORK": "signet", "MAX_PEERS": ""}
	for _, tt := range []struct {
		text  string
		env   map[string]string
		flags []setting
		want  string
		from  string
	}{
		{"", nil, nil, "mainnet", "default"},
		{"network = \"testnet\"", nil, nil, "testnet", "config.toml:1"},
		{"network = \"testnet\"", env, nil, "signet", "environment NETWORK"},
		{"network = \"testnet\"", env, []setting{flag}, "regtest", "flag --network"},
		{"", nil, []setting{flag}, "regtest", "flag --network"},
	} {
		e, err := loadText(t, "config.toml", tt.text, tt.env, tt.flags...)
		if err != nil {
			t.Fatal(err)
		}
		if e.Network != tt.want || e.origins["network"].String() != tt.from {
			t.Errorf("got %s from %s, want %s from %s", e.Network, e.origins["network"], tt.want, tt.from)
		}
		if e.Limits.MaxPeers != 10000 {
			t.Errorf("an empty variable set something")
		}
	}
}

func TestUnlimitedNeedsALocalListenerWithoutTor(t *testing.T) {
	tests := []struct {
		toml string
		ok   bool
	}{
		{``, false},
		{`tor.mode = "system"`, false},
		{"tor.mode = \"off\"\nlisten.address = \"0.0.0.0:1\"\nlisten.allow_public = true", false},
		{`tor.mode = "off"`, true},
		{"tor.mode = \"off\"\nlisten.address = \"unix:/x\"", true},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		file := filepath.Join(dir, "c.toml")
		if err := os.WriteFile(file, []byte(tt.toml), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := loadConfig(request{file: file, unlimited: true, root: true, getenv: func(string) string { return "" }})
		if (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.toml, err)
		}
		if err == nil && e.options().Rates != (server.Rates{}) {
			t.Errorf("%q: rates are %+v", tt.toml, e.options().Rates)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "--unlimited: ") {
			t.Errorf("%q: %v", tt.toml, err)
		}
	}
}

// FuzzConfigFile guards that any file is answered: with a configuration, or with problems of one line each
// in lines that the file has.
func FuzzConfigFile(f *testing.F) {
	for _, s := range []string{"", "network = 1", "[limits]\nmax_peers = 0", "limits = {max_peers = 1, x = 2}", "[[tor]]\n", "a.b.c = 1", "listen.address = \"unix:\"", "[log]\nlevel = \"\x1b\"", "network_aliases = [[1]]", "shutdown_timeout = 1979-05-27"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Add(jmdirectoryserver.ConfigExample, false)
	f.Add("NETWORK=signet # x\nHOST='::1'\nexport PORT=1", true)
	f.Add("LOG_LEVEL=TRACE\nMAX_PEERS=x\nMESSAGE_RATE_LIMIT=1\nMAX_PEERS=2", true)
	for _, s := range []string{
		"location = \"127.0.0.1:5222\"\nallow_clearnet = true\nlog.level = \"critical\"", "motd = \"a\\nb\\u0001\"",
		"motd = \"" + strings.Repeat("x", wire.MaxMOTD+1) + "\"", "[tor]\nmode = \"off\"\ncontrol = \"localhost:9051\"\ntorrc = [\"\\n\"]\nport = {}",
		"[admin]\nlisten = \"0.0.0.0:80\"", "allow_clearnet = 1", "network = \"" + strings.Repeat("x", 61) + "\"", "\"net\\u0077ork\" = 1\n\"\" = 1",
		"[limits]\nmax_peers = true\nmax_handshakes = 1.5\nx", "state_dir = [\"\U0001f600\\n\"]", "shutdown_timeout = false\nisolation = 1e400",
	} {
		f.Add(s, false)
	}
	f.Add(`tor.torrc = ["a 1", "b 2", "c 3", "d 4"]`, false)
	f.Fuzz(func(t *testing.T, text string, env bool) {
		parse := parseTOML
		if env {
			parse = parseEnv
		}
		settings, ps := parse("f", text)
		l := &loader{effective: effective{Config: DefaultConfig(), origins: map[string]origin{}}, problems: ps}
		l.config = &l.effective.Config
		for _, s := range settings {
			if s.key == "" {
				continue
			}
			before := len(l.problems)
			l.apply(s)
			if env || s.key == "log.level" || len(l.problems) > before { // a level has several names
				continue
			}
			f, _ := l.config.field(s.key)
			switch v := f.value.Interface().(type) {
			case string, bool, int, []string:
				if fmt.Sprint(v) != fmt.Sprint(s.raw) {
					t.Errorf("%s = %v is read as %v", s.key, s.raw, v)
				}
			}
		}
		for _, v := range l.config.check() {
			l.violation(v)
		}
		for _, p := range l.problems.sorted() {
			if s := p.Error(); strings.IndexFunc(s, unicode.IsControl) >= 0 {
				t.Errorf("control characters in %q", s)
			}
			if p.line < 1 || p.line > strings.Count(text, "\n")+1 {
				t.Errorf("line %d of %q", p.line, text)
			}
		}
	})
}
