package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/cretz/bine/torutil"
	onionkey "github.com/cretz/bine/torutil/ed25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"jm-directory-server/server/wire"
)

// messageDomain ends what is signed under a private message (protocol.md 6.1).
const messageDomain = "onion-network"

// An identity is the key that a peer makes at each start, and the nick that follows from it (protocol.md
// 4.1). Its methods may be called from any goroutine.
type identity struct {
	key  *secp256k1.PrivateKey
	nick string
}

// newIdentity makes a fresh one.
func newIdentity() (identity, error) {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return identity{}, fmt.Errorf("identity: %w", err)
	}
	nick, err := wire.NickFromPubKey(key.PubKey().SerializeCompressed())
	if err != nil {
		return identity{}, fmt.Errorf("identity: %w", err)
	}
	return identity{key, nick}, nil
}

// private returns the line of a private message as real clients send it (protocol.md 6.1): command and data,
// then the sender's key and its signature over data.
func (id identity) private(to, command, data string) []byte {
	key := hex.EncodeToString(id.key.PubKey().SerializeCompressed())
	signature := ecdsa.Sign(id.key, signedDigest(data+messageDomain)).Serialize()
	return []byte(id.nick + "!" + to + "!" + command + " " + data + " " + key + " " +
		base64.StdEncoding.EncodeToString(signature))
}

// public returns the line of a public message.
func (id identity) public(body string) []byte {
	return []byte(id.nick + "!" + wire.Public + "!" + body)
}

// openPrivate checks the line of a private message as its receiver does: that the key is the one behind the
// sender's nick, and that the signature over data is that key's. It returns command and data.
func openPrivate(line []byte, from, to string) (command, data string, err error) {
	m, err := wire.SplitMessage(line)
	if err != nil {
		return "", "", fmt.Errorf("private message: %w", err)
	}
	if string(m.From) != from || string(m.To) != to {
		return "", "", fmt.Errorf("private message: it is from %s to %s", m.From, m.To)
	}
	fields := strings.Split(string(m.Body), " ")
	if len(fields) < 4 {
		return "", "", errors.New("private message: no data, key and signature")
	}
	n := len(fields) - 2
	command, data = fields[0], strings.Join(fields[1:n], " ")
	compressed, err := hex.DecodeString(fields[n])
	if err != nil {
		return "", "", fmt.Errorf("private message: key: %w", err)
	}
	key, err := secp256k1.ParsePubKey(compressed)
	if err != nil {
		return "", "", fmt.Errorf("private message: key: %w", err)
	}
	if nick, err := wire.NickFromPubKey(compressed); err != nil || nick != from {
		return "", "", errors.New("private message: its key is not that of the sender's nick")
	}
	der, err := base64.StdEncoding.DecodeString(fields[n+1])
	if err != nil {
		return "", "", fmt.Errorf("private message: signature: %w", err)
	}
	signature, err := ecdsa.ParseDERSignature(der)
	if err != nil {
		return "", "", fmt.Errorf("private message: signature: %w", err)
	}
	if !signature.Verify(signedDigest(data+messageDomain), key) {
		return "", "", errors.New("private message: the signature is not good")
	}
	return command, data, nil
}

// signedDigest is the hash of a Bitcoin signed message.
func signedDigest(text string) []byte {
	digest := wire.BitcoinDigest([]byte(text))
	return digest[:]
}

// newLocation returns an onion address of a fresh key, with the port that makers use. Nobody answers there:
// a location is a claim, and direct connections are not a directory's business.
func newLocation() (wire.Location, error) {
	key, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return wire.Location{}, fmt.Errorf("location: %w", err)
	}
	host := torutil.OnionServiceIDFromV3PublicKey(onionkey.PublicKey(key)) + ".onion"
	location, err := wire.ParseLocation(host+":5222", false)
	if err != nil {
		return wire.Location{}, fmt.Errorf("location: %w", err)
	}
	return location, nil
}
