package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
)

// live says that a key may change while the server runs. The others are what this server is, how it is built, or
// where it is; of them the value from the start stays until a restart.
func live(key string) bool {
	table, _, _ := strings.Cut(key, ".")
	switch table {
	case "nick_auth":
		return key != "nick_auth.directory_id"
	case "network_aliases", "motd", "shutdown_timeout", "circuits", "offers", "location_check", "heartbeat", "peers", "selfcheck":
		return true
	case "limits":
		return key != "limits.flushers"
	default:
		return key == "log.level" || key == "log.format"
	}
}

// frozen returns a problem for each key that differs between now and next and cannot change while the server
// runs.
func frozen(now, next *effective) (ps problems) {
	was := now.fields()
	for i, f := range next.fields() {
		if live(f.key) || f.TOML() == was[i].TOML() {
			continue
		}
		from, set := next.origins[f.key]
		switch {
		case !set:
			from = origin{name: f.key}
		case from.source != fromFile && from.name != f.key:
			from.name += ": " + f.key
		}
		ps = append(ps, problem{from, "not changed while the server runs: restart it"})
	}
	return ps.sorted()
}

// changed returns the keys that differ between now and next, in the order of the configuration file.
func changed(now, next *effective) (keys []string) {
	was := now.fields()
	for i, f := range next.fields() {
		if f.TOML() != was[i].TOML() {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// reload reads the configuration anew, from the same flags, environment and file as at the start, and puts it in
// force for srv and the log: all of it, or, on an error, nothing. It returns the keys that changed. The error is
// that of loadConfig, frozen or server.Server.Reload.
func (d *daemon) reload(srv *server.Server) (keys []string, err error) {
	next, err := d.load()
	if err != nil {
		return nil, err
	}
	now := d.inForce()
	if ps := frozen(now, next); len(ps) > 0 {
		return nil, ps
	}
	level, err := logrus.ParseLevel(next.Log.Level)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	if err := srv.Reload(next.options()); err != nil {
		return nil, err
	}
	d.log.SetFormatter(d.formatter(next.Log))
	d.log.SetLevel(level)
	d.reloaded.Store(next)
	for _, w := range next.warnings {
		if !slices.Contains(now.warnings, w) {
			d.log.Warn(w)
		}
	}
	keys = changed(now, next)
	if slices.Contains(keys, "limits.max_peers") || slices.Contains(keys, "limits.max_handshakes") {
		if err := raiseFileLimit(&next.Config, d.log); err != nil {
			d.log.Warn(err)
		}
	}
	return keys, nil
}

// sighup is the answer to SIGHUP: a reload, with a line in the log for its result or for each problem.
func (d *daemon) sighup(srv *server.Server) {
	d.notify.reload(func() string {
		keys, err := d.reload(srv)
		if err == nil {
			d.log.WithField("changed", strings.Join(keys, " ")).Info("configuration is read anew and in force")
			return "configuration is read anew and in force"
		}
		lines := strings.Split(err.Error(), "\n")
		for _, line := range lines {
			d.log.Error("reload: " + line)
		}
		d.log.WithField("problems", len(lines)).Error("reload: nothing is changed, the configuration from before stays in force")
		return "configuration is not reloaded: " + lines[0]
	})
}
