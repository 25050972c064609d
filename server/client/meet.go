package client

import (
	"context"
	"errors"
	"fmt"

	"jm-directory-server/server/wire"
)

// ErrAnotherPeer says that a peer answered by another nick than the one that was looked for.
var ErrAnotherPeer = errors.New("another peer answers")

// Meet shakes hands with the peer of that nick over conn as another peer would: both sides say who they are with the same
// message, whichever comes first (protocol.md 3, 5.1). h is what we say. Errors: ErrAnotherPeer, ErrUnexpected, those of
// wire.ParseHandshake, or that of ctx or the connection. None names the peer.
func (c *Conn) Meet(ctx context.Context, h wire.Handshake, nick string) error {
	if err := c.Send(ctx, wire.ClientHandshake, h.AppendLine(nil)); err != nil {
		return err
	}
	env, err := c.next(ctx)
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", wire.ClientHandshake, err)
	}
	if env.Type != wire.ClientHandshake {
		return fmt.Errorf("%w: %s instead of %s", ErrUnexpected, env.Type, wire.ClientHandshake)
	}
	// Where it says that it serves is no matter here: it has been found.
	theirs, err := wire.ParseHandshake(env.Line, wire.HandshakeRules{Networks: []string{h.Network}, Clearnet: true})
	switch {
	case err != nil:
		return err
	case theirs.Nick != nick:
		return ErrAnotherPeer
	}
	return nil
}
