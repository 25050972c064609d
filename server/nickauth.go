package server

import (
	"crypto/sha256"
	"errors"
	"os"
	"runtime"
	"time"

	"jm-directory-server/server/wire"
)

// Modes of Options.NickAuth. In any but NickAuthDisabled, whoever announces the feature nick_auth to a directory that
// announces it has to prove its nick (protocol.md 7.1).
const (
	// NickAuthPrefer lets others in as well, but they neither take a nick from who has proven it nor keep it.
	NickAuthPrefer = "prefer_verified"
	// NickAuthRequire refuses others.
	NickAuthRequire = "require_verified"
	// NickAuthDisabled does not announce the feature and asks nobody.
	NickAuthDisabled = "disabled"
)

// NickAuthModes are all modes.
var NickAuthModes = []string{NickAuthPrefer, NickAuthRequire, NickAuthDisabled}

// authID returns the id for which nicks are proven now, or "" while the feature is not announced: the mode is
// NickAuthDisabled, or no id is known.
func (s *Server) authID() string {
	if id := s.directoryID.Load(); id != nil && s.opt().NickAuth != NickAuthDisabled {
		return *id
	}
	return ""
}

// setDirectoryID takes id for the directory's, if it can be one; otherwise none is known.
func (s *Server) setDirectoryID(id string) {
	if !wire.ValidDirectoryID(id) {
		s.directoryID.Store(nil)
		return
	}
	s.directoryID.Store(&id)
}

// ownFeatures are what the directory announces while nicks are proven for id.
func ownFeatures(id string) []string {
	if id == "" {
		return []string{wire.FeaturePeerlist, wire.FeaturePing}
	}
	return []string{wire.FeatureNickAuth, wire.FeaturePeerlist, wire.FeaturePing}
}

// prove has the client show that p's nick is its own, and registers p if it does (protocol.md 7.1): accepted, challenge,
// proof, result. The client has one attempt, and Options.ProofTimeout for it. Until the result, p is known to nobody,
// and nothing else is sent to it. handshake is the hash of the client's first line, id the directory's, which p's
// client was told.
func (c *conn) prove(p *peer, id string, handshake [sha256.Size]byte) Reason {
	claim := wire.Claim{Challenge: c.s.newChallenge(id), Handshake: handshake, Nick: p.nick}
	if err := c.t.setReadDeadline(time.Now().Add(c.s.opt().ProofTimeout)); err != nil {
		return ClosedReset
	}
	if c.ended.Load() != 0 {
		return ClosedReset // the deadline just overwritten may have said so
	}
	c.send(wire.DirectoryHandshake, c.s.hello(true, p.network, "", id).AppendLine(nil))
	c.send(wire.NickChallenge, claim.Challenge.AppendLine(nil))
	line, err := c.in.next()
	switch {
	case c.ended.Load() != 0:
		return ClosedReset // evicted, which is no fault of the proof
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.refuseProof(wire.ProofExpired, RefusedProofExpired)
	case errors.Is(err, wire.ErrTooLong):
		return c.refuseProof(wire.ProofMalformed, RefusedProofMalformed)
	case err != nil:
		return c.readReason(err)
	}
	c.received(line)
	switch err := p.verify(line, claim); {
	case c.ended.Load() != 0:
		return ClosedReset
	case errors.Is(err, wire.ErrProofInvalid):
		return c.refuseProof(wire.ProofInvalid, RefusedProofInvalid)
	case err != nil:
		return c.refuseProof(wire.ProofMalformed, RefusedProofMalformed)
	}
	return c.joinProven(p)
}

// joinProven registers p, whose nick is proven. Who has proven its nick need not wait for what an unproven owner of it has
// to say (protocol.md 7.3).
func (c *conn) joinProven(p *peer) Reason {
	last, err := newFrame(wire.NickResult, wire.ProofOK.AppendLine(nil), c.s.now())
	if err != nil {
		return RefusedOther
	}
	defer last.release()
	c.peer = p
	if _, banned := c.s.bans.nick(p.nick, true); banned { // since its challenge
		return c.refuseProof(wire.ProofPolicy, RefusedBanned)
	}
	incumbent, reason := c.s.registry.join(p, last, silence{})
	switch {
	case reason == ReasonNone:
		return c.registered(p, incumbent)
	case c.ended.Load() != 0:
		return ClosedReset // evicted while it waited, or the server stops, and no code of a result says that
	case reason == RefusedNickInUse: // by one who has proven it with another key
		return c.refuseProof(wire.ProofPolicy, RefusedProofPolicy)
	default:
		return c.refuseProof(wire.ProofPolicy, reason)
	}
}

// refuseProof answers with a result that is not ok.
func (c *conn) refuseProof(code wire.ProofCode, reason Reason) Reason {
	c.send(wire.NickResult, code.AppendLine(nil))
	return reason
}

// verify checks that line is an 805 that proves claim, and notes the key. Errors: wire.ErrProofInvalid, and others
// that all mean malformed.
//
// A check takes a fifth of a millisecond, and strangers cause it. They get half of the cores, however many wait, and with
// one core half of the time: the rest is for the peers. The wait is bounded by the number of those in handshake.
func (p *peer) verify(line []byte, claim wire.Claim) error {
	c := p.conn
	c.s.checks <- struct{}{}
	began := time.Now()
	defer func() {
		if runtime.GOMAXPROCS(0) == 1 {
			// Handing on at once would keep the scheduler from looking at the network (it does when nothing
			// can run, or every 10 ms).
			time.Sleep(min(time.Since(began), maxRest))
		}
		<-c.s.checks
	}()
	if c.ended.Load() != 0 {
		return wire.ErrProofInvalid // evicted while it waited: nobody wants to know any more
	}
	parser := parsers.Get().(*wire.Parser)
	defer parsers.Put(parser)
	env, err := parser.Parse(line)
	if err != nil {
		return err
	}
	if env.Type != wire.NickProof {
		return wire.ErrProofMalformed
	}
	proof, err := wire.ParseProof(env.Line)
	if err != nil {
		return err
	}
	if err := proof.Verify(claim); err != nil {
		return err
	}
	p.verified, p.key = true, proof.PubKey
	return nil
}

// maxRest bounds the pause after a check, whatever held the check up.
const maxRest = 10 * time.Millisecond

// checksAtOnce is how many proofs may be checked at the same time.
func checksAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// warnUnprovable says so where everybody is refused because nothing can be proven.
func (s *Server) warnUnprovable() {
	if s.opt().NickAuth == NickAuthRequire && s.authID() == "" {
		s.logger.Warn("every client is refused for now: nicks have to be verified, and neither the directory's id nor its location is known")
	}
}
