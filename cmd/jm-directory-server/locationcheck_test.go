package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// A meetingMaker answers those who dial it as a maker does: with its own handshake.
func meetingMaker(nick string) net.Conn {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		lines := bufio.NewScanner(theirs)
		lines.Split(wire.SplitLine)
		if !lines.Scan() {
			return
		}
		if env, err := new(wire.Parser).Parse(lines.Bytes()); err != nil || env.Type != wire.ClientHandshake {
			return
		}
		answer, _ := wire.AppendEnvelope(nil, wire.ClientHandshake, wire.Handshake{Nick: nick, Network: "regtest"}.AppendLine(nil))
		theirs.Write(answer)
		lines.Scan() // until it is closed
	}()
	return ours
}

func TestLocationCheckTellsPeersFaultsFromOurs(t *testing.T) {
	const nick = "J5Ckon1LuuapPSBM"
	where := wire.Location{Host: testOnion, Port: 5222}
	for name, tt := range map[string]struct {
		dial    func(ctx context.Context) (net.Conn, error)
		reached bool
		ours    bool
		logged  string
	}{
		"there":        {func(context.Context) (net.Conn, error) { return meetingMaker(nick), nil }, true, false, ""},
		"another":      {func(context.Context) (net.Conn, error) { return meetingMaker("J58g3zmKyFpTLdeA"), nil }, false, false, ""},
		"no service":   {func(context.Context) (net.Conn, error) { return nil, &onion.Refusal{Code: 0xf0} }, false, false, ""},
		"no answer":    {func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, false, false, ""},
		"no way":       {func(context.Context) (net.Conn, error) { return nil, fmt.Errorf("onion: %w", onion.ErrNoDial) }, false, true, "no location check"},
		"Tor is silly": {func(context.Context) (net.Conn, error) { return nil, errors.New("malformed answer") }, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(lockedBuffer)
				logger := logrus.New()
				logger.SetOutput(log)
				logger.SetLevel(logrus.DebugLevel)
				isolations := make(map[string]bool)
				c := &locationCheck{log: logger, dial: func(ctx context.Context, host string, port int, isolation string) (net.Conn, error) {
					if host != where.Host || port != 5222 || isolations[isolation] || len(isolation) < 20 {
						t.Errorf("dialled %s:%d with isolation %q", host, port, isolation)
					}
					isolations[isolation] = true
					return tt.dial(ctx)
				}}
				for range 2 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					err := c.check(ctx, where, nick, "regtest")
					cancel()
					if (err == nil) != tt.reached || errors.Is(err, server.ErrNotChecked) != tt.ours {
						t.Errorf("got %v, want reached %v, our fault %v", err, tt.reached, tt.ours)
					}
				}
				if got := log.String(); strings.Count(got, "\n") != strings.Count(tt.logged, "check") || !strings.Contains(got, tt.logged) ||
					strings.Contains(got, nick) || strings.Contains(got, testOnion) {
					t.Errorf("logged %q, want %q, once", got, tt.logged)
				}
			})
		})
	}
}
