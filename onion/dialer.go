package onion

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/isolation"
)

const (
	// maxDialed is how many streams a dialer has open at once: twice what a directory needs.
	maxDialed = 64
	// socksWait is how long a SOCKS port of this host may take to accept.
	socksWait = 5 * time.Second
	// passSize is how much of a stream is passed on at once, in bytes.
	passSize = 16 << 10
)

// A ticket is a request for a connection. It is a random number and says nothing else: where a dialer connects to, it was told at
// its start, before anybody could have taken over who asks it.
type ticket [16]byte

func newTicket() (t ticket) {
	rand.Read(t[:]) // never fails
	return t
}

// answer is what a dialer begins the connection for a ticket with. With a reason, of up to 255 bytes, the connection ends behind it;
// without, it leads to the SOCKS port.
func (t ticket) answer(reason string) []byte {
	reason = reason[:min(len(reason), 255)]
	return append(append(t[:], byte(len(reason))), reason...)
}

// dialing is what our program is told when it is to become a dialer.
type dialing struct {
	Ports  []socksPort // at least one; the first that accepts is taken
	Caller string      // the unix socket to bring connections to
}

// rules are what a dialer may do: connect there, and use what it has.
func (d dialing) rules() isolation.Rules {
	r := isolation.Rules{Sockets: []string{d.Caller}}
	for _, p := range d.Ports {
		if p.Network == "unix" {
			r.Sockets = append(r.Sockets, p.Address)
		} else {
			r.Ports = append(r.Ports, p.port())
		}
	}
	return r
}

// becomeDialer connects for our parent, until that ends or closes the pipe. The error is that of the start.
func becomeDialer(told string) error {
	var d dialing
	if err := json.Unmarshal([]byte(told), &d); err != nil {
		return err
	}
	// A terminal or a service manager may signal all processes at once. The server ends first, and in order.
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	if err := errors.Join(isolation.NoDumps(), isolation.Apply(d.rules())); err != nil {
		return err
	}
	unix.Close(resultFD)
	newDialer(d).run(os.NewFile(requestsFD, "requests"))
	return nil
}

// A dialer opens connections to Tor's SOCKS port for a caller that may connect to nothing, and brings them to it.
type dialer struct {
	dialing
	slots chan struct{}
	work  sync.WaitGroup
}

func newDialer(d dialing) *dialer { return &dialer{dialing: d, slots: make(chan struct{}, maxDialed)} }

// run reads tickets and answers them until there are no more. Then all streams end.
func (d *dialer) run(requests io.Reader) {
	life, cancel := context.WithCancel(context.Background())
	defer d.work.Wait()
	defer cancel()
	for {
		var t ticket
		if _, err := io.ReadFull(requests, t[:]); err != nil {
			return
		}
		select {
		case d.slots <- struct{}{}:
			d.work.Go(func() {
				defer func() { <-d.slots }()
				d.serve(life, t)
			})
		default:
			d.refuse(life, t, fmt.Errorf("%d streams are open", maxDialed))
		}
	}
}

// serve brings a connection for t, and passes on what is said on it until it ends. A caller that cannot be reached gets nothing.
func (d *dialer) serve(life context.Context, t ticket) {
	tor, err := d.connect(life)
	if err != nil {
		d.refuse(life, t, err)
		return
	}
	defer tor.Close()
	if caller, err := d.bring(life, t, ""); err == nil {
		join(life, caller, tor)
	}
}

// connect opens a connection to the SOCKS port.
func (d *dialer) connect(life context.Context) (net.Conn, error) {
	var failed error
	for _, p := range d.Ports {
		c, err := dialHere(life, p)
		if err == nil {
			return c, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// refuse says why there is no connection for t.
func (d *dialer) refuse(life context.Context, t ticket, why error) {
	if c, err := d.bring(life, t, why.Error()); err == nil {
		c.Close()
	}
}

// bring connects to the caller and answers t.
func (d *dialer) bring(life context.Context, t ticket, reason string) (net.Conn, error) {
	c, err := dialHere(life, socksPort{"unix", d.Caller})
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(t.answer(reason)); err != nil { // the socket has room for it
		c.Close()
		return nil, err
	}
	return c, nil
}

// dialHere connects to what listens on this host.
func dialHere(life context.Context, p socksPort) (net.Conn, error) {
	return (&net.Dialer{Timeout: socksWait}).DialContext(life, p.Network, p.Address)
}

// join passes on what two connections say to each other, and closes both when one of them or life has ended.
func join(life context.Context, a, b net.Conn) {
	end := sync.OnceFunc(func() { a.Close(); b.Close() })
	defer context.AfterFunc(life, end)()
	var work sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		work.Go(func() {
			defer end()
			// Without the connections' own ways to copy, which take pipes.
			io.CopyBuffer(struct{ io.Writer }{way[0]}, struct{ io.Reader }{way[1]}, make([]byte, passSize))
		})
	}
	work.Wait()
}
