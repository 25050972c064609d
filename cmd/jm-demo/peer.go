package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"jm-directory-server/server/wire"
)

// answerTimeout is how long a line may take that must come: three relays each way, all on this machine.
const answerTimeout = 10 * time.Second

// A peer is a simulated maker or taker with one connection to the directory.
type peer struct {
	identity
	role     string // "maker 1"
	location wire.Location
	features []string // sorted
	motd     string   // what the directory greeted it with

	conn  net.Conn
	lines chan wire.Envelope // what the directory sends; closed at the end of the connection
	ended error              // why it ended; valid when lines is closed
	stop  chan struct{}      // closed by close
	once  sync.Once
}

// newPeer makes a peer with a fresh nick. One that serves gets a location as well.
func newPeer(role string, serves bool, features ...string) (*peer, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	p := &peer{identity: id, role: role, features: features, lines: make(chan wire.Envelope), stop: make(chan struct{})}
	if serves {
		if p.location, err = newLocation(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// attach gives the peer its connection and starts to read it, until close.
func (p *peer) attach(conn net.Conn) {
	p.conn = conn
	go p.read()
}

// close ends the connection, and reading with it; doing so again has no effect.
func (p *peer) close() {
	p.once.Do(func() { close(p.stop) })
	if p.conn == nil {
		return
	}
	p.conn.Close() // whatever it says, it is of no use any more
	for range p.lines {
	}
}

// read hands the directory's lines on.
func (p *peer) read() {
	defer close(p.lines)
	var parser wire.Parser
	scanner := bufio.NewScanner(p.conn)
	scanner.Buffer(nil, wire.MaxLine+len("\r\n")+1)
	scanner.Split(wire.SplitLine)
	for scanner.Scan() {
		env, err := parser.Parse(scanner.Bytes())
		if err != nil {
			p.ended = err
			return
		}
		env.Line = bytes.Clone(env.Line)
		select {
		case p.lines <- env:
		case <-p.stop:
			return
		}
	}
	if p.ended = scanner.Err(); p.ended == nil {
		p.ended = io.EOF
	}
}

// send sends one line.
func (p *peer) send(t wire.Type, line []byte) error {
	b, err := wire.AppendEnvelope(nil, t, line)
	if err == nil {
		err = p.conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	}
	if err == nil {
		_, err = p.conn.Write(b)
	}
	if err != nil {
		return fmt.Errorf("%s: send %s: %w", p.role, t, err)
	}
	return nil
}

// receive returns the next line, which must be of type t; what says for people which one is waited for. A
// ping is answered on the way, as every client that announces it does.
func (p *peer) receive(ctx context.Context, t wire.Type, what string) ([]byte, error) {
	wrong := func(got string) error {
		return fmt.Errorf("%s: expected %s (%d %s), got %s", p.role, what, t, t, got)
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	for {
		select {
		case env, ok := <-p.lines:
			switch {
			case !ok:
				return nil, fmt.Errorf("%w: %w", wrong("the end of the connection"), p.ended)
			case env.Type == wire.Ping && t != wire.DirectoryHandshake:
				if err := p.send(wire.Pong, nil); err != nil {
					return nil, err
				}
			case env.Type != t:
				return nil, wrong(fmt.Sprintf("%d %s %.300q", env.Type, env.Type, env.Line))
			default:
				return env.Line, nil
			}
		case <-timer.C:
			return nil, wrong(fmt.Sprintf("nothing within %s", answerTimeout))
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", wrong("nothing"), context.Cause(ctx))
		}
	}
}

// handshake says who the peer is and returns who the directory is.
func (p *peer) handshake(ctx context.Context, network string) (wire.DirectoryHello, error) {
	own := wire.Handshake{Nick: p.nick, Location: p.location, Network: network, Features: p.features}
	if err := p.send(wire.ClientHandshake, own.AppendLine(nil)); err != nil {
		return wire.DirectoryHello{}, err
	}
	line, err := p.receive(ctx, wire.DirectoryHandshake, "the directory's handshake")
	if err != nil {
		return wire.DirectoryHello{}, err
	}
	hello, err := wire.ParseDirectoryHello(line)
	switch {
	case err != nil:
		return hello, fmt.Errorf("%s: %w: %.300q", p.role, err, line)
	case !hello.Accepted:
		return hello, fmt.Errorf("%s: expected to be accepted, got %q", p.role, hello.MOTD)
	case hello.Network != network:
		return hello, fmt.Errorf("%s: expected a directory of %s, got one of %q", p.role, network, hello.Network)
	}
	return hello, nil
}

// receivePublic waits for exactly this public message.
func (p *peer) receivePublic(ctx context.Context, from *peer, body string) error {
	line, err := p.receive(ctx, wire.Pubmsg, "the public message of "+from.role)
	if err != nil {
		return err
	}
	if want := from.public(body); !bytes.Equal(line, want) {
		return fmt.Errorf("%s: expected the public message %q, got %.300q", p.role, want, line)
	}
	return nil
}

// receivePrivate waits for a private message with that command, checks who signed it, and returns its data.
func (p *peer) receivePrivate(ctx context.Context, from *peer, command string) (data string, err error) {
	line, err := p.receive(ctx, wire.Privmsg, command+" of "+from.role)
	if err != nil {
		return "", err
	}
	got, data, err := openPrivate(line, from.nick, p.nick)
	if err == nil && got != command {
		err = fmt.Errorf("the command is %q", got)
	}
	if err != nil {
		return "", fmt.Errorf("%s: expected %s, signed by %s: %w: %.300q", p.role, command, from.role, err, line)
	}
	return data, nil
}

// receiveEntries waits for a peer list.
func (p *peer) receiveEntries(ctx context.Context, what string) ([]wire.Entry, error) {
	line, err := p.receive(ctx, wire.Peerlist, what)
	if err != nil {
		return nil, err
	}
	return wire.ParsePeerlist(line), nil
}
