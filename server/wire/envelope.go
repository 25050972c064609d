package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrEnvelope says that a line is no envelope; the connection must be closed (protocol.md 2). It is wrapped together
// with the reason: ErrUTF8, ErrSyntax, ErrDuplicate, ErrDepth or ErrMember.
var ErrEnvelope = errors.New("envelope refused")

// An Envelope is one line of the protocol. Line is the decoded string: UTF-8, possibly with CR, LF and NUL in it.
type Envelope struct {
	Type Type   // 0 to 2^32-1, known or not
	Line []byte // valid as long as Parser.Parse says
}

// A Parser parses envelopes without allocating. The zero value is ready. It may be reused, by one goroutine at a time.
type Parser struct {
	reader    strictReader
	unescaped []byte
}

// keepUnescaped is how many bytes of a line with escapes a Parser keeps for the next one.
const keepUnescaped = 8 << 10

// Parse parses one line, given without its delimiter (protocol.md 2): an object with the members "type", an integer literal
// of 32 bits, and "line", a string, each exactly once; other members are checked as strictly and ignored. Line is
// valid until the next Parse or until raw changes: it aliases raw where the string has no escapes.
//
// Errors wrap ErrTooLong, or ErrEnvelope and its reason.
//
// Parse MUST NOT allocate for an envelope of plain members up to a few KiB, and MUST cost no more than time linear
// in raw.
func (p *Parser) Parse(raw []byte) (Envelope, error) {
	if len(raw) > MaxLine {
		return Envelope{}, ErrTooLong
	}
	env, err := p.parse(raw)
	if err = p.reader.reason(raw, err); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	return env, nil
}

func (p *Parser) parse(raw []byte) (Envelope, error) {
	if cap(p.unescaped) > keepUnescaped {
		p.unescaped = nil
	}
	var env Envelope
	var hasType, hasLine bool
	r := &p.reader
	if err := r.open(raw); err != nil {
		return env, err
	}
	for r.more() {
		quoted, err := r.name()
		if err != nil {
			return env, err
		}
		// Names are compared after decoding: "\u0074ype" is "type", to a duplicate as well.
		var scratch [32]byte
		name, ok := plain(quoted)
		if !ok {
			if name, err = jsontext.AppendUnquote(scratch[:0], quoted); err != nil {
				return env, err
			}
		}
		isType, isLine := string(name) == "type", string(name) == "line"
		if !isType && !isLine {
			if err := r.skip(); err != nil {
				return env, err
			}
			continue
		}
		if r.nested() {
			return env, ErrMember
		}
		value, err := r.scalar()
		if err != nil {
			return env, err
		}
		if isType {
			if env.Type, hasType = parseType(value); !hasType {
				return env, ErrMember
			}
			continue
		}
		if value.Kind() != jsontext.KindString {
			return env, ErrMember
		}
		if env.Line, hasLine = plain(value); !hasLine {
			if p.unescaped, err = jsontext.AppendUnquote(p.unescaped[:0], value); err != nil {
				return env, err
			}
			env.Line, hasLine = p.unescaped, true
		}
	}
	if err := r.finish(); err != nil {
		return env, err
	}
	if !hasType || !hasLine {
		return env, ErrMember
	}
	return env, nil
}

// parseType reads an integer literal of 32 bits: no sign, fraction or exponent.
func parseType(literal []byte) (Type, bool) {
	const most = len("4294967295")
	if len(literal) == 0 || len(literal) > most {
		return 0, false
	}
	var n uint64
	for _, c := range literal {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return Type(n), n <= math.MaxUint32
}

// AppendEnvelope appends the envelope with its CRLF: compact, UTF-8 as it is, the shortest escapes, hence never longer than any
// form in which the same envelope can have arrived (protocol.md 2, 10.2). No CR or LF stands in it but
// the last two bytes. line must not overlap with the room behind dst.
//
// Errors, dst then being unchanged: ErrTooLong above MaxLine, ErrUTF8 if line is not valid UTF-8.
//
// AppendEnvelope MUST NOT allocate when dst has room for the result.
func AppendEnvelope(dst []byte, t Type, line []byte) ([]byte, error) {
	start := len(dst)
	// Known before anything is written: a line of control characters would grow to six times its size.
	if len(line) > MaxLine/maxEscape-maxFrame && quotedLen(line) > MaxLine {
		return dst, ErrTooLong
	}
	dst = append(dst, `{"type":`...)
	dst = strconv.AppendUint(dst, uint64(t), 10)
	dst = append(dst, `,"line":`...)
	if isPlain(line) {
		dst = append(append(append(dst, '"'), line...), '"')
	} else {
		var err error
		if dst, err = jsontext.AppendQuote(dst, line); err != nil {
			return dst[:start], ErrUTF8
		}
	}
	dst = append(dst, '}')
	if len(dst)-start > MaxLine {
		return dst[:start], ErrTooLong
	}
	return append(dst, '\r', '\n'), nil
}

// isPlain reports whether line is a JSON string as it stands: ASCII without control characters, quotes and backslashes.
// Almost every line is, and looking at eight bytes at once takes a tenth of the time that quoting takes.
func isPlain(line []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	zero := func(x uint64) uint64 { return (x - ones) &^ x } // the top bit of a byte is set if a byte up to it is 0
	for ; len(line) >= 8; line = line[8:] {
		x := binary.LittleEndian.Uint64(line)
		if (x|zero(x^'"'*ones)|zero(x^'\\'*ones)|(x-' '*ones)&^x)&tops != 0 {
			return false
		}
	}
	for _, c := range line {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// The most that one byte of a line, and that everything around the line, can come to.
const (
	maxEscape = len(`\u0000`)
	maxFrame  = len(`{"type":4294967295,"line":""}`)
)

// quotedLen is the length of line as a JSON string, with its quotes, in the shortest form.
func quotedLen(line []byte) int {
	n := len(line) + 2
	for _, c := range line {
		switch {
		case c == '"', c == '\\', c == '\b', c == '\t', c == '\n', c == '\f', c == '\r':
			n++
		case c < ' ':
			n += maxEscape - 1
		}
	}
	return n
}
