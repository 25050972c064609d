package main

import (
	"context"
	"fmt"
	"net"

	"jm-directory-server/onion"
	"jm-directory-server/server/unixsocket"
)

// listen opens the listener of tor.mode "off".
func listen(ctx context.Context, c ListenConfig) (net.Listener, error) {
	a, err := parseAddress(c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	var l net.Listener
	if a.path != "" {
		l, err = unixsocket.Listen(ctx, a.path, c.SocketMode)
	} else {
		// Without probes of the kernel, which cost four calls for each connection: the heartbeat probes all peers.
		l, err = (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", a.tcp.String())
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if c.ProxyProtocol {
		l = onion.NewProxyListener(l, true)
	}
	return l, nil
}
