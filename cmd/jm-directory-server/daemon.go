package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// onionService is what the daemon needs of an onion.Service.
type onionService interface {
	Address() string
	Listener() net.Listener
	Published() <-chan struct{}
	Done() <-chan struct{}
	Err() error
	TorVersion() string
	PoW() bool
	State() onion.State
	CircuitIDs() bool
	SetPoW(ctx context.Context, rate, burst int) error
	CloseCircuit(ctx context.Context, id uint64) error
	Dial(ctx context.Context, host string, port int, isolation string) (net.Conn, error)
	Needs(ctx context.Context) onion.Needs
	Close() error
}

func startOnion(ctx context.Context, c onion.Config) (onionService, error) {
	s, err := onion.Start(ctx, c)
	if err != nil {
		return nil, err // not s: a nil *onion.Service is not a nil interface
	}
	return s, nil
}

// circuitGrace is how long Tor may take to close a circuit.
const circuitGrace = 10 * time.Second

// torGrace is how long a failed listener waits for Tor's own reason: when Tor ends, both fail.
const torGrace = 2 * time.Second

// A daemon is one run of the server.
type daemon struct {
	*effective // as at the start
	log        *logrus.Logger
	line       *statusLine // nil: no terminal
	stdout     io.Writer
	startOnion func(context.Context, onion.Config) (onionService, error)

	load      func() (*effective, error)       // the configuration, anew
	formatter func(LogConfig) logrus.Formatter // of the log
	reloaded  atomic.Pointer[effective]        // see reload; nil: never

	notify   *notifier
	endVigil func() // and wait for its end
	watch    *supervision

	isolator *isolator                // nil: there is no isolation
	isolated atomic.Pointer[[]string] // what it restricts; nil: nothing yet
}

// inForce is the configuration as at the start or, later, from the last reload.
func (d *daemon) inForce() *effective {
	if e := d.reloaded.Load(); e != nil {
		return e
	}
	return d.effective
}

// run serves until a signal (nil) or until something fails.
func (d *daemon) run() error {
	if err := d.checkIsolation(); err != nil {
		return err
	}
	lock, err := lockStateDir(d.StateDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	kept, err := clearLeftovers(d.StateDir)
	if len(kept) > 0 { // their names have an address, which is not for the log
		d.log.Warn("an old key, whose replacement was interrupted, is kept beside the one in use")
	}
	if err != nil {
		d.log.WithError(err).Warn("the start goes on")
	}
	if err := raiseFileLimit(&d.Config, d.log); err != nil {
		return err
	}
	if d.Log.Unsafe {
		d.log.Warn("log.unsafe is on: at level debug the log shows nicks, addresses and messages of peers")
	}
	if d.AllowClearnet {
		d.log.Warn("allow_clearnet is on: locations that are not onions are accepted; this is for tests only")
	}
	srv, err := server.New(d.options(), d.log)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	signals := watchSignals(d.log,
		func() { d.log.WithFields(srv.Status().Fields()).Info("status") },
		func() { d.sighup(srv) })
	defer signals.close()
	return d.runUntil(signals.stop, srv)
}

// runUntil serves until stop ends (nil) or until something fails.
func (d *daemon) runUntil(stop context.Context, srv *server.Server) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var vigil sync.WaitGroup
	vigil.Go(func() { newVigil(d.notify, d.log, srv).keep(ctx) })
	d.endVigil = func() { cancel(); vigil.Wait() }
	defer d.endVigil()
	if d.watch, err = d.supervise(srv); err != nil {
		d.shutdown(srv)
		return err
	}
	defer d.watch.end()
	if d.Tor.Mode == "off" {
		err = d.runPlain(stop, srv)
	} else {
		err = d.runOnion(stop, srv)
	}
	if stop.Err() != nil {
		return nil // whatever failed then did so because it was stopped
	}
	return err
}

// runPlain serves on the listener of tor.mode "off".
func (d *daemon) runPlain(stop context.Context, srv *server.Server) error {
	l, err := listen(stop, d.Listen)
	if err != nil {
		d.shutdown(srv)
		return err
	}
	if err := d.isolate(nil); err != nil {
		d.shutdown(srv)
		return errors.Join(err, l.Close())
	}
	d.log.WithFields(logrus.Fields{"network": d.Network, "listen": l.Addr().String()}).
		Info("directory is listening, without a Tor of its own")
	if !d.Listen.ProxyProtocol {
		d.log.Info("limits by circuit are off: without listen.proxy_protocol nothing tells which connections share a circuit")
	}
	d.watch.published()
	d.notify.up()
	return d.serve(stop, srv, l, nil)
}

