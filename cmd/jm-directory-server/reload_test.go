package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
)

// reloadable returns a daemon and its server, and what rewrites its configuration file and reloads it.
func reloadable(t *testing.T, text string) (d *daemon, srv *server.Server, reload func(text string) ([]string, error)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*effective, error) {
		return loadConfig(request{file: file, root: true, getenv: func(string) string { return "" }})
	}
	write(text)
	e, err := load()
	if err != nil {
		t.Fatal(err)
	}
	log, err := newLogger(e.Log, new(lockedBuffer), false, true)
	if err != nil {
		t.Fatal(err)
	}
	d = &daemon{effective: e, log: log, load: load, notify: &notifier{log: log},
		formatter: func(c LogConfig) logrus.Formatter { return newFormatter(c, false, true) }}
	if srv, err = server.New(d.options(), log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	return d, srv, func(text string) ([]string, error) {
		write(text)
		return d.reload(srv)
	}
}

func TestReloadPutsTheWholeConfigurationInForce(t *testing.T) {
	d, srv, reload := reloadable(t, "motd = \"old\"\n")
	keys, err := reload("motd = \"new\"\nshutdown_timeout = \"7s\"\n[limits]\nmax_peers = 3\n[log]\nlevel = \"debug\"\nformat = \"json\"\n")
	if want := []string{"motd", "shutdown_timeout", "limits.max_peers", "log.level", "log.format"}; err != nil || !slices.Equal(keys, want) {
		t.Fatalf("changed %v, %v; want %v", keys, err, want)
	}
	if n := srv.Status().MaxPeers; n != 3 {
		t.Errorf("the server has max_peers %d", n)
	}
	if _, isJSON := d.log.Formatter.(guard).next.(*logrus.JSONFormatter); d.log.GetLevel() != logrus.DebugLevel || !isJSON {
		t.Error("level or format of the log are not in force")
	}
	if d.inForce().ShutdownTimeout != 7*time.Second {
		t.Error("shutdown_timeout is not in force")
	}
	if keys, err := reload(""); err != nil || len(keys) != 5 || srv.Status().MaxPeers != 10000 {
		t.Errorf("back to the defaults: %v, %v", keys, err)
	}
}

func TestReloadIsWholeOrNotAtAll(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"wrong values": {"limits.max_peers = 3\nlimits.max_handshakes = 0\nlimits.message_rate = \"x\"\n", `
FILE:3: limits.max_handshakes: must be 1 to 1000000, got 0
FILE:4: limits.message_rate: must be a number, 0 (no limit) to 1000000, got "x"`},
		"unknown key": {"limits.max_peers = 3\nmotto = \"x\"\n", `
FILE:3: motto: unknown key; did you mean "motd"?`},
		"fixed keys": {"network = \"signet\"\nlimits = {max_peers = 3, flushers = 2}\ntor.port = 5223\nlog = {level = \"debug\", unsafe = true}\n", `
FILE:2: network: not changed while the server runs: restart it
FILE:3: limits.flushers: not changed while the server runs: restart it
FILE:4: tor.port: not changed while the server runs: restart it
FILE:5: log.unsafe: not changed while the server runs: restart it`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, srv, reload := reloadable(t, "tor.pow = false\n")
			_, err := reload("tor.pow = false\n" + test.text)
			var ps problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v", err)
			}
			if got := "\n" + strings.ReplaceAll(ps.Error(), ps[0].file, "FILE"); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
			if srv.Status().MaxPeers != 10000 || d.log.GetLevel() != logrus.InfoLevel || d.inForce() != d.effective {
				t.Error("a part was applied")
			}
		})
	}
	t.Run("removed key", func(t *testing.T) {
		_, _, reload := reloadable(t, "tor.pow = false\n")
		if _, err := reload(""); err == nil || err.Error() != "default: tor.pow: not changed while the server runs: restart it" {
			t.Errorf("got %v", err)
		}
	})
}

// TestEveryKeyIsLiveOrFixed guards that each key either reaches the running server or is refused by name.
func TestEveryKeyIsLiveOrFixed(t *testing.T) {
	c := DefaultConfig()
	count := map[bool]int{}
	for _, f := range c.fields() {
		count[live(f.key)]++
		next := DefaultConfig()
		changed, _ := next.field(f.key)
		changed.setImpossible()
		ps := frozen(&effective{Config: c}, &effective{Config: next})
		if boolean := f.value.Kind().String() == "bool"; !boolean && (len(ps) == 0) != live(f.key) {
			t.Errorf("%s: live %v, refused %v", f.key, live(f.key), ps)
		}
	}
	if count[true] < 20 || count[false] < 15 {
		t.Errorf("%d keys are live, %d are fixed", count[true], count[false])
	}
}

func TestSIGHUPLogsOneLineForEachProblem(t *testing.T) {
	d, srv, _, log := testDaemon(t, nil)
	defer srv.Shutdown(t.Context())
	d.load = func() (*effective, error) {
		return nil, problems{{origin{name: "a"}, "must be b"}, {origin{name: "c"}, "must be d"}}
	}
	d.sighup(srv)
	for _, want := range []string{`msg="reload: default: a: must be b"`, `msg="reload: default: c: must be d"`, "nothing is changed", "problems=2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	if n := strings.Count(log.String(), "level=error"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
}
