package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"pgregory.net/rapid"

	"jm-directory-server/server/wire/vectors"
)

// ownership is a record of nick_auth.jsonl.
type ownership struct {
	vectors.Record
	Challenge       string    `json:"challenge"`
	DirectoryID     string    `json:"directory_id"`
	HandshakeLine   string    `json:"handshake_line"`
	HandshakeSHA256 string    `json:"handshake_sha256"`
	Nick            string    `json:"nick"`
	ChallengeBytes  string    `json:"challenge_bytes"`
	ProofBytes      string    `json:"proof_bytes"`
	Expect          ProofCode `json:"expect"`
	ResultBytes     string    `json:"result_bytes"`
	Transcript      string    `json:"transcript"`
	MessageHash     string    `json:"message_hash"`
}

func (r ownership) claim() Claim {
	return Claim{Challenge{r.Challenge, r.DirectoryID}, sha256.Sum256([]byte(r.HandshakeLine)), r.Nick}
}

// line is what stands in one of the record's envelopes; nothing where that is broken.
func (r ownership) line(tb testing.TB, raw string) []byte {
	tb.Helper()
	env, err := new(Parser).Parse([]byte(strings.TrimSuffix(raw, "\r\n")))
	if err != nil && r.Expect != ProofMalformed {
		tb.Fatal(err)
	}
	return bytes.Clone(env.Line)
}

// verdict is what a directory makes of one line, the envelope included.
func verdict(raw []byte, c Claim) ProofCode {
	env, err := new(Parser).Parse(raw)
	if err != nil || env.Type != NickProof {
		return ProofMalformed
	}
	p, err := ParseProof(env.Line)
	if err != nil {
		return ProofMalformed
	}
	if p.Verify(c) != nil {
		return ProofInvalid
	}
	return ProofOK
}

// sameEnvelope compares what we would send, b, with a recorded line: byte by byte inside, the envelope by its members.
func sameEnvelope(t *testing.T, typ Type, b []byte, recorded string) {
	t.Helper()
	env, err := new(Parser).Parse([]byte(strings.TrimSuffix(recorded, "\r\n")))
	if err != nil || env.Type != typ || !bytes.Equal(env.Line, b) {
		t.Errorf("%s, want %v %s, %v", b, env.Type, env.Line, err)
	}
}

func TestVectorsNickAuth(t *testing.T) {
	n := 0
	for _, r := range vectors.Load[ownership](t, "nick_auth.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			c := r.claim()
			if hex.EncodeToString(c.Handshake[:]) != r.HandshakeSHA256 {
				t.Errorf("handshake hashes to %x, want %s", c.Handshake, r.HandshakeSHA256)
			}
			sameEnvelope(t, NickChallenge, c.Challenge.AppendLine(nil), r.ChallengeBytes)
			code := verdict([]byte(strings.TrimSuffix(r.ProofBytes, "\r\n")), c)
			if code != r.Expect {
				t.Errorf("%s, want %s; %s", code, r.Expect, r.Reason)
			}
			sameEnvelope(t, NickResult, code.AppendLine(nil), r.ResultBytes)
			if r.Transcript == "" {
				return
			}
			p := mustProof(t, r.ProofBytes)
			if got := string(c.appendTranscript(nil, p.PubKey)); got != r.Transcript {
				t.Errorf("transcript\n %s\nwant\n %s", got, r.Transcript)
			}
			if digest := c.Digest(p.PubKey); hex.EncodeToString(digest[:]) != r.MessageHash {
				t.Errorf("digest %x, want %s", digest, r.MessageHash)
			}
			sameEnvelope(t, NickProof, AppendProof(nil, p.PubKey, p.signature.Serialize()), r.ProofBytes)
		})
	}
	counted(t, "nick_auth.jsonl", n, 25)
}

