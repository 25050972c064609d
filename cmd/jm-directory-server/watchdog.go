package main

import (
	"context"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
)

const (
	// startPeriod is how often the start asks for more time; it must be less than startExtension.
	startPeriod = startExtension / 4
	// peersPeriod is how often the service manager is told how many peers there are.
	peersPeriod = 30 * time.Second
)

// A vigil looks, from start to end, whether the server still moves, and tells the service manager. What does not
// move gets no sign of life, so that it is ended and started anew: WatchdogSec= once it is up, TimeoutStartSec=
// before.
type vigil struct {
	notify   *notifier
	log      logrus.FieldLogger
	watchdog time.Duration // the service manager's patience, see sd_watchdog_enabled(3); 0: none
	alive    func(context.Context) error
	status   func() server.Status
}

// newVigil returns the vigil over srv.
func newVigil(n *notifier, log logrus.FieldLogger, srv *server.Server) *vigil {
	patience, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.WithError(err).Warn("there is no watchdog")
	}
	return &vigil{notify: n, log: log, watchdog: patience, alive: srv.Alive, status: srv.Status}
}

// keep keeps the vigil until ctx ends.
func (v *vigil) keep(ctx context.Context) {
	var watchdog <-chan time.Time
	if v.watchdog > 0 {
		t := time.NewTicker(v.watchdog / 2)
		defer t.Stop()
		watchdog = t.C
	}
	start, peers := time.NewTicker(startPeriod), time.NewTicker(peersPeriod)
	defer start.Stop()
	defer peers.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watchdog:
			// An answer in half of the period comes well before the patience ends.
			if v.moves(ctx, v.watchdog/4) {
				v.notify.tell(sd.SdNotifyWatchdog)
			}
		case <-start.C:
			if !v.notify.ready.Load() && v.moves(ctx, startPeriod/2) {
				v.notify.starting()
			}
		case <-peers.C:
			v.notify.peers(v.status())
		}
	}
}

// moves says whether the server answers in time; if not, the log is told who does not.
func (v *vigil) moves(ctx context.Context, within time.Duration) bool {
	answer, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := v.alive(answer)
	if err != nil && ctx.Err() == nil {
		v.log.WithError(err).Error("the server does not move: no sign of life for the service manager")
	}
	return err == nil
}
