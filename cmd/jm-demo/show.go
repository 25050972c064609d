package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"jm-directory-server/onion/tornet"
	"jm-directory-server/server/wire"
)

// options are the command line.
type options struct {
	server, tor string // paths of executables
	verbose     bool   // show the server's log

	crowd time.Duration // keep many peers for that time; 0: tell the story
	peers int           // how many
	admin string        // where the directory answers its operator; "": a socket
}

// A stage is what the story plays on: the private Tor network, the directory and the peers.
type stage struct {
	options
	report    *report
	dir       string // for everything that is kept in files; removed at the end
	network   *tornet.Network
	client    *tornet.Node // the Tor of the peers
	directory *directory
	location  wire.Location // of the directory

	maker1, maker2, taker *peer
}

// show plays the whole demo and reports it. It returns when all that it started has ended.
func show(ctx context.Context, o options, r *report) error {
	s := &stage{options: o, report: r}
	err := s.play(ctx)
	var log []string
	if s.directory != nil {
		log = s.directory.log.last() // before it tells of its end as well
	}
	if cleared := s.clear(); err == nil {
		err = cleared
	}
	switch {
	case err == nil && o.crowd > 0:
		r.end("done")
	case err == nil:
		r.end("done: every message came to whom it was for, and to nobody else")
	case errors.Is(ctx.Err(), context.Canceled):
		r.end("stopped: %v", context.Cause(ctx))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		// Whoever happened to be waited for is not at fault.
		slow := fmt.Errorf("not done after %s: this machine is too slow or too busy now", o.crowd+timeout)
		err = errors.Join(slow, err)
		r.failure(err, "server", log)
	default:
		r.failure(err, "server", log)
	}
	return err
}

// play sets the stage and tells the story.
func (s *stage) play(ctx context.Context) error {
	acts := []func(context.Context) error{s.connect, s.announceOffers, s.requestOrderbook, s.fill, s.list, s.nothingElse, s.depart}
	if s.crowd > 0 {
		acts = []func(context.Context) error{s.keepCrowd}
	}
	acts = slices.Concat([]func(context.Context) error{s.startNetwork, s.startDirectory}, acts,
		[]func(context.Context) error{func(context.Context) error { return s.stopDirectory() }})
	for _, step := range acts {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startNetwork starts the authority and the relays, and waits until they know of each other.
func (s *stage) startNetwork(ctx context.Context) error {
	var err error
	if s.server, err = exec.LookPath(s.server); err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	if s.tor, err = exec.LookPath(s.tor); err != nil {
		return fmt.Errorf("--tor: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "jm-demo-"); err != nil {
		return err
	}
	s.report.step("network", "a Tor network of our own starts, on loopback")
	if s.network, err = tornet.Start(ctx, tornet.Options{Tor: s.tor, Dir: filepath.Join(s.dir, "net")}); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if err := s.network.WaitConsensus(ctx); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	s.report.step("network", "its relays agree on a consensus")
	return nil
}

// startDirectory starts the server and, meanwhile, the Tor through which the peers will connect.
func (s *stage) startDirectory(ctx context.Context) error {
	s.report.step("directory", "starts, with its own Tor inside")
	each := func(string) {}
	if s.verbose {
		each = func(line string) { s.report.log("server", line) }
	}
	var err error
	if s.directory, err = startDirectory(s.server, s.dir, s.network.Torrc(), s.admin, each); err != nil {
		return err
	}
	clientErr := make(chan error, 1)
	go func() {
		var err error
		if s.client, err = s.network.Client(ctx, "peers"); err != nil {
			err = fmt.Errorf("network: the Tor of the peers: %w", err)
		}
		clientErr <- err
	}()
	s.location, err = s.directory.waitUp(ctx)
	if err == nil {
		s.report.step("directory", "is up: %s", shortLocation(s.location))
	}
	return errors.Join(err, <-clientErr)
}

// clear ends everything that was started, also after half a start. It returns what did not end as it should.
func (s *stage) clear() error {
	for _, p := range []*peer{s.maker1, s.maker2, s.taker} {
		if p != nil {
			p.close()
		}
	}
	var errs []error
	if s.directory != nil {
		select {
		case <-s.directory.ended:
		default:
			errs = append(errs, s.directory.stop())
		}
	}
	if s.network != nil {
		s.network.Close()
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// connectTimeout bounds how long a peer may try to connect.
const connectTimeout = 20 * time.Second

// dial connects a peer to the directory on a circuit of its own: streams of different users never share one.
func (s *stage) dial(ctx context.Context, p *peer) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.client.Reach(ctx, p.nick, s.location.Host, int(s.location.Port))
	if err != nil {
		return nil, fmt.Errorf("%s: expected to connect to the directory within %s: %w", p.role, connectTimeout, err)
	}
	return conn, nil
}

// shortLocation is an onion address that fits into a line: its beginning, its end and its port.
func shortLocation(l wire.Location) string {
	text := l.String()
	const head, tail = 12, len("abcd.onion:5222")
	if len(text) <= head+tail {
		return text
	}
	return text[:head] + "…" + text[len(text)-tail:]
}