func mustProof(tb testing.TB, raw string) Proof {
	tb.Helper()
	env, err := new(Parser).Parse([]byte(strings.TrimSuffix(raw, "\r\n")))
	if err != nil {
		tb.Fatal(err)
	}
	p, err := ParseProof(env.Line)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// someProof is the line of the proof in the record "ok", and what it proves.
func someProof(tb testing.TB) (string, Claim) {
	tb.Helper()
	for _, r := range vectors.Load[ownership](tb, "nick_auth.jsonl") {
		if r.Name == "ok" {
			return string(r.line(tb, r.ProofBytes)), r.claim()
		}
	}
	tb.Fatal("no record ok")
	return "", Claim{}
}

func TestProofIsParsedStrictly(t *testing.T) {
	good, claim := someProof(t)
	if p, err := ParseProof([]byte(good)); err != nil || p.Verify(claim) != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal([]byte(good), &members); err != nil {
		t.Fatal(err)
	}
	key, signature := members["pubkey"], members["signature"]
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(at int, b ...byte) string { // der with bytes changed
		d := bytes.Clone(der)
		copy(d[at:], b)
		return base64.StdEncoding.EncodeToString(d)
	}
	order := secp256k1.Params().N
	rs := func(r, s *big.Int) string {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	one := big.NewInt(1)
	for _, c := range []struct {
		name, old, new string
		want           error // nil: well-formed
	}{
		{"escapes", `pubkey`, `\u0070ubkey`, nil},
		{"escaped padding", `==`, `=\u003d`, nil},
		{"smallest signature", signature, rs(one, one), nil},
		{"largest signature", signature, rs(new(big.Int).Sub(order, one), new(big.Int).Sub(order, one)), nil},
		{"r is the order", signature, rs(order, one), errProofSignature},
		{"s is the order", signature, rs(one, order), errProofSignature},
		{"r is zero", signature, rs(big.NewInt(0), one), errProofSignature},
		{"s is zero", signature, rs(one, big.NewInt(0)), errProofSignature},
		{"s is negative", signature, rs(one, big.NewInt(-1)), errProofSignature},
		{"r has 33 bytes", signature, rs(new(big.Int).Lsh(one, 258), one), errProofSignature},
		{"no sequence", signature, edit(0, 0x31), errProofSignature},
		{"wrong length", signature, edit(1, der[1]+1), errProofSignature},
		{"long form of the length", signature, base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x81, der[1]}, der[2:]...)), errProofSignature},
		{"no integer", signature, edit(2, 3), errProofSignature},
		{"r beyond the end", signature, edit(3, 0x7f), errProofSignature},
		{"cut", signature, base64.StdEncoding.EncodeToString(der[:len(der)-1]), errProofSignature},
		{"empty signature", signature, ``, errProofSignature},
		{"7 bytes", signature, base64.StdEncoding.EncodeToString(der[:7]), errProofSignature},
		{"73 bytes", signature, base64.StdEncoding.EncodeToString(make([]byte, 73)), errProofBase64},
		{"30000 bytes", signature, strings.Repeat("MEQC", 10_000), errProofBase64},
		{"url alphabet", signature, base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 70)), errProofBase64},
		{"bits behind the end", `+Q==`, `+R==`, errProofBase64},
		{"blank", `MEQC`, ` MEQC`, errProofBase64},
		{"carriage return", `MEQC`, `MEQC\r`, errProofBase64},
		{"newline at the end", `==`, `==\n`, errProofBase64},
		{"padding twice", `==`, `====`, errProofBase64},
		{"key of another form", key, "04" + key[2:], errProofKey},
		{"key with 0X", key, "0X" + key[2:], errProofKey},
		{"key without hex", key, "02" + strings.Repeat("g", 64), errProofKey},
		{"key with a blank", key, key + " ", errProofKey},
		{"x is the field prime", key, "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", errProofKey},
		{"key of zeros", key, "02" + strings.Repeat("0", 64), errProofKey},
		{"empty key", key, ``, errProofKey},
		{"key is a number", `"` + key + `"`, `2`, ErrMember},
		{"nested", `"` + key + `"`, `{"pubkey":"` + key + `"}`, ErrMember},
		{"deep", `"` + key + `"`, strings.Repeat("[", 30_000), ErrMember},
		{"other case", `"pubkey"`, `"PubKey"`, ErrMember},
		{"escaped duplicate", `}`, `,"\u0070ubkey":"x"}`, ErrDuplicate},
		{"trailing data", `}`, `}{}`, ErrSyntax},
		{"not UTF-8", key, "\xff", ErrUTF8},
	} {
		line := strings.Replace(good, c.old, c.new, 1)
		p, err := ParseProof([]byte(line))
		if line == good || c.want == nil && err != nil || c.want != nil && (!errors.Is(err, ErrProofMalformed) || !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && p != (Proof{}) {
			t.Errorf("%s: something came with the error", c.name)
		}
	}
}

func TestVarintOfTheTranscript(t *testing.T) {
	// The header that precedes a text of each length class, by its bytes.
	for n, prefix := range map[int]string{0: "00", 0xfc: "fc", 0xfd: "fdfd00", 0xffff: "fdffff", 0x10000: "fe00000100"} {
		text := bytes.Repeat([]byte("a"), n)
		length, err := hex.DecodeString(prefix)
		if err != nil {
			t.Fatal(err)
		}
		once := sha256.Sum256(bytes.Join([][]byte{[]byte("\x18Bitcoin Signed Message:\n"), length, text}, nil))
		if want := sha256.Sum256(once[:]); BitcoinDigest(text) != want {
			t.Errorf("%d bytes: another digest", n)
		}
	}
}

// signClaim signs for whoever the key is.
func signClaim(key *secp256k1.PrivateKey, c Claim) []byte {
	public := PubKey(key.PubKey().SerializeCompressed())
	digest := c.Digest(public)
	return AppendProof(nil, public, ecdsa.Sign(key, digest[:]).Serialize())
}

