package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
	"jm-directory-server/server"
)

// What the service manager is told, see sd_notify(3).
const (
	// startExtension is how much longer than now the start may take: told again and again until READY.
	startExtension = time.Minute
	// stopExtension is what stopping may take on top of shutdown_timeout: Tor's own end, and then diskPatience.
	stopExtension = 20 * time.Second
)

// A notifier tells the service manager ($NOTIFY_SOCKET, sd_notify(3)) how the server is. Without one it does
// nothing. Its methods may be called from any goroutine. The connection ends with the process.
type notifier struct {
	log   logrus.FieldLogger
	ready atomic.Bool
	deaf  atomic.Bool // the failure was logged

	mu   sync.Mutex
	conn *net.UnixConn // nil: not connected
}

// tell sends assignments such as "READY=1", all in one message.
func (n *notifier) tell(assignments ...string) {
	message := []byte(strings.Join(assignments, "\n"))
	err := n.send(message)
	if err != nil { // it may be another one now; an isolated server cannot connect to that
		n.disconnect()
		err = n.send(message)
	}
	if err != nil && !n.deaf.Swap(true) {
		n.log.WithError(err).Warn("the service manager cannot be told how the server is")
	}
}

func (n *notifier) send(message []byte) error {
	conn, err := n.connect()
	if conn != nil {
		_, err = conn.Write(message)
	}
	return err
}

// connect returns the connection to the service manager, which is kept: an isolated server makes no other. It is nil without a
// service manager.
func (n *notifier) connect() (*net.UnixConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := os.Getenv("NOTIFY_SOCKET")
	if n.conn != nil || name == "" {
		return n.conn, nil
	}
	var err error
	n.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	return n.conn, err
}

func (n *notifier) disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		n.conn.Close()
		n.conn = nil
	}
}

// up says that clients can find the directory.
func (n *notifier) up() {
	n.ready.Store(true)
	n.tell(sd.SdNotifyReady, status("directory is up"))
}

// starting asks for more time until READY.
func (n *notifier) starting() { n.tell(microseconds("EXTEND_TIMEOUT_USEC", startExtension)) }

// bootstrapping says how far Tor has come, and what the operator should do if it does not.
func (n *notifier) bootstrapping(p onion.Progress) {
	switch {
	case n.ready.Load():
	case p.Advice != "":
		n.tell(status(fmt.Sprintf("Tor: %d %%: %s", p.Percent, p.Advice)))
	default:
		n.tell(status(fmt.Sprintf("Tor: %d %%: %s", p.Percent, p.Summary)))
	}
}

// peers says who is there, in numbers.
func (n *notifier) peers(st server.Status) {
	if n.ready.Load() {
		n.tell(status(fmt.Sprintf("%d of %d peers, %d of them makers, and %d in handshake", st.Peers, st.MaxPeers, st.Makers, st.Handshaking)))
	}
}

// reload calls f between RELOADING and READY. Before the first READY there is nothing to take back, and the new
// one would be premature.
func (n *notifier) reload(f func() string) {
	was := n.ready.Load()
	if was {
		var now unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it cannot fail with this clock
		n.tell(sd.SdNotifyReloading, microseconds("MONOTONIC_USEC", time.Duration(now.Nano())))
	}
	if result := status(f()); was {
		n.tell(sd.SdNotifyReady, result)
	}
}

// stopping says that the server ends, and how long that may take.
func (n *notifier) stopping(most time.Duration) {
	n.tell(sd.SdNotifyStopping, microseconds("EXTEND_TIMEOUT_USEC", most+stopExtension), status("stopping"))
}

// status is one line for people.
func status(text string) string { return "STATUS=" + cleanText(text, maxLogText) }

func microseconds(name string, d time.Duration) string {
	return name + "=" + strconv.FormatInt(d.Microseconds(), 10)
}
