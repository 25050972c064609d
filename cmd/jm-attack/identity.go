package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base32"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"jm-directory-server/server/wire"
)

// An identity is a key and the nick that is made of it (protocol.md 4.1).
type identity struct {
	key  *secp256k1.PrivateKey
	nick string
}

// newIdentity makes a fresh one.
func newIdentity() identity {
	for {
		key, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			panic(err) // no randomness
		}
		if nick, err := wire.NickFromPubKey(key.PubKey().SerializeCompressed()); err == nil {
			return identity{key, nick}
		}
	}
}

// proof is the line of an 805 with which id claims nick (protocol.md 7.2), its own or another.
func (id identity) proof(c wire.Challenge, handshake []byte, nick string) []byte {
	key := wire.PubKey(id.key.PubKey().SerializeCompressed())
	digest := wire.Claim{Challenge: c, Handshake: sha256.Sum256(handshake), Nick: nick}.Digest(key)
	return wire.AppendProof(nil, key, ecdsa.Sign(id.key, digest[:]).Serialize())
}

// newLocation makes an onion address out of random bytes. Nobody answers there (protocol.md 4.3).
func newLocation() wire.Location {
	var b [35]byte
	rand.Read(b[:32]) // never fails
	b[34] = 3
	sum := sha3.Sum256(append(append([]byte(".onion checksum"), b[:32]...), 3))
	copy(b[32:], sum[:2])
	host := strings.ToLower(base32.StdEncoding.EncodeToString(b[:])) + ".onion"
	l, err := wire.ParseLocation(host+":5222", false)
	if err != nil {
		panic(err) // made above
	}
	return l
}