// TestSignedProofVerifiesAndNothingElseDoes: nothing that the proof is bound to can be changed by one byte.
func TestSignedProofVerifiesAndNothingElseDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := secp256k1.PrivKeyFromBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool {
			return !bytes.Equal(b, make([]byte, 32))
		}).Draw(t, "key"))
		if key.Key.IsZero() {
			t.Skip("the order is no key")
		}
		nick, err := NickFromPubKey(key.PubKey().SerializeCompressed())
		if err != nil {
			t.Fatal(err)
		}
		line := Handshake{Nick: nick, Location: anyLocation.Draw(t, "location"), Network: "mainnet", Features: anyFeatures.Draw(t, "features")}.AppendLine(nil)
		c := Claim{NewChallenge(rapid.StringMatching(`[a-z0-9][a-z0-9.:_-]{0,100}`).Draw(t, "id")), sha256.Sum256(line), nick}
		p, err := ParseProof(signClaim(key, c))
		if err != nil || p.Verify(c) != nil {
			t.Fatalf("own proof: %v, %v", err, p.Verify(c))
		}
		change := func(s string) string {
			b := []byte(s)
			i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			return string(b)
		}
		changed := c
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			changed.Nick = change(c.Nick)
		case 1:
			changed.Challenge.Nonce = change(c.Challenge.Nonce)
		case 2:
			changed.Challenge.DirectoryID = change(c.Challenge.DirectoryID)
		case 3:
			changed.Handshake = sha256.Sum256([]byte(change(string(line))))
		}
		if err := p.Verify(changed); !errors.Is(err, ErrProofInvalid) {
			t.Fatalf("with another claim: %v", err)
		}
		// The other s of the same signature.
		high := p
		s := p.signature.S()
		r := p.signature.R()
		high.signature = ecdsa.NewSignature(&r, s.Negate())
		if err := high.Verify(c); !errors.Is(err, ErrProofInvalid) {
			t.Fatalf("with the higher s: %v", err)
		}
	})
}

func FuzzNickProof(f *testing.F) {
	for _, r := range vectors.Load[ownership](f, "nick_auth.jsonl") {
		f.Add(r.line(f, r.ProofBytes))
	}
	good, claim := someProof(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := ParseProof(line)
		wellFormed := oracleProof(line)
		if wellFormed != (err == nil) || err != nil && !errors.Is(err, ErrProofMalformed) {
			t.Fatalf("%q: %v, second opinion %v", line, err, wellFormed)
		}
		if err != nil {
			return
		}
		again, err := ParseProof(AppendProof(nil, p.PubKey, p.signature.Serialize()))
		if s := p.signature.S(); err != nil || again.PubKey != p.PubKey || !s.IsOverHalfOrder() && !again.signature.IsEqual(p.signature) {
			t.Fatalf("%q comes back as %+v, %v", line, again, err)
		}
		if p.Verify(claim) == nil {
			// Only the one signature that we have, in whatever JSON, proves the record's nick.
			want, err := ParseProof([]byte(good))
			if err != nil || !want.signature.IsEqual(p.signature) {
				t.Fatalf("forged: %q", line)
			}
		}
	})
}

// oracleProof is ParseProof by other libraries and by the words of protocol.md 7.1.
func oracleProof(line []byte) bool {
	members, err := oracleObject(line)
	if err != nil || len(members) != 2 {
		return false
	}
	key, okKey := oracleValue[string](members["pubkey"])
	signature, okSignature := oracleValue[string](members["signature"])
	b, err := hex.DecodeString(key)
	if !okKey || !okSignature || err != nil || len(b) != 33 || strings.ToLower(key) != key || b[0] != 2 && b[0] != 3 {
		return false
	}
	curve := secp256k1.Params()
	x := new(big.Int).SetBytes(b[1:])
	if x.Cmp(curve.P) >= 0 {
		return false
	}
	square := new(big.Int).Exp(x, big.NewInt(3), curve.P)
	square.Add(square, big.NewInt(7)).Mod(square, curve.P)
	if new(big.Int).ModSqrt(square, curve.P) == nil {
		return false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || strings.ContainsAny(signature, "\r\n") || len(der) < 8 || len(der) > 72 {
		return false
	}
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &rs)
	if err != nil || len(rest) != 0 {
		return false
	}
	canonical, err := asn1.Marshal(rs)
	return err == nil && bytes.Equal(canonical, der) &&
		rs.R.Sign() > 0 && rs.R.Cmp(curve.N) < 0 && rs.S.Sign() > 0 && rs.S.Cmp(curve.N) < 0
}

func BenchmarkParseAndVerifyProof(b *testing.B) {
	line, claim := someProof(b)
	b.ReportAllocs()
	for b.Loop() {
		p, err := ParseProof([]byte(line))
		if err != nil || p.Verify(claim) != nil {
			b.Fatal(err)
		}
	}
}
