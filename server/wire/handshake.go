package wire

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// appName is the application of the protocol, exactly as existing clients want it (protocol.md 5.1, 10.17).
const appName = "joinmarket"

// protoVer is the protocol version, as the literal that must stand in a handshake.
const protoVer = "5"

// A Handshake is what a client says of itself in its first line, 793 (protocol.md 5.1).
type Handshake struct {
	Nick     string   // valid (ValidNick)
	Location Location // canonical; the zero value does not serve
	Network  string   // lower case
	Features []string // sorted, unique, valid names, announced as literal true
}

// Has reports whether the client announced the feature.
func (h Handshake) Has(feature string) bool {
	_, ok := slices.BinarySearch(h.Features, feature)
	return ok
}

// HandshakeRules are the rules that depend on the server.
type HandshakeRules struct {
	Networks []string // accepted names, lower case: the network and its aliases
	Clearnet bool     // test switch: locations need not be onions
}

// A Refusal is why a decodable handshake was refused. It is a metric label: a closed set of short names.
type Refusal string

// The refusals that ParseHandshake finds, in the order in which it looks for them (protocol.md 5.1).
const (
	RefusalAppName   Refusal = "app_name"
	RefusalDirectory Refusal = "directory"
	RefusalProtoVer  Refusal = "proto_ver"
	RefusalNetwork   Refusal = "network"
	RefusalNick      Refusal = "nick"
	RefusalLocation  Refusal = "location"
	RefusalFeatures  Refusal = "features"
)

// A RefusalError refuses a decodable handshake: answer with a dn-handshake that is not accepted and has MOTD(), then
// close (protocol.md 5.1).
type RefusalError struct {
	Reason Refusal // fixed word, for counters
	Text   string  // for the client; fixed wording, never a client's bytes
}

// Error returns the reason and the text.
func (e *RefusalError) Error() string {
	return "handshake refused: " + string(e.Reason) + ": " + e.Text
}

// MOTD returns the text as clients expect to find it.
func (e *RefusalError) MOTD() string { return "Rejected: " + e.Text }

// ParseHandshake parses the line of a 793 and checks it against protocol.md 4 and 5.1. Errors wrap ErrUndecodable, which is
// to be closed without an answer, or are a *RefusalError, which is to be answered.
func ParseHandshake(line []byte, rules HandshakeRules) (Handshake, error) {
	p, err := parsePayload(line)
	if err != nil {
		return Handshake{}, err
	}
	refuse := func(reason Refusal, text string) (Handshake, error) {
		return Handshake{}, &RefusalError{Reason: reason, Text: text}
	}
	h := Handshake{Features: p.features}

	if app, ok := p.str(memberAppName); !ok || asciiLower(app) != appName {
		return refuse(RefusalAppName, "app-name must be joinmarket")
	}
	if p.has(memberDirectory) && p.literal(memberDirectory) != "false" {
		return refuse(RefusalDirectory, "directory must be false")
	}
	if p.literal(memberProtoVer) != protoVer {
		return refuse(RefusalProtoVer, "proto-ver must be 5")
	}
	network, ok := p.str(memberNetwork)
	if h.Network = asciiLower(network); !ok || !slices.Contains(rules.Networks, h.Network) {
		return refuse(RefusalNetwork, "this directory serves another network")
	}
	if h.Nick, ok = p.str(memberNick); !ok || !ValidNick(h.Nick) {
		return refuse(RefusalNick, "nick is not valid")
	}
	if p.has(memberLocation) && p.members[memberLocation].Kind() != jsontext.KindNull {
		location, ok := p.str(memberLocation)
		if h.Location, err = ParseLocation(location, rules.Clearnet); !ok || err != nil {
			return refuse(RefusalLocation, "location-string is not a v3 onion with a port, nor "+NotServing)
		}
	}
	switch {
	case p.has(memberFeatures):
		return refuse(RefusalFeatures, "features must be an object")
	case p.named > MaxFeatures:
		return refuse(RefusalFeatures, "more than 32 features")
	case p.longest > MaxFeatureName:
		return refuse(RefusalFeatures, "feature name longer than 64 bytes")
	}
	return h, nil
}

// AppendLine appends the line of a 793, in the order and spacing that existing clients send (protocol.md 5.1).
func (h Handshake) AppendLine(dst []byte) []byte {
	dst = append(dst, `{"app-name": "joinmarket", "directory": false, "location-string": `...)
	dst = appendQuoted(dst, h.Location.String())
	dst = append(dst, `, "proto-ver": 5, "features": `...)
	dst = appendFeatures(dst, h.Features)
	dst = append(dst, `, "nick": `...)
	dst = appendQuoted(dst, h.Nick)
	dst = append(dst, `, "network": `...)
	dst = appendQuoted(dst, h.Network)
	return append(dst, '}')
}

// appendQuoted appends a JSON string. Invalid UTF-8 becomes U+FFFD: what goes out is valid JSON whatever comes in.
func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
