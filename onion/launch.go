package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cretz/bine/control"
)

// launch starts our own Tor.
func (s *Service) launch(ctx context.Context) error {
	src, err := s.source(ctx)
	if err != nil {
		return err
	}
	advice, err := checkVersion(src.version)
	if err != nil {
		return err
	}
	s.version = src.version
	s.bootstrap.version(advice, time.Now())
	s.features = serviceFeatures{circuitIDs: true, pow: s.config.PoW && src.pow, introDoS: s.config.IntroDoSDefense}
	if s.config.PoW && src.inside == nil && !src.pow {
		s.noPoW()
	}
	s.accept()

	if s.config.Socks {
		if s.socks, err = s.runtime.socket("socks.sock"); err != nil {
			return err
		}
	}
	dataDir := filepath.Join(s.config.StateDir, "tor")
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("tor's data directory: %w", err)
	}
	var service []option
	creator := src.inside
	if creator == nil {
		service = s.options()
		creator = &childCreator{exe: src.exe, output: &logSplitter{line: func(l string) { s.log(parseLog(l)) }},
			confine: s.config.Confine, rules: s.torRules(dataDir, src)}
	}
	torrc := filepath.Join(dataDir, "torrc")
	if err := os.WriteFile(torrc, []byte(childTorrc(s.config, dataDir, s.socks, service)), 0o600); err != nil {
		return fmt.Errorf("torrc: %w", err)
	}
	var life context.Context // Tor's, not the start's
	life, s.quit = context.WithCancel(context.WithoutCancel(ctx))
	proc, err := creator.New(life, "-f", torrc, "--defaults-torrc", os.DevNull)
	if err != nil {
		return err
	}
	conn, err := proc.EmbeddedControlConn()
	if err != nil {
		return err
	}
	if src.inside == nil { // else both are one process
		if conn, err = s.guarded(conn); err != nil {
			return err
		}
	}
	if err := proc.Start(); err != nil {
		conn.Close()
		return err
	}
	s.proc, s.ended = proc, make(chan struct{})
	s.work.Go(func() {
		s.exit = proc.Wait()
		close(s.ended)
	})
	err = s.command(ctx, conn, src)
	if err != nil && ctx.Err() == nil {
		err = s.whyEnded(err)
	}
	return err
}

// command takes Tor over the control channel from its start to the network.
func (s *Service) command(ctx context.Context, conn net.Conn, src *source) error {
	var err error
	if s.control, err = newChannel(ctx, conn, ""); err != nil {
		return err
	}
	s.watch()
	if src.inside != nil { // no log of its own, and no torrc that it might not understand
		if err := s.control.subscribe(ctx, control.EventCodeLogNotice, control.EventCodeLogWarn, control.EventCodeLogErr); err != nil {
			return err
		}
		if err := s.configure(ctx, nil); err != nil {
			return err
		}
	}
	if err := s.control.subscribe(ctx, control.EventCodeStatusClient, control.EventCodeStatusGeneral, control.EventCodeHSDesc); err != nil {
		return err
	}
	// Tor has read the key by now; it must not have put another one there.
	if taken, err := takenIdentity(s.keyDir); err != nil || taken != s.id {
		return errors.Join(errors.New("tor did not take the key it was given"), err)
	}
	return s.control.setConf(ctx, option{"DisableNetwork", "0"})
}

// source finds the Tor to start.
func (s *Service) source(ctx context.Context) (*source, error) {
	switch {
	case s.config.Mode == System:
		return system(ctx, s.config)
	case s.config.from != nil:
		return s.config.from, nil
	default:
		return embedded(s.config)
	}
}
