package tornet

import (
	"context"
	"fmt"
	"net"
	"time"

	"jm-directory-server/onion/internal/socks"
)

// Dial opens a stream to host:port through the node's SOCKS port, in one
// attempt. Streams with different users never share a circuit
// (IsolateSOCKSAuth); user has up to 255 bytes.
func (nd *Node) Dial(ctx context.Context, user, host string, port int) (net.Conn, error) {
	c, err := socks.Dial(ctx, "tcp", nd.SOCKS(), user, host, port)
	if err != nil {
		return nil, fmt.Errorf("tornet: dial %s:%d: %w", host, port, err)
	}
	return c, nil
}

// Reach dials again until it works or ctx ends: a descriptor needs a moment to
// spread.
func (nd *Node) Reach(ctx context.Context, user, host string, port int) (net.Conn, error) {
	for {
		c, err := nd.Dial(ctx, user, host, port)
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w\n%s", err, nd.tail())
		case <-nd.proc.Ended():
			return nil, fmt.Errorf("%w\n%s", err, nd.tail())
		case <-time.After(300 * time.Millisecond):
		}
	}
}
