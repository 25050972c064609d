package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jm-directory-server/isolation"
	"jm-directory-server/onion"
)

// The values of Config.Isolation.
const (
	isolationAuto    = "auto"
	isolationRequire = "require"
	isolationOff     = "off"
)

// commandsToTor is what the guard of the control channel restricts, as the operator is told.
const commandsToTor = "commands to Tor (guard)"

// An isolator puts the server's rules in force; tests of the daemon have none, as their process goes on.
type isolator struct {
	probe func() isolation.Kernel
	apply func(isolation.Rules) error
}

// confine is what onion is told of the configuration.
func (c *Config) confine() onion.Confine {
	switch c.Isolation {
	case isolationRequire:
		return onion.ConfineRequire
	case isolationOff:
		return onion.Unconfined
	default:
		return onion.ConfineAuto
	}
}

// checkIsolation says before anything is started what isolation there will be. The error is that there is less than is
// required.
func (d *daemon) checkIsolation() error {
	if d.isolator == nil {
		return nil
	}
	lacks := strings.Join(d.isolator.probe().Missing(), "; ")
	switch {
	case d.Isolation == isolationOff:
		d.log.Warn("isolation is off: what breaks into this process or its Tor can do what its user can do")
	case lacks == "":
	case d.Isolation == isolationRequire:
		return fmt.Errorf("isolation = \"require\": this kernel cannot restrict %s", lacks)
	default:
		d.log.Warn("isolation is not complete: this kernel cannot restrict " + lacks)
	}
	return nil
}

// isolate takes from this process all that it needs no more: everything is open, Tor (nil: none) runs, and no peer has
// been accepted. The error is that a rule cannot be put in force although it is required; where it is not, nobody is told of
// an isolation of which part may be missing.
func (d *daemon) isolate(tor onionService) error {
	if d.isolator == nil || d.Isolation == isolationOff {
		return nil
	}
	if _, keyed := d.configPaths(); keyed {
		d.log.Warn("the configuration lies where the onion key can be reached: a file that is put in its place needs a restart, as a reload " +
			"cannot read it; keep the configuration in a directory of its own")
	}
	d.notify.connect() // for good
	rules := d.rules(tor)
	if err := d.isolator.apply(rules); err != nil {
		if d.Isolation == isolationRequire {
			return err
		}
		d.log.WithError(err).Warn("isolation failed: count on none of it")
		return nil
	}
	inForce := d.isolator.probe().InForce()
	if tor != nil && tor.State().Guarded {
		inForce = append(inForce, commandsToTor)
	}
	d.isolated.Store(&inForce)
	log := d.log.WithField("restricted", strings.Join(inForce, ", "))
	if open, whose := d.isolator.probe().Open(), connecting(rules, tor); open != "" && len(whose) > 0 {
		log = log.WithField("open", strings.Join(whose, ", ")+": "+open)
	}
	log.Info("isolated: no new connections, no programs, no files but the configuration")
	return nil
}

// connecting names the processes of ours that may still connect to something, where this one has these rules.
func connecting(rules isolation.Rules, tor onionService) (names []string) {
	if rules.Connects() {
		names = append(names, "server")
	}
	if rules.Signal != 0 {
		names = append(names, "Tor")
	}
	if tor != nil && tor.State().Dialer {
		names = append(names, "dialer")
	}
	return names
}

// isolationInForce names what is restricted; empty before isolate, when it failed, and when nothing is.
func (d *daemon) isolationInForce() []string {
	if in := d.isolated.Load(); in != nil {
		return *in
	}
	return []string{}
}

// rules are what this process still does once it serves: it answers whom it has accepted, writes to the store, which is
// open, reads the configuration anew, shows its numbers, and ends Tor and removes its sockets when it stops. Its service manager
// it has connected to, and to Tor's SOCKS port a dialer connects for it, if there is one.
func (d *daemon) rules(tor onionService) isolation.Rules {
	config, _ := d.configPaths()
	r := isolation.Rules{
		Read: append(config, isolation.OwnNumbers...),
		// Also sockets that a Tor of ours makes are here.
		Remove: []string{d.RuntimeDir},
	}
	for _, where := range []func() (address, bool){
		func() (address, bool) { return adminAddress(&d.Config) },
		func() (address, bool) {
			a, err := parseAddress(d.Listen.Address)
			return a, err == nil && d.Tor.Mode == "off"
		},
	} {
		if a, on := where(); on && a.path != "" {
			r.Remove = append(r.Remove, filepath.Dir(a.path))
		}
	}
	if tor != nil {
		needs := tor.Needs(context.Background())
		r.Remove = append(r.Remove, needs.Remove...)
		r.Write, r.Sockets, r.Ports = needs.Write, needs.Sockets, needs.Ports
		r.Internet, r.Signal = needs.Internet, needs.PID
	}
	return r
}

// configPaths are where the configuration is read from at a reload: its directory, as editors put a new file in the place
// of the old one, and the file itself if that is elsewhere. A directory that leads to a key is not among them, but the file as
// it is now; keyed says so.
func (d *daemon) configPaths() (paths []string, keyed bool) {
	name := d.file
	if name == "" {
		name = defaultConfigFile
	}
	if name == "" {
		return nil, false
	}
	dir := filepath.Dir(name)
	keyed = d.leadsToKey(dir)
	if !keyed {
		paths = append(paths, dir)
	}
	if file, err := filepath.EvalSymlinks(name); err == nil && (keyed || file != name) {
		paths = append(paths, file)
	}
	return paths, keyed
}

// leadsToKey says whether something that a key lies in, or will in this run, is dir, or below it.
func (d *daemon) leadsToKey(dir string) bool {
	var places []string
	if _, err := os.Lstat(onion.KeyDir(d.StateDir)); d.Tor.Mode != "off" || !errors.Is(err, fs.ErrNotExist) {
		places = append(places, d.StateDir, d.RuntimeDir) // in the latter are those that are not kept
	}
	if name := keyCredential(os.Getenv); name != "" {
		places = append(places, filepath.Dir(name))
	}
	return slices.ContainsFunc(places, func(place string) bool {
		below, err := filepath.Rel(realPath(dir), realPath(place))
		return err != nil || below != ".." && !strings.HasPrefix(below, "../")
	})
}

// realPath is a path from the root without links, as far as it exists.
func realPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
