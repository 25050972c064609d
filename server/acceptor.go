package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// An acceptor takes connections off a listener. Those of a plain listener it takes from the kernel directly: package net would
// first put each into its own epoll set, and ask for its name, all to be undone at once.
type acceptor struct {
	net.Listener
	poller *poller
	file   *os.File        // the listener's socket, once more, of which package net lets us wait for connections; nil: it is not plain
	raw    syscall.RawConn // of file
}

// newAcceptor closes l if it fails, with the error of the system.
func newAcceptor(l net.Listener, p *poller) (*acceptor, error) {
	a := &acceptor{Listener: l, poller: p}
	switch l.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return a, nil
	}
	raw, err := l.(syscall.Conn).SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) { err = a.share(int(fd), l.Addr().Network() == "tcp") })
		err = errors.Join(err, cerr)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listener: %w", err)
	}
	return a, nil
}

// share makes the acceptor's file of the listener's socket.
func (a *acceptor) share(fd int, tcp bool) error {
	if tcp {
		// What is accepted has it from there. Frames are gathered by the flushers, not by the kernel.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	a.file = os.NewFile(uintptr(own), "listener")
	a.raw, err = a.file.SyscallConn()
	return err
}

// next waits for a connection. from is what the listener made of it, if it made anything. When the connection could not be
// taken, t is nil and refused says why, as newSocket. err is the listener's.
func (a *acceptor) next() (t *socket, from any, refused, err error) {
	if a.file == nil {
		conn, err := a.Accept()
		if err != nil {
			return nil, nil, nil, err
		}
		t, refused = newSocket(a.poller, conn)
		return t, conn, refused, nil
	}
	fd, err := a.accept()
	if err != nil {
		return nil, nil, nil, err
	}
	t, refused = a.poller.socket(fd)
	return t, nil, refused, nil
}

// accept waits for a connection and returns its descriptor.
func (a *acceptor) accept() (fd int, err error) {
	var errno unix.Errno
	err = a.raw.Read(func(listening uintptr) bool {
		for {
			var r uintptr
			r, _, errno = unix.Syscall6(unix.SYS_ACCEPT4, listening, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
			fd = int(r)
			if errno != unix.EINTR && errno != unix.ECONNABORTED {
				return errno != unix.EAGAIN
			}
		}
	})
	switch {
	case errors.Is(err, os.ErrClosed):
		return -1, net.ErrClosed
	case err == nil && errno != 0:
		return -1, os.NewSyscallError("accept4", errno)
	}
	return fd, err
}

// Close ends next, and the listener.
func (a *acceptor) Close() error {
	err := a.Listener.Close()
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
	}
	return err
}
