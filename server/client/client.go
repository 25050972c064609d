// Package client is the other end of the protocol: one connection of a peer to a directory, as strict as the
// strictest existing client, or to another peer. The directory looks at itself through it, and for its peers.
//
// A Conn is for one goroutine. Contexts bound each call.
package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"jm-directory-server/server/wire"
)

// ErrUnexpected says that the directory sent something else than what had to come.
var ErrUnexpected = errors.New("unexpected message of the directory")

// A RefusedError is a handshake that the directory did not accept.
type RefusedError struct {
	MOTD string // what the directory says, as it came
}

// Error quotes what the directory says, in printable ASCII and at most 256 bytes of it.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the directory refuses: %+.256q", e.MOTD)
}

// A Conn is a connection to a directory.
type Conn struct {
	conn    net.Conn
	scanner *bufio.Scanner
	parser  wire.Parser
}

// New speaks over conn, which Close closes.
func New(conn net.Conn) *Conn {
	c := &Conn{conn: conn, scanner: bufio.NewScanner(conn)}
	c.scanner.Buffer(nil, wire.MaxLine+len("\r\n")+1)
	c.scanner.Split(wire.SplitLine)
	return c
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// bound makes the connection's calls fail when ctx ends, until the function that it returns is called with their
// error. The connection cannot be used after such a failure.
func (c *Conn) bound(ctx context.Context) func(error) error {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	return func(err error) error {
		if !stop() && err != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return err
	}
}

// Send sends one message. It fails with wire.ErrTooLong above wire.MaxLine, or when ctx or the connection ends.
func (c *Conn) Send(ctx context.Context, t wire.Type, line []byte) error {
	b, err := wire.AppendEnvelope(nil, t, line)
	if err != nil {
		return err
	}
	done := c.bound(ctx)
	_, err = c.conn.Write(b)
	if err = done(err); err != nil {
		return fmt.Errorf("send %s: %w", t, err)
	}
	return nil
}

// next returns the next message. Its line is valid until the next call.
func (c *Conn) next(ctx context.Context) (wire.Envelope, error) {
	done := c.bound(ctx)
	ok := c.scanner.Scan()
	err := c.scanner.Err()
	if !ok && err == nil {
		err = io.EOF
	}
	if err = done(err); err != nil {
		return wire.Envelope{}, err
	}
	return c.parser.Parse(c.scanner.Bytes())
}

// Expect returns the line of the next message of type t. Pings are answered on the way, and messages of the types in
// passing are passed over. Anything else is ErrUnexpected.
func (c *Conn) Expect(ctx context.Context, t wire.Type, passing ...wire.Type) ([]byte, error) {
	for {
		env, err := c.next(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("waiting for %s: %w", t, err)
		case env.Type == t:
			return bytes.Clone(env.Line), nil
		case slices.Contains(passing, env.Type):
		case env.Type == wire.Ping:
			if err := c.Send(ctx, wire.Pong, nil); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("%w: %s instead of %s", ErrUnexpected, env.Type, t)
		}
	}
}

// Handshake says who we are and returns who the directory is. Errors: a *RefusedError, ErrUnexpected, those of
// wire.ParseDirectoryHello, or that of ctx or the connection.
func (c *Conn) Handshake(ctx context.Context, h wire.Handshake) (wire.DirectoryHello, error) {
	if err := c.Send(ctx, wire.ClientHandshake, h.AppendLine(nil)); err != nil {
		return wire.DirectoryHello{}, err
	}
	env, err := c.next(ctx) // nothing may come before the answer, pings included
	if err != nil {
		return wire.DirectoryHello{}, fmt.Errorf("waiting for %s: %w", wire.DirectoryHandshake, err)
	}
	if env.Type != wire.DirectoryHandshake {
		return wire.DirectoryHello{}, fmt.Errorf("%w: %s instead of %s", ErrUnexpected, env.Type, wire.DirectoryHandshake)
	}
	hello, err := wire.ParseDirectoryHello(env.Line)
	switch {
	case err != nil:
		return hello, err
	case !hello.Accepted:
		return hello, &RefusedError{hello.MOTD}
	case hello.Network != h.Network:
		return hello, fmt.Errorf("%w: it serves %+.32q", wire.ErrHelloSyntax, hello.Network)
	}
	return hello, nil
}
