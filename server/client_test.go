package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"jm-directory-server/server/wire"
)

func TestMain(m *testing.M) {
	poisonFrames.Store(true)
	goleak.VerifyTestMain(m)
}

// patience bounds every wait for something that must come. It is long, for machines that have much else to do: a
// write to a unix socket that was full goes on only when three quarters of its buffer have been read.
const patience = time.Minute

// quiet is how long nothing must come where nothing may come.
const quiet = 100 * time.Millisecond

// testNick returns the i-th of many valid nicks.
func testNick(i int) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	b := []byte("J511111111111111")
	for k := len(b) - 1; i > 0; k-- {
		b[k] = alphabet[i%58]
		i /= 58
	}
	return string(b)
}

// testLocation returns the i-th of many valid locations.
func testLocation(i int) wire.Location {
	key := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	sum := sha3.Sum256(append(append([]byte(".onion checksum"), key[:]...), 3))
	host := base32.StdEncoding.EncodeToString(append(append(key[:], sum[:2]...), 3))
	return wire.Location{Host: strings.ToLower(host) + ".onion", Port: 5222}
}

func quietLogger() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

// newServer makes a server that ends with the test.
func newServer(tb testing.TB, change func(*Options)) *Server {
	tb.Helper()
	o := DefaultOptions()
	o.ShutdownTimeout = time.Second
	if change != nil {
		change(&o)
	}
	s, err := New(o, quietLogger())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// listen has s serve on a unix socket and returns how to reach it.
func listen(tb testing.TB, s *Server) net.Addr {
	tb.Helper()
	dir, err := os.MkdirTemp("", "jmds") // short: socket paths have 108 bytes
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, s, l)
}

// listenTCP is listen on loopback TCP.
func listenTCP(tb testing.TB, s *Server) net.Addr {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, s, l)
}

func serveOn(tb testing.TB, s *Server, l net.Listener) net.Addr {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return l.Addr()
}

// client is one end of a connection to a server under test.
type client struct {
	tb   testing.TB
	conn net.Conn
	r    *bufio.Reader
	p    wire.Parser
	nick string
	dn   wire.DirectoryHello
}

func dial(tb testing.TB, addr net.Addr) *client {
	tb.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &client{tb: tb, conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
}

// handshakeOf is a client's 793 payload.
func handshakeOf(nick string, l wire.Location, features ...string) string {
	return string(wire.Handshake{Nick: nick, Location: l, Network: "mainnet", Features: features}.AppendLine(nil))
}

// join connects and completes the handshake.
func join(tb testing.TB, addr net.Addr, nick string, l wire.Location, features ...string) *client {
	tb.Helper()
	c := dial(tb, addr)
	c.nick = nick
	c.send(wire.ClientHandshake, handshakeOf(nick, l, features...))
	e := c.expect(wire.DirectoryHandshake)
	hello, err := wire.ParseDirectoryHello([]byte(e))
	if err != nil || !hello.Accepted {
		tb.Fatalf("handshake of %s: %v, %s", nick, err, e)
	}
	c.dn = hello
	return c
}

func (c *client) raw(b string) {
	c.tb.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, b); err != nil {
		c.tb.Fatalf("write: %v", err)
	}
}

func (c *client) send(t wire.Type, line string) {
	c.tb.Helper()
	b, err := wire.AppendEnvelope(nil, t, []byte(line))
	if err != nil {
		c.tb.Fatal(err)
	}
	c.raw(string(b))
}

func (c *client) public(body string) { c.tb.Helper(); c.send(wire.Pubmsg, c.nick+"!PUBLIC!"+body) }
func (c *client) private(to, body string) {
	c.tb.Helper()
	c.send(wire.Privmsg, c.nick+"!"+to+"!"+body)
}
func (c *client) close()                          { c.conn.Close() }
func entryOf(nick string, l wire.Location) string { return nick + ";" + l.String() }

// line returns the next raw line with its delimiter.
func (c *client) line(wait time.Duration) ([]byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(wait))
	b, err := c.r.ReadSlice('\n')
	if err == nil && !bytes.HasSuffix(b, []byte("\r\n")) {
		c.tb.Errorf("line %q does not end in CR LF", b)
	}
	if len(b) > wire.MaxLine+2 {
		c.tb.Errorf("line of %d bytes", len(b))
	}
	return b, err
}

// next returns the next message.
func (c *client) next(wait time.Duration) (wire.Type, string, error) {
	b, err := c.line(wait)
	if err != nil {
		return 0, "", err
	}
	e, err := c.p.Parse(bytes.TrimSuffix(b, []byte("\r\n")))
	if err != nil {
		c.tb.Errorf("server sent %q: %v", b, err)
	}
	return e.Type, string(e.Line), err
}

// expect returns the payload of the next message, which must be of type t.
func (c *client) expect(t wire.Type) string {
	c.tb.Helper()
	got, line, err := c.next(patience)
	if err != nil {
		c.tb.Fatalf("waiting for %v: %v", t, err)
	}
	if got != t {
		c.tb.Fatalf("got %v %q, want %v", got, line, t)
	}
	return line
}

// expectLine wants the next message to be exactly this.
func (c *client) expectLine(t wire.Type, want string) {
	c.tb.Helper()
	if got := c.expect(t); got != want {
		c.tb.Fatalf("got %v %q, want %q", t, got, want)
	}
}

// silent wants nothing to come.
func (c *client) silent(d time.Duration) {
	c.tb.Helper()
	if t, line, err := c.next(d); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.tb.Fatalf("got %v %q %v, want silence", t, line, err)
	}
}

// closed wants the end of the stream, and nothing before it.
func (c *client) closed() {
	c.tb.Helper()
	if t, line, err := c.next(patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.tb.Fatalf("got %v %q %v, want the end", t, line, err)
	}
}

// eventually waits for a state that must come.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}
