package main

import (
	"strings"
	"testing"

	"jm-directory-server/server/unixsocket"
)

func TestOnlyThisHostCanReachTheAdminSocket(t *testing.T) {
	tests := []struct {
		listen, want string // "" is off
	}{
		{"", "unix:/run/jm/admin.sock"},
		{"off", ""},
		{"unix:/srv/admin", "unix:/srv/admin"},
		{"127.0.0.1:5280", "127.0.0.1:5280"},
		{"127.1.2.3:5280", "127.1.2.3:5280"},
		{"localhost:5280", "127.0.0.1:5280"},
		{"[::1]:5280", "[::1]:5280"},
		{"0.0.0.0:5280", "others than this host"},
		{"[::]:5280", "others than this host"},
		{"192.168.1.5:5280", "others than this host"},
		{"[::ffff:10.0.0.1]:5280", "others than this host"},
		{"127.0.0.1:0", "must be off, unix:PATH"},
		{"directory.example:5280", "must be off, unix:PATH"},
		{"5280", "must be off, unix:PATH"},
		{"on", "must be off, unix:PATH"},
		{"unix:@jm", "must be off, unix:PATH"},
		{"[::1%lo]:5280", "must be off, unix:PATH"},
		{"unix:", "must be off, unix:PATH"},
		{"unix:/" + strings.Repeat("x", unixsocket.MaxPath), "must be off, unix:PATH"},
	}
	for _, test := range tests {
		e, err := loadText(t, "config.toml", "runtime_dir = \"/run/jm\"\n[admin]\nlisten = \""+test.listen+"\"\n", nil)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "config.toml:3: admin.listen: "+test.want) {
				t.Errorf("%q: %v, want %q", test.listen, err, test.want)
			}
			continue
		}
		a, on := adminAddress(&e.Config)
		got := ""
		if on {
			got = a.String()
		}
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.listen, got, test.want)
		}
	}
}

// TestTooLongAPathOfTheAdminSocketIsAMistake guards that it is found when the configuration is read, with the key to change.
func TestTooLongAPathOfTheAdminSocketIsAMistake(t *testing.T) {
	fits := "/" + strings.Repeat("x", unixsocket.MaxPath-len("//"+adminSocket))
	const off = "[admin]\nlisten = \"off\"\n"
	tests := []struct {
		name, text string
		env        map[string]string
		flags      []setting
		want       string // "": none
	}{
		{"runtime directory that fits", "runtime_dir = \"" + fits + "\"\n", nil, nil, ""},
		{"runtime directory", "\nruntime_dir = \"" + fits + "x\"\n", nil, nil, "config.toml:2: runtime_dir: the admin socket "},
		{"of systemd", "", map[string]string{"RUNTIME_DIRECTORY": fits + "x"}, nil, "environment: RUNTIME_DIRECTORY: the admin socket "},
		{"below the state directory", "state_dir = \"" + fits[:len(fits)-3] + "\"\n", nil, nil, "config.toml:1: state_dir: the admin socket "},
		{"flag", "", nil, []setting{flagSetting("state-dir", "state_dir", fits)}, "--state-dir: the admin socket "},
		{"no socket", "runtime_dir = \"" + fits + "x\"\n" + off, nil, nil, ""},
	}
	for _, test := range tests {
		_, err := loadText(t, "config.toml", test.text, test.env, test.flags...)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) || !strings.HasSuffix(err.Error(), "at most 107 are possible: set a shorter runtime_dir, or admin.listen")):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestTheAdminSocketIsNotChangedByAReload(t *testing.T) {
	_, _, reload := reloadable(t, "")
	_, err := reload("admin.listen = \"off\"\n")
	if err == nil || !strings.HasSuffix(err.Error(), "admin.listen: not changed while the server runs: restart it") {
		t.Errorf("got %v", err)
	}
}
