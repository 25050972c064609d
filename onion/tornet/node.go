package tornet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cretz/bine/control"

	"jm-directory-server/onion/internal/owned"
)

// Node is one Tor of the network.
type Node struct {
	// Name is its nickname and the name of its directory.
	Name string

	dir                        string
	orPort, dirPort, socksPort int
	proc                       *owned.Process
}

// ControlSocket is the path of the node's control socket; it takes anybody who
// can enter the directory.
func (nd *Node) ControlSocket() string { return filepath.Join(nd.dir, "c") }

// PID is the node's process id.
func (nd *Node) PID() int { return nd.proc.PID() }

// SOCKS is the address of a client's SOCKS port.
func (nd *Node) SOCKS() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(nd.socksPort)) }

// Close ends the node.
func (nd *Node) Close() {
	if nd.proc != nil {
		nd.proc.Stop(0)
	}
}

func (nd *Node) logFile() string { return filepath.Join(nd.dir, "log") }

// run starts the process with the given torrc lines and those every node has.
func (nd *Node) run(tor string, torrc []string) error {
	if len(nd.ControlSocket()) > 107 {
		return fmt.Errorf("%s: %s is too long for a socket: choose a shorter directory", nd.Name, nd.ControlSocket())
	}
	torrc = append(torrc,
		"DataDirectory "+nd.dir,
		"ControlSocket "+nd.ControlSocket(),
		"ControlPort 0",
		"Log notice stdout",
		fmt.Sprintf("__OwningControllerProcess %d", os.Getpid()),
	)
	file := filepath.Join(nd.dir, "torrc")
	if err := os.WriteFile(file, []byte(strings.Join(torrc, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("%s: %w", nd.Name, err)
	}
	log, err := os.OpenFile(nd.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", nd.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(tor, "-f", file, "--defaults-torrc", os.DevNull)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = log, log
	if nd.proc, err = owned.Start(cmd); err != nil {
		return fmt.Errorf("%s: start tor: %w", nd.Name, err)
	}
	return nil
}

// tailLines is how much of a log goes into an error.
const tailLines = 8

// tail is the end of the node's log.
func (nd *Node) tail() string {
	b, err := os.ReadFile(nd.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return nd.Name + ": " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n"+nd.Name+": ")
}

// alive is an error that shows the log if the node has ended.
func (nd *Node) alive() error {
	select {
	case <-nd.proc.Ended():
	default:
		return nil
	}
	tail := nd.tail()
	if strings.Contains(tail, "Address already in use") {
		return fmt.Errorf("%w\n%s", errPortTaken, tail)
	}
	return fmt.Errorf("%s ended: %v\n%s", nd.Name, nd.proc.Wait(), tail)
}

// waitListening waits until the node has opened its port and, behind it, its control socket.
func (nd *Node) waitListening(ctx context.Context) error {
	port := []byte("Opened OR listener connection (ready)")
	if nd.orPort == 0 {
		port = []byte("Opened Socks listener connection (ready)")
	}
	socket := []byte("Opened Control listener connection (ready)")
	for {
		if b, err := os.ReadFile(nd.logFile()); err == nil && bytes.Contains(b, port) && bytes.Contains(b, socket) {
			return nil
		}
		if err := nd.alive(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w\n%s", nd.Name, ctx.Err(), nd.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waitBootstrap waits for 100 %.
func (nd *Node) waitBootstrap(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", nd.ControlSocket())
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", nd.Name, err, nd.tail())
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer conn.Close()
	c := control.NewConn(textproto.NewConn(conn))
	if err := c.Authenticate(""); err != nil {
		return fmt.Errorf("%s: %w\n%s", nd.Name, errors.Join(err, ctx.Err()), nd.tail())
	}
	for {
		r, err := c.SendRequest("GETINFO status/bootstrap-phase")
		if err != nil {
			return fmt.Errorf("%s: bootstrap: %w\n%s", nd.Name, errors.Join(err, ctx.Err()), nd.tail())
		}
		if strings.Contains(strings.Join(r.Data, " "), "PROGRESS=100 ") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w\n%s", nd.Name, r.Data, ctx.Err(), nd.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
