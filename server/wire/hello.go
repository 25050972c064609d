package wire

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// What an existing client does with a 795 that it does not like (protocol.md 5.2).
var (
	// ErrHelloSyntax is a member that is missing or of the wrong type: the client ignores the line, stays connected, and is
	// never handshaked. A network other than the client's own, which is the caller's to compare, has the same effect.
	ErrHelloSyntax = errors.New("dn-handshake ignored by clients")
	// ErrHelloMismatch is another application, another version, or no directory: the client disconnects.
	ErrHelloMismatch = errors.New("dn-handshake makes clients disconnect")
)

// A DirectoryHello is the directory's answer to a handshake, 795 (protocol.md 5.2).
type DirectoryHello struct {
	Accepted      bool     // false: the directory closes after this line
	Nick, Network string   // the directory's own
	MOTD          string   // UTF-8; "Rejected: ..." where Accepted is false
	Features      []string // sorted
}

// AppendLine appends the line of a 795, in the order and spacing of the sample in protocol.md 5.2.
func (d DirectoryHello) AppendLine(dst []byte) []byte {
	dst = append(dst, `{"app-name": "joinmarket", "directory": true, "proto-ver-min": 5, "proto-ver-max": 5, "features": `...)
	dst = appendFeatures(dst, d.Features)
	dst = append(dst, `, "accepted": `...)
	dst = strconv.AppendBool(dst, d.Accepted)
	dst = append(dst, `, "nick": `...)
	dst = appendQuoted(dst, d.Nick)
	dst = append(dst, `, "network": `...)
	dst = appendQuoted(dst, d.Network)
	dst = append(dst, `, "motd": `...)
	dst = appendQuoted(dst, d.MOTD)
	return append(dst, '}')
}

// ParseDirectoryHello reads the line of a 795 as the strictest existing client does (protocol.md 5.2). Errors wrap ErrHelloSyntax
// or ErrHelloMismatch. An answer that is well-formed but not accepted is no error: that client disconnects on it, too.
func ParseDirectoryHello(line []byte) (DirectoryHello, error) {
	p, err := parsePayload(line)
	if err != nil {
		return DirectoryHello{}, fmt.Errorf("%w: %w", ErrHelloSyntax, err)
	}
	d := DirectoryHello{Features: p.features}
	app, okApp := p.str(memberAppName)
	directory, okDirectory := p.boolean(memberDirectory)
	least, okLeast := p.integer(memberProtoVerMin)
	most, okMost := p.integer(memberProtoVerMax)
	var okAccepted, okNick, okNetwork bool
	d.Accepted, okAccepted = p.boolean(memberAccepted)
	d.Nick, okNick = p.str(memberNick)
	d.Network, okNetwork = p.str(memberNetwork)
	d.MOTD, _ = p.str(memberMOTD)
	for _, m := range []struct {
		name member
		ok   bool
	}{
		{memberAppName, okApp}, {memberDirectory, okDirectory}, {memberProtoVerMin, okLeast}, {memberProtoVerMax, okMost},
		{memberFeatures, p.listed}, {memberAccepted, okAccepted}, {memberNick, okNick}, {memberNetwork, okNetwork},
	} {
		if !m.ok {
			return DirectoryHello{}, fmt.Errorf("%w: %w: %s", ErrHelloSyntax, ErrMember, m.name)
		}
	}
	switch {
	case app != appName:
		return DirectoryHello{}, fmt.Errorf("%w: %s", ErrHelloMismatch, memberAppName)
	case !directory:
		return DirectoryHello{}, fmt.Errorf("%w: %s", ErrHelloMismatch, memberDirectory)
	case least > 5 || most < 5:
		return DirectoryHello{}, fmt.Errorf("%w: %s, %s", ErrHelloMismatch, memberProtoVerMin, memberProtoVerMax)
	}
	return d, nil
}

func (p *payload) boolean(m member) (value, ok bool) {
	switch p.members[m].Kind() {
	case jsontext.KindTrue:
		return true, true
	case jsontext.KindFalse:
		return false, true
	}
	return false, false
}

func (p *payload) integer(m member) (int64, bool) {
	n, err := strconv.ParseInt(p.literal(m), 10, 64)
	return n, err == nil
}

// MaxMOTD is the longest message of the day in bytes that an operator may set (protocol.md 5.2, 9.1).
const MaxMOTD = 512

// CheckMOTD checks an operator's message of the day: printable ASCII and LF, at most MaxMOTD bytes (protocol.md 5.2). The error
// says what is wrong and where.
func CheckMOTD(s string) error {
	if len(s) > MaxMOTD {
		return fmt.Errorf("motd has %d bytes, at most %d are allowed", len(s), MaxMOTD)
	}
	line, column := 1, 1
	for i := range len(s) {
		c := s[i]
		if c == '\n' {
			line, column = line+1, 1
			continue
		}
		if c < ' ' || c > '~' {
			return fmt.Errorf("motd has byte 0x%02x in line %d, column %d: only printable ASCII and line feeds are allowed",
				c, line, column)
		}
		column++
	}
	return nil
}
