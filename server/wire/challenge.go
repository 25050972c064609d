package wire

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// MaxDirectoryID is the longest directory id in bytes.
const MaxDirectoryID = 255

// ErrChallenge says that a line is no challenge (protocol.md 7.1). It is wrapped together with what is wrong in the JSON, or
// stands alone where a value is.
var ErrChallenge = errors.New("challenge refused")

// nonceLen is the length of a nonce in hex characters.
const nonceLen = 64

// Names of members in the payloads 803, 805 and 807.
const (
	memberChallenge   = "challenge"
	memberDirectoryID = "directory-id"
	memberPubKey      = "pubkey"
	memberSignature   = "signature"
	memberCode        = "code"
	memberVerified    = "verified"
)

// A Challenge is what a directory gives the owner of a nick to sign, the line of an 803 (protocol.md 7.1).
type Challenge struct {
	Nonce       string // 64 lower-case hex characters, never used twice
	DirectoryID string // valid (ValidDirectoryID); the client compares it with the endpoint that it dialled
}

// NewChallenge makes a fresh challenge of the directory with that id.
func NewChallenge(directoryID string) Challenge {
	var nonce [nonceLen / 2]byte
	rand.Read(nonce[:]) // never fails
	return Challenge{Nonce: hex.EncodeToString(nonce[:]), DirectoryID: directoryID}
}

// AppendLine appends the line of an 803, in the order and spacing that existing clients know.
func (c Challenge) AppendLine(dst []byte) []byte {
	dst = append(dst, `{"`+memberChallenge+`":`...)
	dst = appendQuoted(dst, c.Nonce)
	dst = append(dst, `,"`+memberDirectoryID+`":`...)
	dst = appendQuoted(dst, c.DirectoryID)
	return append(dst, '}')
}

// ParseChallenge parses the line of an 803, strictly: an object of exactly its two members. Errors wrap ErrChallenge.
func ParseChallenge(line []byte) (Challenge, error) {
	values, err := parseExactly(line, memberChallenge, memberDirectoryID)
	if err != nil {
		return Challenge{}, errors.Join(ErrChallenge, err)
	}
	nonce, okNonce := stringOf(values[0])
	id, okID := stringOf(values[1])
	if !okNonce || !okID || len(nonce) != nonceLen || !lowerHex(nonce) || !ValidDirectoryID(id) {
		return Challenge{}, ErrChallenge
	}
	return Challenge{Nonce: nonce, DirectoryID: id}, nil
}

// ValidDirectoryID reports whether id has the form [a-z0-9][a-z0-9.:_-]* (protocol.md 7.1) and at most MaxDirectoryID bytes.
// That of a public directory is its onion, a colon and its port.
func ValidDirectoryID(id string) bool {
	if len(id) == 0 || len(id) > MaxDirectoryID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == ':' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// lowerHex reports whether s has nothing but lower-case hex digits.
func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
