package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// What can be wrong with a proof (protocol.md 7.1). Each stands for the result code of its name.
var (
	// ErrProofMalformed is a line that is no proof, whatever it would prove: ProofMalformed. It is wrapped together with
	// what is wrong.
	ErrProofMalformed = errors.New("proof malformed")
	// ErrProofInvalid is a proof that does not prove the nick: ProofInvalid.
	ErrProofInvalid = errors.New("proof invalid")
)

// Reasons of ErrProofMalformed beside those of strict JSON. They never quote the line.
var (
	errProofKey       = errors.New("pubkey is not a compressed key in lower-case hex")
	errProofBase64    = errors.New("signature is not canonical base64")
	errProofSignature = errors.New("signature is not strict DER")
)

// A PubKey is a compressed secp256k1 public key. It is comparable: two nicks with the same key are the same nick.
type PubKey [secp256k1.PubKeyBytesLenCompressed]byte

// A Claim is what the owner of a nick signs: that it, and nobody else, sent this handshake to this directory, now (protocol.md
// 7.2).
type Claim struct {
	Challenge Challenge         // the directory's, made for this one connection
	Handshake [sha256.Size]byte // SHA-256 of the line of the client's 793, decoded: of Envelope.Line
	Nick      string            // valid (ValidNick); the one in that handshake
}

// domain ends each transcript. It follows the key without a separator.
const domain = "nick-auth-v1"

// appendTranscript appends the text that is signed with key.
func (c Claim) appendTranscript(dst []byte, key PubKey) []byte {
	dst = append(dst, "nick-auth|"...)
	dst = append(dst, c.Challenge.Nonce...)
	dst = append(dst, '|')
	dst = append(dst, c.Challenge.DirectoryID...)
	dst = append(dst, '|')
	dst = hex.AppendEncode(dst, c.Handshake[:])
	dst = append(dst, '|')
	dst = append(dst, c.Nick...)
	dst = append(dst, '|')
	dst = hex.AppendEncode(dst, key[:])
	return append(dst, domain...)
}

// Digest returns what key signs: the hash of the claim's transcript as a Bitcoin signed message (protocol.md 7.2).
func (c Claim) Digest(key PubKey) [sha256.Size]byte {
	return BitcoinDigest(c.appendTranscript(nil, key))
}

// BitcoinDigest is SHA-256d of text behind the header of a Bitcoin signed message and the length of text as a varint
// (protocol.md 7.2).
func BitcoinDigest(text []byte) [sha256.Size]byte {
	b := append(make([]byte, 0, len(text)+32), "\x18Bitcoin Signed Message:\n"...)
	switch n := len(text); {
	case n < 0xfd:
		b = append(b, byte(n))
	case n <= math.MaxUint16:
		b = binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	default:
		b = binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	}
	once := sha256.Sum256(append(b, text...))
	return sha256.Sum256(once[:])
}

// A Proof is a well-formed answer to a challenge, the line of an 805 (protocol.md 7.1). It proves nothing before Verify.
type Proof struct {
	PubKey    PubKey // on the curve
	key       *secp256k1.PublicKey
	signature *ecdsa.Signature
}

// maxSignature is the longest signature in base64: 72 bytes of DER.
const maxSignature = 96

// ParseProof parses the line of an 805, strictly: an object of exactly its two members, a key in lower-case hex that lies on the
// curve, a signature in canonical base64 with padding of strict DER: r and s in 1 to n-1, as short as can be, 8 to 72
// bytes in all. Errors wrap ErrProofMalformed.
func ParseProof(line []byte) (Proof, error) {
	malformed := func(why error) (Proof, error) { return Proof{}, fmt.Errorf("%w: %w", ErrProofMalformed, why) }
	values, err := parseExactly(line, memberPubKey, memberSignature)
	if err != nil {
		return malformed(err)
	}
	key, okKey := stringOf(values[0])
	signature, okSignature := stringOf(values[1])
	if !okKey || !okSignature {
		return malformed(ErrMember)
	}
	var p Proof
	if len(key) != 2*len(p.PubKey) || !lowerHex(key) || key[0] != '0' || key[1] != '2' && key[1] != '3' {
		return malformed(errProofKey)
	}
	if _, err := hex.Decode(p.PubKey[:], []byte(key)); err != nil {
		return malformed(errProofKey)
	}
	if p.key, err = secp256k1.ParsePubKey(p.PubKey[:]); err != nil {
		return malformed(errProofKey)
	}
	// The decoder passes over CR and LF, so what it returns is compared with the form that it ought to have had.
	der, err := base64.StdEncoding.DecodeString(signature[:min(len(signature), maxSignature+1)])
	if err != nil || base64.StdEncoding.EncodeToString(der) != signature {
		return malformed(errProofBase64)
	}
	if p.signature, err = ecdsa.ParseDERSignature(der); err != nil {
		return malformed(errProofSignature)
	}
	return p, nil
}

// AppendProof appends the line of an 805, as existing clients send it. der is a signature of Claim.Digest in DER with the lower s.
func AppendProof(dst []byte, key PubKey, der []byte) []byte {
	dst = append(dst, `{"`+memberPubKey+`":"`...)
	dst = hex.AppendEncode(dst, key[:])
	dst = append(dst, `","`+memberSignature+`":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, der)
	return append(dst, `"}`...)
}

// Verify returns nil if p proves c: its key is the one that c's nick was made of, and has signed c, with the lower s of the
// two that a signature can have (protocol.md 7.1). Otherwise it returns ErrProofInvalid. It costs about as much as
// encoding a thousand lines: whoever lets strangers cause it must bound how many run at once.
func (p Proof) Verify(c Claim) error {
	if nick, err := NickFromPubKey(p.PubKey[:]); err != nil || nick != c.Nick {
		return ErrProofInvalid
	}
	if s := p.signature.S(); s.IsOverHalfOrder() {
		return ErrProofInvalid
	}
	if digest := c.Digest(p.PubKey); !p.signature.Verify(digest[:], p.key) {
		return ErrProofInvalid
	}
	return nil
}
