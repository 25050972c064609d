package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentAndEnvFiles(t *testing.T) {
	off := flagSetting("tor", "tor.mode", "off")
	tests := []struct {
		name, file, text string
		env              map[string]string
		flags            []setting
		want             []string
	}{
		{"variable", "custom.env", "", map[string]string{"MAX_PEERS": "many"}, nil, []string{`environment: MAX_PEERS: must be 1 to 1000000, got "many"`}},
		{"variable out of range", "custom.env", "", map[string]string{"MAX_PEERS": "0"}, nil, []string{`environment: MAX_PEERS: must be 1 to 1000000, got 0`}},
		{"rate", "custom.env", "", map[string]string{"MESSAGE_RATE_LIMIT": "1/s"}, nil, []string{`environment: MESSAGE_RATE_LIMIT: must be a number, 0 (no limit) to 1000000, got "1/s"`}},
		{"level", "custom.env", "", map[string]string{"LOG_LEVEL": "loud"}, nil, []string{`environment: LOG_LEVEL: must be one of debug, info, warn, error, got "loud"`}},
		{"port", "custom.env", "", map[string]string{"PORT": "tcp://1.2.3.4:5"}, nil, []string{`environment: PORT: must be 1 to 65535, got "tcp://1.2.3.4:5"`}},
		{"host", "custom.env", "", map[string]string{"HOST": "a b"}, nil, []string{`environment: HOST: must be an IP address or localhost, got "a b"`}},
		{"host without Tor", "custom.env", "", map[string]string{"HOST": "myhost"}, []setting{off}, []string{`environment: HOST: must be an IP address or localhost, got "myhost"`}},
		{"public host", "custom.env", "HOST=0.0.0.0", nil, []setting{off}, []string{`custom.env:1: HOST: others than this host can reach it; set listen.allow_public = true if that is meant, or use 127.0.0.1 or unix:PATH`}},
		{"flag", "custom.env", "", nil, []setting{flagSetting("network", "network", "x")}, []string{`--network: must be one of mainnet, testnet, signet, regtest, got "x"`}},
		{"flag that asks for another", "custom.env", "", nil, []setting{flagSetting("tor", "tor.mode", "external")}, []string{`--tor: tor.control: is needed with tor.mode "external": unix:PATH or IP:PORT (tor.mode is "external")`}},
		{"listen with Tor", "custom.env", "", nil, []setting{flagSetting("listen", "listen.address", "127.0.0.1:5222")}, []string{`--listen: is for tor.mode "off" only: add --tor off`}},
		{"other listen with Tor", "custom.env", "", nil, []setting{flagSetting("listen", "listen.address", "127.0.0.1:1")}, []string{`--listen: is for tor.mode "off" only: add --tor off`}},
		{"value in file", "custom.env", "# c\n\nMAX_PEERS=ma#ny # x", nil, nil, []string{`custom.env:3: MAX_PEERS: must be 1 to 1000000, got "ma#ny"`}},
		{"empty value in file", "custom.env", "MAX_PEERS=", nil, nil, []string{`custom.env:1: MAX_PEERS: must be 1 to 1000000, got ""`}},
		{"unknown name", "custom.env", "MAX_PEER=1", nil, nil, []string{`custom.env:1: MAX_PEER: unknown name; did you mean "MAX_PEERS"?`}},
		{"twice", "custom.env", "NETWORK=signet\nNETWORK=mainnet", nil, nil, []string{`custom.env:2: NETWORK: is set twice, first in line 1`}},
		{"no value", "custom.env", "NETWORK", nil, nil, []string{`custom.env:1: must be NAME=value`}},
		{"no name", "custom.env", "=x", nil, nil, []string{`custom.env:1: must be NAME=value, with letters, digits and _ in the name`}},
		{"open quote", "custom.env", "NETWORK=\"signet", nil, nil, []string{`custom.env:1: NETWORK: has a quote without its end`}},
		{"after quote", "custom.env", "NETWORK=\"sig\"net", nil, nil, []string{`custom.env:1: NETWORK: has something after the closing quote`}},
		{"escape sequence", "custom.env", "\x1b[1m=1", nil, nil, []string{`custom.env:1: ?[1m: unknown name`}},
		{"TOML in an env file", "custom.env", "[tor]", nil, nil, []string{`custom.env:1: must be NAME=value`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, tt.file, tt.text, tt.env, tt.flags...)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSeedsFileWorksAsItIs(t *testing.T) {
	text := "# Network\nNETWORK=signet  # mainnet, testnet, signet, regtest\nHOST=127.0.0.1\nPORT=5223\n\n# Server\nexport MAX_PEERS=\"1000\"\nMESSAGE_RATE_LIMIT='50' # s\r\nLOG_LEVEL=WARNING\n"
	e, err := loadText(t, "custom.env", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{e.Network, e.Tor.Port, e.Listen.Address, e.Limits.MaxPeers, e.Limits.MessageRate, e.Log.Level, len(e.warnings)}
	if diff := cmp.Diff([]any{"signet", 5223, "127.0.0.1:5222", 1000, 50.0, "warn", 0}, got); diff != "" {
		t.Error(diff)
	}
	e, err = loadText(t, "custom.env", text, nil, flagSetting("tor", "tor.mode", "off"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Listen.Address != "127.0.0.1:5223" || e.Tor.Port != 5222 {
		t.Errorf("without Tor: %s, %d", e.Listen.Address, e.Tor.Port)
	}
}

func TestHostAndPort(t *testing.T) {
	tests := []struct {
		name     string
		env      map[string]string
		toml     string
		flags    []setting
		address  string
		port     int
		warnings int
	}{
		{"port with Tor", map[string]string{"PORT": "80"}, "", nil, "127.0.0.1:5222", 80, 0},
		{"port over the file", map[string]string{"PORT": "80"}, "tor.port = 90", nil, "127.0.0.1:5222", 80, 0},
		{"loopback with Tor", map[string]string{"HOST": "localhost"}, "", nil, "127.0.0.1:5222", 5222, 0},
		{"any with Tor", map[string]string{"HOST": "0.0.0.0"}, "", nil, "127.0.0.1:5222", 5222, 1},
		{"name with Tor", map[string]string{"HOST": "my-host"}, "", nil, "127.0.0.1:5222", 5222, 1},
		{"both without Tor", map[string]string{"HOST": "::1", "PORT": "1"}, `tor.mode = "off"`, nil, "[::1]:1", 5222, 0},
		{"port over the file's address", map[string]string{"PORT": "1"}, "tor.mode = \"off\"\nlisten.address = \"127.0.0.2:9\"", nil, "127.0.0.2:1", 5222, 0},
		{"host over the file's address", map[string]string{"HOST": "127.0.0.3"}, "tor.mode = \"off\"\nlisten.address = \"127.0.0.2:9\"", nil, "127.0.0.3:9", 5222, 0},
		{"over a unix socket", map[string]string{"PORT": "7"}, "tor.mode = \"off\"\nlisten.address = \"unix:/x\"", nil, "127.0.0.1:7", 5222, 0},
		{"flag wins", map[string]string{"PORT": "7"}, `tor.mode = "off"`, []setting{flagSetting("listen", "listen.address", "unix:/y")}, "unix:/y", 5222, 0},
		{"public with leave", map[string]string{"HOST": "0.0.0.0"}, "tor.mode = \"off\"\nlisten.allow_public = true", nil, "0.0.0.0:5222", 5222, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := loadText(t, "config.toml", tt.toml, tt.env, tt.flags...)
			if err != nil {
				t.Fatal(err)
			}
			if e.Listen.Address != tt.address || e.Tor.Port != tt.port || len(e.warnings) != tt.warnings {
				t.Errorf("got %s, port %d, warnings %q", e.Listen.Address, e.Tor.Port, e.warnings)
			}
		})
	}
}
