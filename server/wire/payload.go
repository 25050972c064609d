package wire

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrUndecodable says that the line of a handshake is no JSON object by the rules of protocol.md 2: close without an answer
// (protocol.md 5.1). It is wrapped together with ErrUTF8, ErrSyntax, ErrDuplicate, ErrDepth or ErrMember.
var ErrUndecodable = errors.New("handshake undecodable")

// A member is one of the payloads 793 and 795 that means something.
type member uint8

const (
	memberAppName member = iota
	memberDirectory
	memberLocation
	memberProtoVer
	memberProtoVerMin
	memberProtoVerMax
	memberFeatures
	memberAccepted
	memberNick
	memberNetwork
	memberMOTD
	numMembers
)

var memberNames = [numMembers]string{"app-name", "directory", "location-string", "proto-ver", "proto-ver-min", "proto-ver-max",
	"features", "accepted", "nick", "network", "motd"}

// String is its name on the wire.
func (m member) String() string { return memberNames[m] }

// memberOf returns the member with a name.
func memberOf(name []byte) (m member, ok bool) {
	for i, s := range memberNames {
		if s == string(name) {
			return member(i), true
		}
	}
	return 0, false
}

// A payload is a handshake of either direction before its rules are looked at. The literals alias the line.
type payload struct {
	members  [numMembers]jsontext.Value // scalars as they stand there; nil for an array or object, or none
	there    [numMembers]bool           // but features that are an object
	features []string                   // valid names announced as literal true, sorted
	named    int                        // all entries of features
	longest  int                        // longest name in features, bytes
	listed   bool                       // features is there and is an object
}

// strictReaders are reused: each keeps the memory that an ordinary line needs.
var strictReaders = sync.Pool{New: func() any { return new(strictReader) }}

// parsePayload parses the JSON in a handshake's line. Errors wrap ErrUndecodable.
func parsePayload(line []byte) (payload, error) {
	r := strictReaders.Get().(*strictReader)
	defer strictReaders.Put(r)
	var p payload
	if err := r.reason(line, p.read(r, line)); err != nil {
		return payload{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	slices.Sort(p.features)
	return p, nil
}

func (p *payload) read(r *strictReader, line []byte) error {
	if err := r.open(line); err != nil {
		return err
	}
	for r.more() {
		name, err := readName(r)
		if err != nil {
			return err
		}
		m, ok := memberOf(name)
		switch {
		case !ok:
			err = r.skip()
		case m == memberFeatures && r.dec.PeekKind() == jsontext.KindBeginObject:
			err = p.readFeatures(r)
		case r.nested():
			p.there[m] = true
			err = r.skip()
		default:
			p.there[m] = true
			p.members[m], err = r.scalar()
		}
		if err != nil {
			return err
		}
	}
	return r.finish()
}

func (p *payload) readFeatures(r *strictReader) error {
	p.listed = true
	if err := r.end(); err != nil { // its opening brace
		return err
	}
	for r.more() {
		name, err := readName(r)
		if err != nil {
			return err
		}
		p.named++
		p.longest = max(p.longest, len(name))
		if r.dec.PeekKind() == jsontext.KindTrue && ValidFeature(name) {
			p.features = append(p.features, string(name))
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
	return r.end()
}

// readName returns the name of the next member, which is valid until the next read.
func readName(r *strictReader) ([]byte, error) {
	quoted, err := r.name()
	if err != nil {
		return nil, err
	}
	return unquote(quoted)
}

// unquote returns the text of a JSON string. It may alias that.
func unquote(quoted jsontext.Value) ([]byte, error) {
	if b, ok := plain(quoted); ok {
		return b, nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

// stringOf returns the string that v is; false if it is none.
func stringOf(v jsontext.Value) (string, bool) {
	if v.Kind() != jsontext.KindString {
		return "", false
	}
	b, err := unquote(v)
	return string(b), err == nil
}

// str returns a member that must be a string.
func (p *payload) str(m member) (string, bool) { return stringOf(p.members[m]) }

// has reports whether the member is there, whatever it is.
func (p *payload) has(m member) bool { return p.there[m] }

// literal returns a member as it stands in the line, "" if it is absent or nested.
func (p *payload) literal(m member) string { return string(p.members[m]) }

// parseExactly parses an object that has the members named, each once, none of them an array or object, and no others (protocol.md
// 7.1). It returns their values, in the order of names, as they stand in line, which they alias. Errors: ErrUTF8, ErrSyntax,
// ErrDuplicate or ErrMember.
func parseExactly(line []byte, names ...string) ([]jsontext.Value, error) {
	r := strictReaders.Get().(*strictReader)
	defer strictReaders.Put(r)
	values, err := r.exactly(line, names)
	if err = r.reason(line, err); err != nil {
		return nil, err
	}
	return values, nil
}

func (r *strictReader) exactly(line []byte, names []string) ([]jsontext.Value, error) {
	if err := r.open(line); err != nil {
		return nil, err
	}
	values := make([]jsontext.Value, len(names))
	for r.more() {
		name, err := readName(r)
		if err != nil {
			return nil, err
		}
		i := slices.Index(names, string(name))
		if i < 0 || r.nested() {
			return nil, ErrMember
		}
		if values[i], err = r.scalar(); err != nil {
			return nil, err
		}
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(values, func(v jsontext.Value) bool { return v == nil }) {
		return nil, ErrMember
	}
	return values, nil
}
