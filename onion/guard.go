package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/isolation"
)

// smallRuntime has Go's runtime be small in a guard or a dialer, and not look at the limits of its control group again and again, which it may not.
var smallRuntime = []string{"GOMAXPROCS=1", "GOGC=10", "GODEBUG=containermaxprocs=0,updatemaxprocs=0"}

// becomeGuard passes on what server and Tor say to each other, as the relay of both, until one of them has ended. It
// keeps nothing but these two connections; who ends it ends the channel, and Tor with it. Its alarm is text or JSON, as it was told
// at its start, before anybody could have taken over the server. The error is that of the start.
func becomeGuard(json bool) error {
	// A terminal or a service manager may signal all processes at once. The server ends first, and in order.
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	server, err := inherited(serverFD)
	if err != nil {
		return err
	}
	tor, err := inherited(controlFD)
	if err != nil {
		return err
	}
	if err := errors.Join(isolation.NoDumps(), isolation.Apply(isolation.Rules{Closed: true})); err != nil {
		return err
	}
	unix.Close(resultFD)
	var first sync.Once
	newRelay(server, tor, func(why refusal) { first.Do(func() { os.Stderr.Write(alarm(why, time.Now(), json)) }) }).run()
	return nil
}

// alarm is the line that says once that a command was refused, in the form of the server's log. It goes where that goes, and not
// through the server: that never sends such a command, unless somebody else has taken it over.
func alarm(why refusal, now time.Time, json bool) []byte {
	const msg = "the guard of the control channel refused a command to Tor: somebody may have taken over this server"
	form := "time=%[1]q level=warning msg=%[2]q reason=%[3]q\n"
	if json { // all of it is plain text, which Go and JSON quote alike
		form = `{"level":"warning","msg":%[2]q,"reason":%[3]q,"time":%[1]q}` + "\n"
	}
	return fmt.Appendf(nil, form, now.UTC().Format(time.RFC3339), msg, why)
}

// inherited is a connection that we were started with.
func inherited(fd uintptr) (net.Conn, error) {
	f := os.NewFile(fd, "inherited")
	defer f.Close() // FileConn duplicates it
	return net.FileConn(f)
}

// guarded takes the control channel conn and returns one that leads there through a guard, a process of its own. Without
// confinement, that is conn.
func (s *Service) guarded(conn net.Conn) (net.Conn, error) {
	if s.config.Confine == Unconfined {
		return conn, nil
	}
	ours, err := s.startGuard(conn)
	switch {
	case err == nil:
		conn.Close() // the guard has it
		return ours, nil
	case s.config.Confine == ConfineRequire:
		conn.Close()
		return nil, fmt.Errorf("guard of the control channel: %w", err)
	default:
		s.log("warn", fmt.Sprintf("the control channel has no guard: who takes over this process commands Tor: %v", err))
		return conn, nil
	}
}

func (s *Service) startGuard(conn net.Conn) (net.Conn, error) {
	socket, ok := conn.(interface{ File() (*os.File, error) }) // TCP or unix
	if !ok {
		return nil, fmt.Errorf("%T is no socket", conn)
	}
	tor, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer tor.Close()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	args := []string{becomingGuard}
	if s.config.JSONAlarm {
		args = append(args, inJSON)
	}
	s.guard, err = startSelf(args, smallRuntime, []*os.File{tor, theirs}, os.Stderr, nil)
	if err != nil {
		ours.Close()
		unix.SetNonblock(int(tor.Fd()), true) // to start it may have changed that, for conn as well
		return nil, err
	}
	return ours, nil
}

// order has the guard pass on, from now on, no more than what a service that has started tells its Tor.
func (s *Service) order(ctx context.Context) error {
	if s.guard == nil {
		return nil
	}
	return s.control.order(ctx, s.commands())
}

// guardEnded is how the guard has ended, if not in order.
func (s *Service) guardEnded() error {
	if s.guard == nil {
		return nil
	}
	select {
	case <-s.guard.Ended():
		return s.guard.Wait()
	case <-time.After(haltWait):
		return nil
	}
}
