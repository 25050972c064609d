package onion

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"filippo.io/edwards25519"
	"github.com/cretz/bine/torutil"
	"github.com/cretz/bine/torutil/ed25519"
)

// The first 32 bytes of Tor's key files (rend-spec-v3, hs_ed25519_*).
const (
	secretTag = "== ed25519v1-secret: type0 ==\x00\x00\x00"
	publicTag = "== ed25519v1-public: type0 ==\x00\x00\x00"
)

// redacted stands wherever a secret key would be printed.
const redacted = "[redacted]"

// SecretKey is an onion service's identity: an expanded ed25519 secret key,
// the clamped scalar (32 bytes, little-endian) and the prefix (32 bytes). There
// need not be a seed: vanity search moves the scalar (protocol.md 4.4). It
// prints as "[redacted]" whatever the verb.
type SecretKey struct {
	expanded [64]byte
	public   [32]byte
}

// GenerateKey makes a new random key.
func GenerateKey() (SecretKey, error) {
	var k SecretKey
	random := make([]byte, len(k.expanded))
	defer wipe(random)
	if _, err := rand.Read(random); err != nil {
		return SecretKey{}, fmt.Errorf("onion key: %w", err)
	}
	copy(k.expanded[:], random)
	k.expanded[0] &= 248
	k.expanded[31] &= 63
	k.expanded[31] |= 64
	return k.derive()
}

// KeyFromExpanded makes a key of a scalar and a prefix, as a search finds them.
// An unclamped scalar is an error, as in ParseKey.
func KeyFromExpanded(expanded [64]byte) (SecretKey, error) {
	return ParseKey(append([]byte(secretTag), expanded[:]...), nil, nil)
}

// ParseKey checks the contents of hs_ed25519_secret_key, hs_ed25519_public_key
// and hostname against each other (protocol.md 4.4): tag, length and clamping
// of the secret key, scalar·B = public key, address of the public key =
// hostname. public or hostname may be nil where the file is absent.
func ParseKey(secret, public, hostname []byte) (SecretKey, error) {
	body, err := untag("hs_ed25519_secret_key", secretTag, secret, 64)
	if err != nil {
		return SecretKey{}, err
	}
	var k SecretKey
	copy(k.expanded[:], body)
	if s := k.expanded[:32]; s[0]&7 != 0 || s[31]&0xc0 != 0x40 {
		return SecretKey{}, errors.New("onion key: hs_ed25519_secret_key: the scalar is not clamped; Tor would serve another address")
	}
	if k, err = k.derive(); err != nil {
		return SecretKey{}, err
	}
	if public != nil {
		body, err := untag("hs_ed25519_public_key", publicTag, public, 32)
		if err != nil {
			return SecretKey{}, err
		}
		if !bytes.Equal(body, k.public[:]) {
			return SecretKey{}, errors.New("onion key: hs_ed25519_public_key does not belong to hs_ed25519_secret_key")
		}
	}
	if hostname != nil && string(bytes.TrimSuffix(hostname, []byte("\n"))) != k.Address() {
		return SecretKey{}, errors.New("onion key: hostname does not belong to hs_ed25519_secret_key")
	}
	return k, nil
}

// untag checks the length and the tag of a key file and returns what follows.
func untag(name, tag string, file []byte, size int) ([]byte, error) {
	if len(file) != len(tag)+size {
		return nil, fmt.Errorf("onion key: %s has %d bytes, not %d", name, len(file), len(tag)+size)
	}
	if string(file[:len(tag)]) != tag {
		return nil, fmt.Errorf("onion key: %s does not begin with %q", name, tag[:29])
	}
	return file[len(tag):], nil
}

// derive fills in the public key: scalar times base point. The library reduces
// the scalar modulo the group order, which gives the same point.
func (k SecretKey) derive() (SecretKey, error) {
	scalar := append([]byte(nil), k.expanded[:32]...)
	defer wipe(scalar)
	s, err := edwards25519.NewScalar().SetBytesWithClamping(scalar)
	if err != nil {
		return SecretKey{}, fmt.Errorf("onion key: %w", err)
	}
	defer s.Set(edwards25519.NewScalar())
	copy(k.public[:], new(edwards25519.Point).ScalarBaseMult(s).Bytes())
	return k, nil
}

// An identity is a public key, of which the address is made.
type identity [32]byte

// Address is the service's host name: 56 characters and ".onion".
func (i identity) Address() string {
	return torutil.OnionServiceIDFromV3PublicKey(ed25519.PublicKey(i[:])) + ".onion"
}

// Address is the service's host name: 56 characters and ".onion".
func (k SecretKey) Address() string { return identity(k.public).Address() }

// PublicKey is the 32 bytes that the address is made of.
func (k SecretKey) PublicKey() [32]byte { return k.public }

// Fingerprint is the SHA-256 of the public key in base64, as OpenSSH writes
// fingerprints: short enough to compare by eye.
func (k SecretKey) Fingerprint() string {
	sum := sha256.Sum256(k.public[:])
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// secretFile, publicFile and hostnameFile are the contents of Tor's files.
func (k SecretKey) secretFile() []byte   { return append([]byte(secretTag), k.expanded[:]...) }
func (k SecretKey) publicFile() []byte   { return append([]byte(publicTag), k.public[:]...) }
func (k SecretKey) hostnameFile() []byte { return []byte(k.Address() + "\n") }

// blob is the key as ADD_ONION takes it (control-spec, KeyBlob).
func (k SecretKey) blob() string {
	return "ED25519-V3:" + base64.StdEncoding.EncodeToString(k.expanded[:])
}

// String hides the key.
func (SecretKey) String() string { return redacted }

// GoString hides the key.
func (SecretKey) GoString() string { return redacted }

// Format hides the key from every verb.
func (SecretKey) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText hides the key from encoders.
func (SecretKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
