package onion

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha3"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// powParams are what a descriptor tells clients about proof of work.
type powParams struct {
	on      bool // it has such a line
	effort  int
	expires time.Time // of the seed
}

// errDescriptor is a descriptor that does not follow rend-spec-v3.
var errDescriptor = errors.New("malformed descriptor")

// effort asks Tor for our descriptor. It is the only way to the suggested effort
// over the control channel: Tor has no GETINFO key for it, and its MetricsPort
// takes TCP addresses only (metrics_parse_ports of Tor 0.4.9).
func (s *Service) effort(ctx context.Context) (powParams, error) {
	id := strings.TrimSuffix(s.Address(), ".onion")
	text, err := s.control.info(ctx, infoDescriptor+id)
	if err != nil {
		return powParams{}, fmt.Errorf("descriptor: %w", err)
	}
	return parseDescriptor(text, s.id)
}

// parseDescriptor opens both encrypted layers of a descriptor of the service
// with this public key, as any client can that knows the address (rend-spec-v3,
// "Hidden service descriptors: encryption format"), and reads pow-params.
func parseDescriptor(text string, public [32]byte) (powParams, error) {
	cert, err := object(text, "descriptor-signing-key-cert", "ED25519 CERT")
	if err != nil {
		return powParams{}, err
	}
	blinded, err := certSigner(cert)
	if err != nil {
		return powParams{}, err
	}
	word, _ := item(text, "revision-counter")
	revision, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return powParams{}, fmt.Errorf("%w: revision-counter: %w", errDescriptor, err)
	}
	outer, err := object(text, "superencrypted", "MESSAGE")
	if err != nil {
		return powParams{}, err
	}
	credential := sha3.Sum256(append([]byte("credential"), public[:]...))
	sub := sha3.Sum256(append(append([]byte("subcredential"), credential[:]...), blinded...))
	secret := append(append([]byte(nil), blinded...), sub[:]...)
	secret = binary.BigEndian.AppendUint64(secret, revision)
	middle, err := openLayer(outer, secret, "hsdir-superencrypted-data")
	if err != nil {
		return powParams{}, err
	}
	inner, err := object(string(middle), "encrypted", "MESSAGE")
	if err != nil {
		return powParams{}, err
	}
	plain, err := openLayer(inner, secret, "hsdir-encrypted-data")
	if err != nil {
		return powParams{}, err
	}
	return parsePoWParams(string(plain))
}

// openLayer checks and decrypts salt, ciphertext and MAC.
func openLayer(b, secret []byte, name string) ([]byte, error) {
	const saltSize, keySize, macSize = 16, 32, 32
	if len(b) < saltSize+macSize {
		return nil, fmt.Errorf("%w: %s has %d bytes", errDescriptor, name, len(b))
	}
	salt, text, mac := b[:saltSize], b[saltSize:len(b)-macSize], b[len(b)-macSize:]
	kdf := sha3.NewSHAKE256()
	kdf.Write(secret)
	kdf.Write(salt)
	kdf.Write([]byte(name))
	var keys [keySize + aes.BlockSize + macSize]byte
	kdf.Read(keys[:]) // as a hash, it never fails
	key, iv, macKey := keys[:keySize], keys[keySize:keySize+aes.BlockSize], keys[keySize+aes.BlockSize:]
	h := sha3.New256()
	h.Write(binary.BigEndian.AppendUint64(nil, macSize))
	h.Write(macKey)
	h.Write(binary.BigEndian.AppendUint64(nil, saltSize))
	h.Write(salt)
	h.Write(text)
	if subtle.ConstantTimeCompare(h.Sum(nil), mac) != 1 {
		return nil, fmt.Errorf("%w: %s: wrong MAC", errDescriptor, name)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(text))
	cipher.NewCTR(block, iv).XORKeyStream(plain, text)
	return bytes.TrimRight(plain, "\x00"), nil
}

// item returns what follows the keyword at the beginning of a line.
func item(text, keyword string) (string, bool) {
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if word == keyword {
			return rest, true
		}
	}
	return "", false
}

// object returns the bytes of the object behind a keyword (dir-spec, "Document
// meta-format").
func object(text, keyword, kind string) ([]byte, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	_, rest, ok := strings.Cut("\n"+text, "\n"+keyword+"\n-----BEGIN "+kind+"-----\n")
	if ok {
		rest, _, ok = strings.Cut(rest, "-----END "+kind+"-----")
	}
	if !ok {
		return nil, fmt.Errorf("%w: no %s", errDescriptor, keyword)
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rest, "\n", ""))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDescriptor, keyword, err)
	}
	return b, nil
}

// certSigner returns the key that signed a certificate, from its extension
// (cert-spec, "Signed-with-ed25519-key extension"). In a descriptor that is
// the blinded key.
func certSigner(cert []byte) ([]byte, error) {
	const header, signedWith, keySize, signature = 40, 4, 32, 64
	if len(cert) < header+signature {
		return nil, fmt.Errorf("%w: certificate of %d bytes", errDescriptor, len(cert))
	}
	b := cert[header-1 : len(cert)-signature]
	count := b[0]
	b = b[1:]
	for ; count > 0 && len(b) >= 4; count-- {
		size := int(binary.BigEndian.Uint16(b))
		if len(b) < 4+size {
			break
		}
		if b[2] == signedWith && size == keySize {
			return b[4 : 4+size], nil
		}
		b = b[4+size:]
	}
	return nil, fmt.Errorf("%w: certificate does not name its signer", errDescriptor)
}

// parsePoWParams finds `pow-params v1 SEED EFFORT EXPIRES` (proposal 327). A
// descriptor without it asks for no proof of work; of another version we know
// nothing.
func parsePoWParams(text string) (powParams, error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "pow-params" || f[1] != "v1" {
			continue
		}
		if len(f) < 5 {
			return powParams{}, fmt.Errorf("%w: pow-params of %d words", errDescriptor, len(f))
		}
		effort, err := strconv.ParseUint(f[3], 10, 32)
		if err != nil {
			return powParams{}, fmt.Errorf("%w: pow-params: %w", errDescriptor, err)
		}
		expires, err := time.Parse("2006-01-02T15:04:05", f[4])
		if err != nil {
			return powParams{}, fmt.Errorf("%w: pow-params: %w", errDescriptor, err)
		}
		return powParams{on: true, effort: int(effort), expires: expires}, nil
	}
	return powParams{}, nil
}
