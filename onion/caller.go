package onion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// dialerWait is how long the dialer may take for one connection: it tries few ports, all of this host.
const dialerWait = 30 * time.Second

// A caller has a dialer, another process, connect to the SOCKS port: so this one need not connect to anything any more. It asks over
// a pipe, and accepts on a socket of its own what it is brought.
type caller struct {
	ended    <-chan struct{} // the dialer's end
	whyEnded func() error
	stop     func() // wait for the dialer's end
	requests *os.File
	brought  *net.UnixListener
	turn     chan struct{} // one request at a time
}

// callDialer starts the dialer, where this process is to give up connecting by itself: in front of any Tor but one in it. Where
// it connects to is what is there now. Config.Confine says whether there must be one.
func (s *Service) callDialer(ctx context.Context) error {
	if s.config.Confine == Unconfined || s.proc != nil && s.PID() == 0 {
		return nil
	}
	ports, err := s.socksPorts(ctx)
	if errors.Is(err, ErrNoDial) {
		s.noDial = err
		return nil
	}
	if err != nil {
		return err
	}
	s.caller, err = s.startDialer(ports)
	switch {
	case err == nil:
		return nil
	case s.config.Confine == ConfineRequire:
		return fmt.Errorf("dialer: %w", err)
	default:
		s.log("warn", fmt.Sprintf("there is no dialer: this process connects to Tor's SOCKS port by itself, and who takes it over to other unix sockets: %v", err))
		return nil
	}
}

func (s *Service) startDialer(ports []socksPort) (*caller, error) {
	brought, err := s.runtime.listen(dialedSocket)
	if err != nil {
		return nil, err
	}
	told, err := json.Marshal(dialing{Ports: ports, Caller: brought.Addr().String()})
	if err != nil {
		return nil, errors.Join(err, brought.Close())
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, brought.Close())
	}
	defer theirs.Close()
	process, err := startSelf([]string{becomingDialer, string(told)}, smallRuntime, []*os.File{theirs}, os.Stderr, nil)
	if err != nil {
		return nil, errors.Join(err, brought.Close(), ours.Close())
	}
	c := newCaller(ours, brought, process.Ended())
	c.whyEnded, c.stop = process.Wait, func() { process.Stop(exitWait) } // it ends with the pipe
	return c, nil
}

func newCaller(requests *os.File, brought *net.UnixListener, ended <-chan struct{}) *caller {
	return &caller{ended: ended, requests: requests, brought: brought, turn: make(chan struct{}, 1)}
}

// connect returns a connection to the SOCKS port.
func (c *caller) connect(ctx context.Context) (net.Conn, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	wait, cancel := context.WithTimeout(ctx, dialerWait)
	c.setDeadline(time.Time{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-wait.Done():
		case <-c.ended:
		}
		c.setDeadline(time.Unix(1, 0))
	}()
	defer func() { cancel(); <-watched }()

	conn, err := c.fetch(wait)
	if err == nil {
		return conn, nil
	}
	if errors.Is(err, syscall.EPIPE) { // nobody but the dialer reads: it has ended, and is to be waited for yet
		select {
		case <-c.ended:
		case <-wait.Done():
		}
	}
	select {
	case <-c.ended:
		return nil, errors.Join(errors.New("the dialer has ended, and comes back with a restart of this server"), c.whyEnded())
	default:
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("dialer: %w", err)
}

func (c *caller) setDeadline(t time.Time) {
	c.requests.SetWriteDeadline(t)
	c.brought.SetDeadline(t)
}

// fetch asks for a connection and takes it. What comes for a request that was given up is closed.
func (c *caller) fetch(ctx context.Context) (net.Conn, error) {
	t := newTicket()
	if _, err := c.requests.Write(t[:]); err != nil {
		return nil, err
	}
	for {
		conn, err := c.brought.AcceptUnix()
		if err != nil {
			return nil, err
		}
		ours, err := t.read(ctx, conn)
		if ours && err == nil {
			return conn, nil
		}
		conn.Close()
		if ours {
			return nil, err
		}
	}
}

// read reads the answer on conn, and says whether it is that to t. The error is why there is no connection.
func (t ticket) read(ctx context.Context, conn net.Conn) (ours bool, err error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	var head [len(t) + 1]byte
	_, err = io.ReadFull(conn, head[:])
	ours = err == nil && ticket(head[:len(t)]) == t
	reason := make([]byte, head[len(t)])
	if ours {
		_, err = io.ReadFull(conn, reason)
	}
	switch {
	case !stop():
		return true, ctx.Err()
	case err != nil || len(reason) == 0:
		return ours, err
	default:
		return ours, errors.New(string(reason))
	}
}

// close has the dialer end, and with it all streams that it brought.
func (c *caller) close() error {
	err := errors.Join(c.requests.Close(), c.brought.Close())
	c.stop()
	return err
}