// runOnion starts Tor and serves on the onion service.
func (d *daemon) runOnion(stop context.Context, srv *server.Server) error {
	boot := &bootstrap{log: d.log, line: d.line}
	defer boot.end()
	d.log.WithFields(logrus.Fields{"network": d.Network, "tor": d.Tor.Mode, "ephemeral": d.Tor.Ephemeral}).Info("starting Tor")

	// The signal that stops the server may interrupt the start, but must not end Tor under the flush
	// at shutdown.
	starting, cancel := context.WithCancel(context.Background())
	defer cancel()
	release := context.AfterFunc(stop, cancel)
	tor, err := d.startOnion(starting, d.onion(d.log, func(p onion.Progress) { boot.show(p); d.notify.bootstrapping(p) }))
	release()
	if err != nil {
		d.shutdown(srv)
		return err
	}
	defer func() {
		if err := tor.Close(); err != nil {
			d.log.WithError(err).Warn("tor did not stop in order")
		}
	}()
	location, err := wire.ParseLocation(net.JoinHostPort(tor.Address(), strconv.Itoa(d.Tor.Port)), false)
	if err != nil {
		d.shutdown(srv)
		return fmt.Errorf("onion address: %w", err)
	}
	srv.SetLocation(location)
	d.watch.runs(tor)
	srv.CloseCircuits(func(id uint64) {
		ctx, cancel := context.WithTimeout(context.Background(), circuitGrace)
		defer cancel()
		if err := tor.CloseCircuit(ctx, id); err != nil {
			d.log.WithError(err).Warn("a circuit that does harm was not closed; its connections are refused")
		}
	})
	srv.CheckLocations((&locationCheck{dial: tor.Dial, log: d.log}).check)
	if !tor.CircuitIDs() {
		d.log.Warn("limits by circuit are off: this Tor does not tell which connections share a circuit")
	}
	if missing := tor.State().Missing; len(missing) > 0 {
		d.log.WithField("missing", strings.Join(missing, ", ")).Warn("this Tor lacks what was asked for: the directory runs without it")
	}
	d.log.WithFields(logrus.Fields{"version": tor.TorVersion(), "pow": tor.PoW()}).Info("Tor runs")
	if err := d.isolate(tor); err != nil {
		d.shutdown(srv)
		return err
	}
	return d.serve(stop, srv, tor.Listener(), &published{tor, location, boot})
}

// published is the onion service that serve looks after.
type published struct {
	onionService
	location wire.Location
	boot     *bootstrap
}

// serve runs srv on l until stop ends or something fails, and shuts srv down. Tor is nil without one.
func (d *daemon) serve(stop context.Context, srv *server.Server, l net.Listener, tor *published) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	defer func() {
		d.shutdown(srv)
		d.log.WithFields(srv.Status().Fields()).Info("stopped")
	}()

	var up, torEnded <-chan struct{}
	if tor != nil {
		up, torEnded = tor.Published(), tor.Done()
	}
	for {
		select {
		case <-stop.Done():
			return nil
		case <-up:
			up = nil
			if err := d.announce(tor); err != nil {
				return err
			}
		case <-torEnded:
			return torError(tor.Err())
		case err := <-ended:
			ended <- err // for the deferred receive
			select {
			case <-torEnded:
				return torError(tor.Err())
			case <-time.After(torGrace):
			}
			if err == nil {
				err = errors.New("stopped accepting")
			}
			return fmt.Errorf("server: %w", err)
		}
	}
}

// announce says once, on standard output, where the directory is. The log is told without the address.
func (d *daemon) announce(tor *published) error {
	tor.boot.end()
	d.log.WithFields(logrus.Fields{"network": d.Network, "port": d.Tor.Port}).Info("directory is up: its descriptor is published")
	if _, err := fmt.Fprintf(d.stdout, "directory is up: %s\n", tor.location); err != nil {
		return fmt.Errorf("print the address: %w", err)
	}
	d.watch.published()
	d.notify.up()
	return nil
}

func torError(err error) error {
	if err == nil {
		err = onion.ErrTorEnded
	}
	return fmt.Errorf("onion service: %w", err)
}

// shutdown ends srv within shutdown_timeout.
func (d *daemon) shutdown(srv *server.Server) {
	d.endVigil() // a server that ends does not move
	if d.watch != nil {
		d.watch.stopping()
	}
	most := d.inForce().ShutdownTimeout
	d.notify.stopping(most)
	// Shutdown knows the timeout; the context is for what it did not foresee.
	ctx, cancel := context.WithTimeout(context.Background(), most+time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		d.log.WithError(err).Warn("peers did not take all that waited for them")
	}
}
