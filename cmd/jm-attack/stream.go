package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"jm-directory-server/server/wire"
)

// answerTimeout is how long a line may take that must come.
const answerTimeout = 25 * time.Second

// proofTimeout is how long the server waits for a proof at most, and some.
const proofTimeout = 35 * time.Second

// A stream is one connection to the directory, for one goroutine that reads and one that writes.
type stream struct {
	conn    net.Conn
	scanner *bufio.Scanner
	parser  wire.Parser
}

func newStream(conn net.Conn, pace int) *stream {
	s := &stream{conn: conn, scanner: bufio.NewScanner(&pacedReader{conn, pace})}
	s.scanner.Buffer(nil, wire.MaxLine+len("\r\n")+1)
	s.scanner.Split(wire.SplitLine)
	return s
}

// pacedReader reads no more than pace bytes a second, as from a circuit of Tor; 0 is as fast as it goes.
type pacedReader struct {
	r    io.Reader
	pace int
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b[:min(len(b), 16<<10)])
	if p.pace > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(p.pace))
	}
	return n, err
}

// dial connects over the unix socket as Tor would, on a circuit (control-spec HiddenServiceExportCircuitID).
func dial(ctx context.Context, socket string, circuit uint32) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	line := fmt.Sprintf("PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d 5222\r\n", circuit>>16, circuit&0xffff, circuit&0xffff)
	if _, err := io.WriteString(conn, line); err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

// send sends one line.
func (s *stream) send(t wire.Type, line string) error {
	b, err := wire.AppendEnvelope(nil, t, []byte(line))
	if err == nil {
		_, err = s.conn.Write(b)
	}
	return err
}

// next returns the next line, which is valid until the next call.
func (s *stream) next() (wire.Envelope, error) {
	if !s.scanner.Scan() {
		if err := s.scanner.Err(); err != nil {
			return wire.Envelope{}, err
		}
		return wire.Envelope{}, io.EOF
	}
	return s.parser.Parse(s.scanner.Bytes())
}

// expect returns the next line, which must be of type t.
func (s *stream) expect(t wire.Type, within time.Duration) ([]byte, error) {
	s.conn.SetReadDeadline(time.Now().Add(within))
	defer s.conn.SetReadDeadline(time.Time{})
	env, err := s.next()
	if err != nil {
		return nil, err
	}
	if env.Type != t {
		return nil, fmt.Errorf("%s instead of %s", env.Type, t)
	}
	return bytes.Clone(env.Line), nil
}

// errRefused is a handshake that was answered with no.
var errRefused = errors.New("refused")

// A greeting is what a peer says of itself.
type greeting struct {
	identity
	as       string // the nick that it asks for; empty: its own
	location wire.Location
	proves   bool // announces nick_auth, and then proves
	ping     bool
	prove    func(c wire.Challenge, handshake []byte) []byte // the line of the 805; nil: as it has to be
}

func (g greeting) nick() string {
	if g.as != "" {
		return g.as
	}
	return g.identity.nick
}

// handshake shakes hands. errRefused is wrapped with the reason.
func (s *stream) handshake(g greeting) error {
	var features []string
	if g.proves {
		features = append(features, wire.FeatureNickAuth)
	}
	if g.ping || g.proves {
		features = append(features, wire.FeaturePeerlist, wire.FeaturePing)
	}
	own := wire.Handshake{Nick: g.nick(), Location: g.location, Network: network, Features: features}.AppendLine(nil)
	if err := s.send(wire.ClientHandshake, string(own)); err != nil {
		return err
	}
	line, err := s.expect(wire.DirectoryHandshake, answerTimeout)
	if err != nil {
		return err
	}
	hello, err := wire.ParseDirectoryHello(line)
	if err != nil {
		return err
	}
	if !hello.Accepted {
		return fmt.Errorf("%w: %s", errRefused, hello.MOTD)
	}
	if !g.proves {
		return nil
	}
	if line, err = s.expect(wire.NickChallenge, answerTimeout); err != nil {
		return err
	}
	challenge, err := wire.ParseChallenge(line)
	if err != nil {
		return err
	}
	proof := g.prove
	if proof == nil {
		proof = func(c wire.Challenge, handshake []byte) []byte { return g.proof(c, handshake, g.nick()) }
	}
	if b := proof(challenge, own); b != nil {
		if err := s.send(wire.NickProof, string(b)); err != nil {
			return err
		}
	}
	if line, err = s.expect(wire.NickResult, proofTimeout); err != nil {
		return err
	}
	code, err := wire.ParseProofResult(line)
	if err != nil {
		return err
	}
	if !code.Verified() {
		return fmt.Errorf("%w: proof %s", errRefused, code)
	}
	return nil
}
