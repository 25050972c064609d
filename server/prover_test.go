package server

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"jm-directory-server/server/wire"
)

// testID is the id of directories under test that prove nicks.
const testID = "test:directory-1"

func proving(o *Options)   { o.DirectoryID = testID }
func requiring(o *Options) { o.DirectoryID, o.NickAuth = testID, NickAuthRequire }

// A prover is the owner of a nick and its key.
type prover struct {
	key  *secp256k1.PrivateKey
	nick string
}

// testProver returns the i-th of many.
func testProver(i int) prover {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("prover"), uint64(i)))
	key := secp256k1.PrivKeyFromBytes(seed[:])
	nick, err := wire.NickFromPubKey(key.PubKey().SerializeCompressed())
	if err != nil {
		panic(err) // a key that was just made
	}
	return prover{key, nick}
}

func (o prover) pubKey() wire.PubKey { return wire.PubKey(o.key.PubKey().SerializeCompressed()) }

// handshake is o's 793 payload.
func (o prover) handshake(l wire.Location, features ...string) string {
	features = append(slices.Clone(features), wire.FeatureNickAuth)
	slices.Sort(features)
	return handshakeOf(o.nick, l, features...)
}

// proof is the 805 payload that answers the 803 payload challenge after o's handshake.
func (o prover) proof(tb testing.TB, challenge, handshake string) string {
	tb.Helper()
	c, err := wire.ParseChallenge([]byte(challenge))
	if err != nil {
		tb.Fatal(err)
	}
	claim := wire.Claim{Challenge: c, Handshake: sha256.Sum256([]byte(handshake)), Nick: o.nick}
	digest := claim.Digest(o.pubKey())
	return string(wire.AppendProof(nil, o.pubKey(), ecdsa.Sign(o.key, digest[:]).Serialize()))
}

// challengeMem connects and gets as far as the challenge, which it returns with the handshake.
func challengeMem(t *testing.T, s *Server, o prover, l wire.Location, features ...string) (p *memPeer, challenge, handshake string) {
	t.Helper()
	p = connectMem(t, s, 1<<20)
	p.nick = o.nick
	handshake = o.handshake(l, features...)
	p.send(wire.ClientHandshake, handshake)
	got := p.lines()
	if len(got) != 2 || !accepted(t, got[0]) || got[1].Type != wire.NickChallenge {
		t.Fatalf("%s got %v, want an accepting answer and a challenge", o.nick, got)
	}
	hello, err := wire.ParseDirectoryHello([]byte(got[0].Line))
	if err != nil || !slices.Contains(hello.Features, wire.FeatureNickAuth) {
		t.Fatalf("answer %+v, %v announces no proofs", hello, err)
	}
	return p, got[1].Line, handshake
}

// proveMem connects and proves the nick; what comes of it is for the caller to see.
func proveMem(t *testing.T, s *Server, o prover, l wire.Location, features ...string) *memPeer {
	t.Helper()
	p, challenge, handshake := challengeMem(t, s, o, l, features...)
	p.send(wire.NickProof, o.proof(t, challenge, handshake))
	return p
}

// joinProvenMem completes a handshake with a proof.
func joinProvenMem(t *testing.T, s *Server, o prover, l wire.Location, features ...string) *memPeer {
	t.Helper()
	p := proveMem(t, s, o, l, features...)
	p.wantLines(resultLine(wire.ProofOK))
	return p
}

// resultLine is the 807 that says code.
func resultLine(code wire.ProofCode) rawMessage {
	return rawMessage{wire.NickResult, string(code.AppendLine(nil))}
}

// wantUnproven wants the newcomer told the code and closed.
func wantUnproven(t *testing.T, p *memPeer, s *Server, code wire.ProofCode, reason Reason) {
	t.Helper()
	p.wantLines(resultLine(code))
	p.wantEnded(s, reason)
	if got := s.registry.get(p.nick); got != nil && got.conn == p.c {
		t.Errorf("%s is registered", p.nick)
	}
}

// announces reports whether a 795 does.
func announces(m rawMessage) bool {
	return strings.Contains(m.Line, `"`+wire.FeatureNickAuth+`": true`)
}
