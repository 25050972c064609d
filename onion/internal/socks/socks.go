// Package socks opens streams through Tor's SOCKS port.
//
// golang.org/x/net/proxy speaks SOCKS as well, but gives Tor's extended errors
// only as text ("unknown code: 240"), and they are what tells a service that is
// not published from one that does not answer.
package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Refusal is the answer of a SOCKS port that has no stream for us.
type Refusal struct {
	// Code is the reply of RFC 1928, or Tor's own (proposal 304, flag
	// ExtendedErrors).
	Code byte
}

// words say the codes that Tor answers (Tor's socks5_status.h).
var words = map[byte]string{
	0x01: "general failure",
	0x02: "not allowed by its configuration",
	0x03: "network unreachable",
	0x04: "host unreachable",
	0x05: "connection refused",
	0x06: "timed out",
	0x07: "command not supported",
	0x08: "address type not supported",
	0xf0: "the onion service's descriptor was not found",
	0xf1: "the onion service's descriptor is invalid",
	0xf2: "no introduction point of the onion service took the request",
	0xf3: "the rendezvous with the onion service failed",
	0xf4: "the onion service wants client authorization",
	0xf5: "the onion service refused the client authorization",
	0xf6: "not a valid onion address",
	0xf7: "the introduction to the onion service timed out",
}

// Error implements error; it names no address.
func (r *Refusal) Error() string {
	w, ok := words[r.Code]
	if !ok {
		w = "unknown reason"
	}
	return fmt.Sprintf("tor's SOCKS port: %s (%02x)", w, r.Code)
}

// errAnswer is what does not follow RFC 1928 and RFC 1929.
var errAnswer = errors.New("malformed answer of the SOCKS port")

// Dial opens a stream to host:port as Open does, through the SOCKS port at address ("unix" or "tcp").
func Dial(ctx context.Context, network, address, user, host string, port int) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("socks: %w", err)
	}
	return Open(ctx, c, user, host, port)
}

// Open makes of c, a connection to a SOCKS port, a stream to host:port, in one attempt. If it fails, c is closed. Streams of
// different users never share a circuit (IsolateSOCKSAuth); user has up to 255 bytes and may be "". ctx bounds the opening, not
// the stream. A *Refusal can be told apart.
func Open(ctx context.Context, c net.Conn, user, host string, port int) (net.Conn, error) {
	if len(user) > 255 || len(host) == 0 || len(host) > 255 || port < 1 || port > 65535 {
		c.Close()
		return nil, fmt.Errorf("socks: a user of %d bytes, a host of %d or port %d does not fit", len(user), len(host), port)
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := connect(c, user, host, port)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("socks: %w", err)
	}
	return c, nil
}

// connect speaks SOCKS 5, with a user name if there is one (RFC 1928, RFC
// 1929). It reads the answers and not one byte more.
func connect(c io.ReadWriter, user, host string, port int) error {
	const version, connectTo, none, userPass, domain = 5, 1, 0, 2, 3
	method := byte(none)
	if user != "" {
		method = userPass
	}
	in, err := exchange(c, []byte{version, 1, method}, 2)
	if err != nil {
		return err
	}
	if in[0] != version || in[1] != method {
		return fmt.Errorf("%w: method %x", errAnswer, in)
	}
	if user != "" {
		login := append([]byte{1, byte(len(user))}, user...)
		if in, err = exchange(c, append(login, 1, 'x'), 2); err != nil {
			return err
		}
		if in[1] != 0 {
			return fmt.Errorf("%w: login %x", errAnswer, in)
		}
	}
	request := append([]byte{version, connectTo, 0, domain, byte(len(host))}, host...)
	if in, err = exchange(c, append(request, byte(port>>8), byte(port)), 5); err != nil {
		return err
	}
	// The fifth byte is the first of the address that follows, or its length.
	rest := 0
	switch in[3] {
	case 1:
		rest = net.IPv4len - 1
	case domain:
		rest = int(in[4])
	case 4:
		rest = net.IPv6len - 1
	default:
		return fmt.Errorf("%w: %x", errAnswer, in)
	}
	if in[0] != version {
		return fmt.Errorf("%w: %x", errAnswer, in)
	}
	if in[1] != 0 {
		return &Refusal{Code: in[1]}
	}
	_, err = exchange(c, nil, rest+2) // and the port
	return err
}

// exchange writes out and reads size bytes.
func exchange(c io.ReadWriter, out []byte, size int) ([]byte, error) {
	if len(out) > 0 {
		if _, err := c.Write(out); err != nil {
			return nil, err
		}
	}
	in := make([]byte, size)
	_, err := io.ReadFull(c, in)
	return in, err
}
