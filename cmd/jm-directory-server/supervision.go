package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/admin/page"
)

// A supervision is all that lets an operator see how the directory is and act on it: the store, the observer, the
// self-check and the admin listener. None of them can stop the directory.
type supervision struct {
	d      *daemon
	source *adminSource
	cancel context.CancelFunc
	work   sync.WaitGroup

	check    context.Context // of the self-check, which ends before the directory does
	endCheck context.CancelFunc
}

// supervise begins to watch srv, with the bans that were kept in force, and answers the operator. The error is that of a
// listener that cannot be had.
func (d *daemon) supervise(srv *server.Server) (*supervision, error) {
	kept := openArchive(d.StateDir, d.log)
	kept.useBans(srv)
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervision{d: d, cancel: cancel}
	s.check, s.endCheck = context.WithCancel(ctx)
	s.source = &adminSource{Server: srv, d: d, kept: kept}
	o := &observer{
		status: srv.Status, check: s.source.lastCheck, effort: s.source.effort, ready: s.source.ready,
		keep: kept.keep, lose: kept.lose,
	}
	s.source.rates = o.rates
	s.work.Go(func() { o.run(ctx) })
	if err := s.listen(ctx); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// listen answers the operator where the configuration says.
func (s *supervision) listen(ctx context.Context) error {
	where, on := adminAddress(&s.d.Config)
	if !on {
		return nil
	}
	if where.path != "" {
		if err := os.MkdirAll(filepath.Dir(where.path), 0o700); err != nil {
			return fmt.Errorf("admin socket: %w", err)
		}
	}
	l, err := admin.Listen(ctx, where.String())
	if err != nil {
		return err
	}
	a := admin.New(s.source, admin.Options{Page: page.Handler(s.source)}, s.d.log)
	s.work.Go(func() {
		if err := a.Serve(ctx, l); err != nil {
			s.d.log.WithError(err).Error("the admin listener failed: the directory goes on, but cannot be looked at")
		}
	})
	return nil
}

// runs notes that Tor runs, and begins to tune its proof of work.
func (s *supervision) runs(tor onionService) {
	s.source.tor.Store(&tor)
	if !s.d.Tor.PoWTune || !tor.PoW() {
		return
	}
	t := &powTuner{
		tor: tor, status: s.source.Status, log: s.d.log,
		cpu:    func() float64 { _, cpu := processUsage(); return cpu },
		config: func() *Config { return &s.d.inForce().Config },
	}
	s.work.Go(func() { t.keep(s.check) })
}

// published notes that clients can find the directory, and begins to check through Tor, if there is one, that it works.
func (s *supervision) published() {
	s.source.up.Store(true)
	tor := s.source.tor.Load()
	if tor == nil {
		return
	}
	c := &selfCheck{
		config: func() SelfCheckConfig { return s.d.inForce().SelfCheck }, network: s.d.Network,
		own: s.source.Own, log: s.d.log,
		dial: func(ctx context.Context, isolation string) (net.Conn, error) {
			return (*tor).Dial(ctx, (*tor).Address(), s.d.Tor.Port, isolation)
		},
	}
	s.source.check.Store(c)
	s.work.Go(func() { c.keep(s.check) })
}

// stopping notes that the directory ends: it is not ready any more, and not looked at through Tor.
func (s *supervision) stopping() {
	s.source.stopping.Store(true)
	s.endCheck()
}

// diskPatience is how long a stop waits for the disk.
const diskPatience = 5 * time.Second

// end ends all of it, the store last. It gives up a disk that hangs: what waits for it then ends with the process, which the store
// survives at any time.
func (s *supervision) end() {
	s.endCheck()
	s.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.work.Wait()
		s.source.kept.close()
	}()
	patience := time.NewTimer(diskPatience)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		s.d.log.Error("the disk does not answer: the store is not closed, and the last minutes of the history are lost")
	}
}
