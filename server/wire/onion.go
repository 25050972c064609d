package wire

import (
	"crypto/sha3"
	"encoding/base32"
	"errors"
	"strings"
)

// ErrOnion says that a host is no v3 onion service address (protocol.md 4.3).
var ErrOnion = errors.New("not a v3 onion address")

const (
	onionSuffix  = ".onion"
	onionVersion = 3
	onionLen     = 56 + len(onionSuffix)
)

var onionBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ParseOnion checks a v3 onion host in any case and returns it in lower case: 56 characters of base32 that
// decode to public key, checksum and version 3, then ".onion", and nothing around them (Tor rend-spec-v3, encoding of onion
// addresses; protocol.md 4.3). Whether the key is a point of the curve is Tor's business. The error is ErrOnion.
func ParseOnion(host string) (canonical string, err error) {
	if len(host) != onionLen {
		return "", ErrOnion
	}
	host = asciiLower(host)
	name, ok := strings.CutSuffix(host, onionSuffix)
	if !ok {
		return "", ErrOnion
	}
	var address [35]byte // public key 32, checksum 2, version 1
	if n, err := onionBase32.Decode(address[:], []byte(name)); err != nil || n != len(address) {
		return "", ErrOnion
	}
	if address[34] != onionVersion {
		return "", ErrOnion
	}
	sum := onionChecksum([32]byte(address[:32]))
	if [2]byte(address[32:34]) != sum {
		return "", ErrOnion
	}
	return host, nil
}

func onionChecksum(pubkey [32]byte) [2]byte {
	b := make([]byte, 0, 15+32+1)
	b = append(b, ".onion checksum"...)
	b = append(b, pubkey[:]...)
	b = append(b, onionVersion)
	sum := sha3.Sum256(b)
	return [2]byte(sum[:2])
}

// asciiLower lowers A to Z only. strings.ToLower would turn other characters, as the Kelvin sign, into ASCII letters.
func asciiLower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
