package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// A signalWatch turns signals into what they ask for, from watchSignals to close.
type signalWatch struct {
	stop context.Context // ends with the first SIGTERM or SIGINT

	log    logrus.FieldLogger
	status func()    // SIGUSR1
	reload func()    // SIGHUP
	exit   func(int) // a second SIGTERM or SIGINT
	ch     chan os.Signal
	quit   chan struct{}
	ended  chan struct{}
}

// watchSignals starts to listen for signals.
func watchSignals(log logrus.FieldLogger, status, reload func()) *signalWatch {
	w := newSignalWatch(log, status, reload, os.Exit)
	signal.Notify(w.ch, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGHUP)
	return w
}

func newSignalWatch(log logrus.FieldLogger, status, reload func(), exit func(int)) *signalWatch {
	stop, cancel := context.WithCancel(context.Background())
	w := &signalWatch{
		stop: stop, log: log, status: status, reload: reload, exit: exit,
		ch: make(chan os.Signal, 4), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go w.run(cancel)
	return w
}

func (w *signalWatch) run(cancel context.CancelFunc) {
	defer close(w.ended)
	defer cancel()
	for {
		select {
		case <-w.quit:
			return
		case s := <-w.ch:
			switch {
			case s == unix.SIGUSR1:
				w.status()
			case s == unix.SIGHUP:
				w.reload()
			case w.stop.Err() == nil:
				w.log.WithField("signal", unix.SignalName(s.(unix.Signal))).Info("stopping; a second signal stops at once")
				cancel()
			default:
				w.log.WithField("signal", unix.SignalName(s.(unix.Signal))).Error("stopped at once, messages may be lost")
				w.exit(exitFailed)
			}
		}
	}
}

// close gives the signals back to the system and waits for the watch to end.
func (w *signalWatch) close() {
	signal.Stop(w.ch)
	close(w.quit)
	<-w.ended
}
