package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// circuitTimeout bounds the way to an onion: descriptor, introduction, rendezvous.
const circuitTimeout = 120 * time.Second

// dialOnion connects to an onion through the SOCKS port of a Tor on this machine. Streams with different users never
// share a circuit (tor, IsolateSOCKSAuth). It returns a non-blocking socket.
func dialOnion(ctx context.Context, t, socks target, user string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, circuitTimeout)
	defer cancel()
	network, address := "tcp", socks.tcp.String()
	if socks.path != "" {
		network, address = "unix", socks.path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return -1, fmt.Errorf("socks: %w", err)
	}
	defer conn.Close() // the socket lives on in the copy
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := socksConnect(conn, user, t.host, t.port); err != nil {
		return -1, fmt.Errorf("socks: %w", errors.Join(err, ctx.Err()))
	}
	return copyDescriptor(conn)
}

// copyDescriptor returns a non-blocking copy of a connection's descriptor, which stays open when conn is closed.
func copyDescriptor(conn net.Conn) (int, error) {
	c, ok := conn.(interface{ File() (*os.File, error) })
	if !ok {
		return -1, fmt.Errorf("%T is not a socket", conn)
	}
	f, err := c.File()
	if err != nil {
		return -1, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("dup", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// errSOCKS is an answer that RFC 1928 does not have, or a refusal.
var errSOCKS = errors.New("connection refused by the SOCKS server")

// socksConnect speaks SOCKS 5 with a user name (RFC 1928, RFC 1929).
func socksConnect(c io.ReadWriter, user, host string, port uint16) error {
	const userPass, connect, domain = 2, 1, 3
	exchange := func(out []byte, size int, good func([]byte) bool) error {
		if _, err := c.Write(out); err != nil {
			return err
		}
		in := make([]byte, size)
		if _, err := io.ReadFull(c, in); err != nil {
			return err
		}
		if !good(in) {
			return fmt.Errorf("%w: answer %x", errSOCKS, in)
		}
		return nil
	}
	if err := exchange([]byte{5, 1, userPass}, 2, func(r []byte) bool { return r[0] == 5 && r[1] == userPass }); err != nil {
		return err
	}
	login := append([]byte{1, byte(len(user))}, user...)
	login = append(login, 1, 'x')
	if err := exchange(login, 2, func(r []byte) bool { return r[1] == 0 }); err != nil {
		return err
	}
	request := append([]byte{5, connect, 0, domain, byte(len(host))}, host...)
	request = append(request, byte(port>>8), byte(port))
	// Tor answers with an IPv4 address of zeros, ten bytes in all.
	return exchange(request, 10, func(r []byte) bool { return r[0] == 5 && r[1] == 0 && r[3] == 1 })
}
