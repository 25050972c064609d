package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/decred/base58"
)

// NickLen is the length of every nick in bytes (protocol.md 4.1).
const NickLen = 16

const (
	nickHeader = "J5" // the J of JoinMarket and the protocol version
	nickPad    = 'O'  // not in the base58 alphabet
	nickHash   = 10   // bytes of the key's hash in a nick
)

// ErrPubKey says that bytes cannot be a compressed secp256k1 public key.
var ErrPubKey = errors.New("not a compressed public key")

// nickChars marks the base58 characters: no 0, O, I, l.
var nickChars = func() (set [256]bool) {
	for _, c := range []byte("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz") {
		set[c] = true
	}
	return set
}()

// ValidNick reports whether nick has the form ^J5[1-9A-HJ-NP-Za-km-z]{1,14}O{0,13}$ with NickLen bytes (protocol.md 4.1). It
// MUST NOT allocate.
func ValidNick[T ~string | ~[]byte](nick T) bool {
	if len(nick) != NickLen || nick[0] != nickHeader[0] || nick[1] != nickHeader[1] {
		return false
	}
	end := NickLen
	for end > len(nickHeader) && nick[end-1] == nickPad {
		end--
	}
	if end == len(nickHeader) {
		return false
	}
	for i := len(nickHeader); i < end; i++ {
		if !nickChars[nick[i]] {
			return false
		}
	}
	return true
}

// NickFromPubKey derives the nick of a compressed secp256k1 public key of 33 bytes (protocol.md 4.1): the base58 of the first
// ten bytes of the SHA-256 of the key's lower-case hex string, padded. It fails with ErrPubKey for anything that
// has not the length and the first byte of such a key; that the key lies on the curve is the caller's to know.
func NickFromPubKey(compressed []byte) (string, error) {
	if len(compressed) != 33 || compressed[0] != 2 && compressed[0] != 3 {
		return "", ErrPubKey
	}
	sum := sha256.Sum256([]byte(hex.EncodeToString(compressed)))
	nick := nickHeader + base58.Encode(sum[:nickHash])
	return nick + strings.Repeat(string(nickPad), NickLen-len(nick)), nil
}
