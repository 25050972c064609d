package wire

import (
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrProofResult says that a line is no result of a proof (protocol.md 7.1).
var ErrProofResult = errors.New("proof result refused")

// A ProofCode is what a directory made of a proof, the code in an 807 (protocol.md 7.1).
type ProofCode string

// The codes of an 807. After any but ProofOK the directory closes.
const (
	ProofOK        ProofCode = "ok"
	ProofMalformed ProofCode = "malformed" // not an 805 as it must be
	ProofExpired   ProofCode = "expired"   // nothing came in time
	ProofInvalid   ProofCode = "invalid"   // another key than the nick's, or it did not sign this
	ProofPolicy    ProofCode = "policy"    // the proof is good, and the nick or the directory is taken
)

// Verified reports whether the nick is proven.
func (c ProofCode) Verified() bool { return c == ProofOK }

// AppendLine appends the line of an 807, in the order and spacing that existing clients know.
func (c ProofCode) AppendLine(dst []byte) []byte {
	dst = append(dst, `{"`+memberCode+`":`...)
	dst = appendQuoted(dst, string(c))
	dst = append(dst, `,"`+memberVerified+`":`...)
	dst = strconv.AppendBool(dst, c.Verified())
	return append(dst, '}')
}

// ParseProofResult parses the line of an 807, strictly: an object of exactly its two members, which agree. Errors wrap
// ErrProofResult.
func ParseProofResult(line []byte) (ProofCode, error) {
	values, err := parseExactly(line, memberCode, memberVerified)
	if err != nil {
		return "", errors.Join(ErrProofResult, err)
	}
	text, ok := stringOf(values[0])
	code := ProofCode(text)
	switch code {
	case ProofOK, ProofMalformed, ProofExpired, ProofInvalid, ProofPolicy:
	default:
		ok = false
	}
	want := jsontext.KindFalse
	if code.Verified() {
		want = jsontext.KindTrue
	}
	if !ok || values[1].Kind() != want {
		return "", ErrProofResult
	}
	return code, nil
}
