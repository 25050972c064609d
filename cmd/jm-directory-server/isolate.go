package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	if err := d.isolator.apply(d.rules(tor)); err != nil {
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
	d.log.WithField("restricted", strings.Join(inForce, ", ")).Info("isolated: no new connections, no programs, no files but the configuration")
	return nil
}

// isolationInForce names what is restricted; empty before isolate, when it failed, and when nothing is.
func (d *daemon) isolationInForce() []string {
	if in := d.isolated.Load(); in != nil {
		return *in
	}
	return []string{}
}

// rules are what this process still does once it serves: it answers whom it has accepted, writes to the store, which is
// open, reads the configuration anew, shows its numbers, dials its own onion, and ends Tor and removes its sockets when it
// stops.
func (d *daemon) rules(tor onionService) isolation.Rules {
	r := isolation.Rules{
		Read: append(d.configPaths(), isolation.OwnNumbers...),
		// Also sockets that a Tor of ours makes are here.
		Remove:  []string{d.RuntimeDir},
		Sockets: []string{d.RuntimeDir},
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
	if notify := os.Getenv("NOTIFY_SOCKET"); strings.HasPrefix(notify, "@") {
		r.Abstract = true
	} else if notify != "" {
		r.Sockets = append(r.Sockets, notify)
	}
	if tor != nil {
		needs := tor.Needs(context.Background())
		r.Remove = append(r.Remove, needs.Remove...)
		r.Write, r.Sockets = needs.Write, append(r.Sockets, needs.Sockets...)
		r.Ports, r.Internet, r.Signal = needs.Ports, needs.Internet, needs.PID
	}
	return r
}

// configPaths are where the configuration is read from at a reload: its directory, as editors put a new file in the place
// of the old one, and the file itself if that is elsewhere.
func (d *daemon) configPaths() []string {
	name := d.file
	if name == "" {
		name = defaultConfigFile
	}
	if name == "" {
		return nil
	}
	paths := []string{filepath.Dir(name)}
	if file, err := filepath.EvalSymlinks(name); err == nil && file != name {
		paths = append(paths, file)
	}
	return paths
}
