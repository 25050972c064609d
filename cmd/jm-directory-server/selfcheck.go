package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/client"
)

// checkRetry is after which part of the interval a check that failed is repeated, one in so many: an operator is not
// woken for one circuit that broke.
const checkRetry = 5

// checkFresh is how many intervals old the last check that passed may be for the directory to count as reachable.
const checkFresh = 2.5

// A selfCheck dials the directory's own onion through its own Tor and has two peers exchange a message there: a port
// that is open and a directory that works are different things.
type selfCheck struct {
	config  func() SelfCheckConfig // in force
	network string
	dial    func(ctx context.Context, isolation string) (net.Conn, error)
	own     func(nick string) (release func()) // server.Server.Own
	log     logrus.FieldLogger

	mu         sync.Mutex
	state      admin.Check
	impossible bool // this Tor offers no way to dial
}

// keep checks again and again until ctx ends or this Tor turns out to offer no way to dial.
func (c *selfCheck) keep(ctx context.Context) {
	for {
		wait := c.config().Interval
		if wait > 0 {
			err := c.check(ctx)
			if errors.Is(err, onion.ErrNoDial) {
				return
			}
			if err != nil {
				wait /= checkRetry
			}
		} else {
			wait = time.Second // it may be switched on by a reload
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// check makes one round trip and notes how it went.
func (c *selfCheck) check(ctx context.Context) error {
	begun := time.Now()
	trip, err := c.trip(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: nothing is wrong
	}
	if errors.Is(err, onion.ErrNoDial) {
		c.log.WithError(err).Warn("no self-check: the running Tor offers no way to dial")
		c.mu.Lock()
		c.impossible = true
		c.mu.Unlock()
		return err
	}
	c.mu.Lock()
	was := c.state
	c.state.At, c.state.OK, c.state.Reason = begun.UTC(), err == nil, ""
	if err == nil {
		c.state.Passed++
		c.state.LastOK = c.state.At
		c.state.Latency, c.state.Dial = trip.Handshake+trip.Message, trip.Dial
	} else {
		c.state.Failed++
		c.state.Reason = "nick"
		var failed *client.StageError
		if errors.As(err, &failed) {
			c.state.Reason = string(failed.Stage)
		}
	}
	now := c.state
	c.mu.Unlock()
	switch {
	case err != nil:
		c.log.WithError(err).WithField("failed", now.Failed).Warn("self-check failed: the directory does not answer through its own onion")
	case !was.OK && !was.At.IsZero():
		c.log.WithField("latency", now.Latency.Round(time.Millisecond).String()).Info("self-check passes again")
	}
	return err
}

// trip makes one round trip, on a circuit of its own.
func (c *selfCheck) trip(ctx context.Context) (client.Trip, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config().Timeout)
	defer cancel()
	var nicks [2]string
	for i := range nicks {
		var err error
		if nicks[i], err = client.NewNick(); err != nil {
			return client.Trip{}, err
		}
		defer c.own(nicks[i])()
	}
	isolation := "check-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	return client.RoundTrip(ctx, c.network, nicks, func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, isolation) })
}

// report returns how the last check went.
func (c *selfCheck) report() admin.Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state
	state.Interval = c.config().Interval
	state.Enabled = state.Interval > 0 && !c.impossible
	return state
}

// problem says what the check has against the directory's readiness, or "". Before the first check has ended there
// is nothing to say.
func (c *selfCheck) problem(now time.Time) string {
	s := c.report()
	if !s.Enabled || s.At.IsZero() || s.OK {
		return ""
	}
	if !s.LastOK.IsZero() && now.Sub(s.LastOK) < time.Duration(checkFresh*float64(s.Interval)) {
		return "" // one that failed is no news yet
	}
	if s.LastOK.IsZero() {
		return fmt.Sprintf("the self-check has never passed (%s)", s.Reason)
	}
	return fmt.Sprintf("the self-check fails (%s), and passed last %s ago", s.Reason, now.Sub(s.LastOK).Round(time.Second))
}
