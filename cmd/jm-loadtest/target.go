package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

// The bounds of a probe through Tor: an onion may be somebody else's, and its circuits are everybody's.
const (
	maxOnionPeers    = 20
	maxOnionRate     = 10 // messages a second, of all peers together, handshakes included
	maxOnionDuration = 10 * time.Minute
)

// A target is where the directory is. Exactly one of the three forms is set.
type target struct {
	tcp  netip.AddrPort // loopback
	path string         // unix socket
	host string         // v3 onion, with port
	port uint16
}

// onion reports whether the target is reached through Tor.
func (t target) onion() bool { return t.host != "" }

// String returns the target as on the command line.
func (t target) String() string {
	switch {
	case t.path != "":
		return "unix:" + t.path
	case t.onion():
		return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
	}
	return t.tcp.String()
}

// notLoopback says what this tool may be pointed at.
const notLoopback = "only a directory on this machine can be loaded: 127.0.0.0/8, [::1] or unix:PATH"

// onionBounds says under which conditions an onion may be named.
var onionBounds = fmt.Sprintf("a probe of an onion needs --socks and --rate, and is bounded: --rate at most %d a second, --peers at most %d, --duration at most %s",
	maxOnionRate, maxOnionPeers, maxOnionDuration)

// parseTarget reads what --target takes: 127.0.0.1:PORT, [::1]:PORT, unix:PATH, or ONION:PORT. Names are not
// resolved, so that nothing but loopback can come out.
func parseTarget(s string) (target, error) {
	t, err := parseLocal(s)
	if err == nil {
		return t, nil
	}
	if host, _, ok := strings.Cut(s, ":"); ok && strings.HasSuffix(strings.ToLower(host), ".onion") {
		l, err := wire.ParseLocation(s, false)
		if err != nil {
			return target{}, fmt.Errorf("target %q: not a v3 onion with a port", s)
		}
		return target{host: l.Host, port: l.Port}, nil
	}
	return target{}, fmt.Errorf("target %w; %s", err, onionBounds)
}

// parseLocal reads an address on this machine.
func parseLocal(s string) (target, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || len(path) > 107 {
			return target{}, fmt.Errorf("%q: the path of a unix socket has 1 to 107 bytes", s)
		}
		return target{path: path}, nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return target{}, fmt.Errorf("%q is no address with a port, and names are not resolved: %s", s, notLoopback)
	}
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	switch {
	case !a.Addr().IsLoopback() || a.Addr().Zone() != "":
		return target{}, fmt.Errorf("%q refused: %s", s, notLoopback)
	case a.Port() == 0:
		return target{}, fmt.Errorf("%q: port 0", s)
	}
	return target{tcp: a}, nil
}

// connectTimeout bounds one connection attempt to something on this machine.
const connectTimeout = 10 * time.Second

// peersPerSource is how many connections leave from one loopback address before the next one is used: a port
// range has 28 000 ports by default, and those of connections that ended are not free at once.
const peersPerSource = 4096

// dial connects peer i to the target and returns a non-blocking socket. To an onion it goes through socks, on a
// circuit of its own.
func (t target) dial(ctx context.Context, i int, socks target) (int, error) {
	switch {
	case t.onion():
		return dialOnion(ctx, t, socks, "peer-"+strconv.Itoa(i)+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	case t.path != "":
		return dialSocket(ctx, unix.AF_UNIX, nil, &unix.SockaddrUnix{Name: t.path})
	case t.tcp.Addr().Is4():
		var from unix.Sockaddr
		if n := i / peersPerSource % 200; n > 0 { // binding takes time, which the first ones need not spend
			from = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + n)}}
		}
		return dialSocket(ctx, unix.AF_INET, from, &unix.SockaddrInet4{Addr: t.tcp.Addr().As4(), Port: int(t.tcp.Port())})
	}
	return dialSocket(ctx, unix.AF_INET6, nil, &unix.SockaddrInet6{Addr: t.tcp.Addr().As16(), Port: int(t.tcp.Port())})
}

// dialSocket connects a non-blocking stream socket.
func dialSocket(ctx context.Context, family int, from, to unix.Sockaddr) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	if family != unix.AF_UNIX {
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fd, os.NewSyscallError("setsockopt", err)
		}
	}
	if from != nil {
		// The port is chosen at connect, where it need not be free for all targets.
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err == nil {
			err = unix.Bind(fd, from)
		}
		if err != nil {
			return fd, os.NewSyscallError("bind", err)
		}
	}
	for end := time.Now().Add(connectTimeout); ; {
		err = unix.Connect(fd, to)
		switch {
		case err == nil || errors.Is(err, unix.EISCONN):
			return fd, nil
		case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.EALREADY), errors.Is(err, unix.EINTR):
			if _, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100); perr != nil && !errors.Is(perr, unix.EINTR) {
				return fd, os.NewSyscallError("poll", perr)
			}
		case errors.Is(err, unix.EAGAIN): // a unix socket whose queue of connections is full
			time.Sleep(time.Millisecond)
		default:
			return fd, os.NewSyscallError("connect", err)
		}
		if err = ctx.Err(); err == nil && time.Now().After(end) {
			err = os.NewSyscallError("connect", unix.ETIMEDOUT)
		}
		if err != nil {
			return fd, err
		}
	}
}
