package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server"
)

// vigilFor keeps a vigil for d and returns what the service manager was told, in order.
func vigilFor(t *testing.T, d time.Duration, ready bool, watchdog time.Duration, alive func(context.Context) error) (told []string, log string) {
	t.Helper()
	messages := listenNotify(t)
	out := new(lockedBuffer)
	logger, err := newLogger(LogConfig{Level: "info", Format: "text"}, out, false, true)
	if err != nil {
		t.Fatal(err)
	}
	n := &notifier{log: logger}
	n.ready.Store(ready)
	synctest.Test(t, func(t *testing.T) {
		v := &vigil{notify: n, log: logger, watchdog: watchdog, alive: alive,
			status: func() server.Status { return server.Status{Peers: 7, Makers: 3, MaxPeers: 9, Handshaking: 1} }}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		v.keep(ctx)
	})
	n.tell("END=1")
	for m := range messages {
		if m == "END=1" {
			break
		}
		told = append(told, m)
	}
	return told, out.String()
}

func TestTheWatchdogGetsASignOfLifeAtHalfItsPatience(t *testing.T) {
	told, log := vigilFor(t, 20*time.Second-1, true, 10*time.Second, func(context.Context) error { return nil })
	if want := slices.Repeat([]string{"WATCHDOG=1"}, 3); !slices.Equal(told, want) || log != "" {
		t.Errorf("told %q, logged %q", told, log)
	}
}

func TestAServerThatDoesNotMoveGivesNoSignOfLife(t *testing.T) {
	for _, ready := range []bool{true, false} {
		told, log := vigilFor(t, 29*time.Second, ready, 10*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("registry does not answer")
		})
		if len(told) != 0 || !strings.Contains(log, "registry does not answer") {
			t.Errorf("told %q, logged %q", told, log)
		}
	}
}

func TestAnAnswerThatComesLateIsNoSignOfLife(t *testing.T) {
	late := true
	told, _ := vigilFor(t, 14*time.Second, true, 10*time.Second, func(ctx context.Context) error {
		if !late {
			return nil
		}
		late = false
		select {
		case <-time.After(3 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if !slices.Equal(told, []string{"WATCHDOG=1"}) {
		t.Errorf("told %q, want one sign of life, from the second look", told)
	}
}

func TestTheStartAsksForMoreTimeUntilReady(t *testing.T) {
	told, _ := vigilFor(t, 61*time.Second, false, 0, func(context.Context) error { return nil })
	if want := slices.Repeat([]string{"EXTEND_TIMEOUT_USEC=60000000"}, 4); !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

func TestTheServiceManagerIsToldHowManyPeersThereAre(t *testing.T) {
	told, _ := vigilFor(t, 61*time.Second, true, 0, nil)
	if want := slices.Repeat([]string{"STATUS=7 of 9 peers, 3 of them makers, and 1 in handshake"}, 2); !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

func TestWatchdogOfTheEnvironment(t *testing.T) {
	_, srv, _, out := testDaemon(t, nil)
	defer srv.Shutdown(t.Context())
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, out, false, true)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]time.Duration{"": 0, "30000000": 30 * time.Second, "x": 0} {
		t.Setenv("WATCHDOG_USEC", value)
		v := newVigil(&notifier{}, log, srv)
		if v.watchdog != want {
			t.Errorf("WATCHDOG_USEC=%s: %v", value, v.watchdog)
		}
		if err := v.alive(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(out.String(), "there is no watchdog") {
		t.Error("a wrong WATCHDOG_USEC is not logged")
	}
}
