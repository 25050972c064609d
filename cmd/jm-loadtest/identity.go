package main

import (
	"crypto/ed25519"
	"math/rand/v2"

	"github.com/cretz/bine/torutil"
	onionkey "github.com/cretz/bine/torutil/ed25519"

	"jm-directory-server/server/wire"
)

// identities makes nicks and locations that follow from a seed, as if of random keys. Nobody has the keys: a
// directory cannot ask for them, and nobody answers at the locations.
type identities struct{ random *rand.ChaCha8 }

func newIdentities(seed uint64) *identities {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &identities{rand.NewChaCha8(key)}
}

// nick returns the next nick (protocol.md 4.1).
func (ids *identities) nick() string {
	key := make([]byte, 33)
	ids.read(key)
	key[0] = 2
	nick, err := wire.NickFromPubKey(key)
	if err != nil {
		panic(err) // length and first byte are right
	}
	return nick
}

// location returns the next v3 onion with the port that makers use (protocol.md 4.3).
func (ids *identities) location() wire.Location {
	seed := make([]byte, ed25519.SeedSize)
	ids.read(seed)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return wire.Location{Host: torutil.OnionServiceIDFromV3PublicKey(onionkey.PublicKey(public)) + ".onion", Port: 5222}
}

func (ids *identities) read(b []byte) {
	if _, err := ids.random.Read(b); err != nil {
		panic(err) // documented never to happen
	}
}
