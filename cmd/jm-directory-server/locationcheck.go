package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
	"jm-directory-server/server/client"
	"jm-directory-server/server/wire"
)

// A locationCheck looks for peers that serve where they say that they serve, as another peer would. What it finds is told
// to the server and to nobody else: nothing is logged of any peer.
type locationCheck struct {
	dial func(ctx context.Context, host string, port int, isolation string) (net.Conn, error)
	log  logrus.FieldLogger
	told sync.Once // that this Tor offers no way to dial
}

// check is for server.Server.CheckLocations. Each check has a nick, an isolation and with it a circuit of its own, so
// that nobody can tell by them that two checks are of the same directory.
func (c *locationCheck) check(ctx context.Context, l wire.Location, nick, network string) error {
	ours, err := client.NewNick()
	if err != nil {
		return errors.Join(server.ErrNotChecked, err)
	}
	conn, err := c.dial(ctx, l.Host, int(l.Port), rand.Text())
	if err != nil {
		var refused *onion.Refusal
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, onion.ErrNoDial) {
			c.told.Do(func() { c.log.WithError(err).Warn("no location check: the running Tor offers no way to dial") })
		}
		return errors.Join(server.ErrNotChecked, err)
	}
	peer := client.New(conn)
	defer peer.Close()
	return peer.Meet(ctx, wire.Handshake{Nick: ours, Network: network}, nick)
}
