package server

import (
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"time"

	"jm-directory-server/server/wire"
)

// handshake takes the first line, answers it, and on success makes the connection a peer. It returns why the
// connection must end, or ReasonNone.
//
// The steps are: hello (the client's 793 is checked), then, where both sides announce nick_auth, prove (795, 803, 805
// and 807, the peer being unknown until the last of them), otherwise join (795). The final line, 807 or 795, and the
// registration come in one section.
func (c *conn) handshake() Reason {
	if c.known {
		if _, banned := c.s.bans.circuit(c.circuit); banned {
			return EvictedBanned
		}
	}
	if !c.admitted() {
		return RefusedRate
	}
	if evicted := c.s.pool.add(c, c.s.now()); evicted != nil {
		evicted.evict(EvictedPool)
	}
	if err := c.t.setReadDeadline(time.Now().Add(c.s.opt().HandshakeTimeout)); err != nil {
		return ClosedReset
	}
	if c.ended.Load() != 0 {
		return ClosedReset // the deadline just overwritten may have said so
	}
	h, hash, reason := c.hello()
	if reason != ReasonNone {
		return reason
	}
	p := newPeer(c, h)
	// Looked up once: what is announced is what is done, also while Reload comes in between.
	mode, id := c.s.opt().NickAuth, c.s.authID()
	switch {
	case h.Has(wire.FeatureNickAuth) && id != "":
		reason = c.prove(p, id, hash)
	case mode != NickAuthRequire, p.own:
		reason = c.join(p, id)
	case id == "":
		reason = c.refuse(RefusedProofNotReady, "nicks cannot be verified yet", p.network)
	default:
		reason = c.refuse(RefusedProofRequired, "verified nick authentication required", p.network)
	}
	if reason != ReasonNone {
		return reason
	}
	c.s.pool.remove(c)
	if err := c.t.setReadDeadline(time.Time{}); err != nil {
		return ClosedReset
	}
	if c.ended.Load() != 0 {
		return ClosedReset // evicted meanwhile; the deadline just lifted was its signal
	}
	c.s.count.handshakes.Add(1)
	c.s.locations.add(c.peer)
	if c.peer.own {
		c.log("own peer joined", ReasonNone)
	} else {
		c.log("peer joined", ReasonNone)
	}
	return ReasonNone
}

// maxAdmitting is how many connections of one circuit may wait for their handshake at a time.
const maxAdmitting = 8

// admitted takes a handshake from the bucket of the circuit and from the budget of all, and waits until it is there, if not too
// long. The connection is not in the pool yet, so whoever comes too fast keeps nobody else out of it; and circuits get their
// turn one after the other, however many connections wait on one of them.
func (c *conn) admitted() bool {
	if c.via != nil {
		if c.via.admitting.Add(1) > maxAdmitting {
			c.via.admitting.Add(-1)
			return false
		}
		defer c.via.admitting.Add(-1)
		at := c.s.at(c.s.now())
		wait, ok := reserve(c.via.get(classHandshake, c.s.opt().Circuits.Handshakes, at), nil, at, 1, true)
		if !ok || wait > 0 && !c.hold(wait) {
			return false
		}
	}
	b := &c.s.budgets[scarceHandshakes]
	if b.waiting() >= c.s.opt().MaxHandshakes {
		return false
	}
	r := b.take(c.flow(), 1, 1)
	if r == nil {
		return true
	}
	late := time.NewTimer(maxHold)
	defer late.Stop()
	return c.served(b, r, late.C, nil)
}

// hello reads and checks the first line. Of one whose nick may have to be proven it returns the hash, too: the line itself is
// not kept.
func (c *conn) hello() (h wire.Handshake, hash [sha256.Size]byte, reason Reason) {
	line, err := c.in.next()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return h, hash, EvictedHandshake
	}
	if err != nil {
		return h, hash, c.readReason(err)
	}
	c.received(line)
	parser := parsers.Get().(*wire.Parser)
	defer parsers.Put(parser)
	env, err := parser.Parse(line)
	if err != nil {
		return h, hash, ClosedMalformed
	}
	if env.Type != wire.ClientHandshake {
		return h, hash, RefusedNotHandshake
	}
	h, err = wire.ParseHandshake(env.Line, c.s.opt().rules)
	if err != nil {
		var refusal *wire.RefusalError
		if !errors.As(err, &refusal) {
			return h, hash, RefusedUndecodable
		}
		return h, hash, c.refuse(refusalReason(refusal.Reason), refusal.Text, "")
	}
	if h.Has(wire.FeatureNickAuth) {
		hash = sha256.Sum256(env.Line)
	}
	if c.s.Draining() && !c.s.own.has(h.Nick) {
		return h, hash, c.refuse(RefusedDraining, aboutToStop, h.Network)
	}
	if ban, ok := c.s.bans.nick(h.Nick, h.Has(wire.FeatureNickAuth) && c.s.authID() != ""); ok {
		return h, hash, c.refuse(RefusedBanned, bannedText(ban), h.Network)
	}
	if h.Nick == c.s.nick {
		return h, hash, c.refuse(RefusedOwnNick, "this nick is the directory's own", h.Network)
	}
	if own := c.s.location.Load(); h.Location.Serving() && own != nil && h.Location.Host == own.Host {
		return h, hash, c.refuse(RefusedOwnLocation, "this location is the directory's own", h.Network)
	}
	return h, hash, ReasonNone
}

// join registers p, whose nick is not proven, after the owner of its nick, if there is one, had its chance to show life.
func (c *conn) join(p *peer, id string) Reason {
	last, err := newFrame(wire.DirectoryHandshake, c.s.hello(true, p.network, "", id).AppendLine(nil), c.s.now())
	if err != nil {
		return RefusedOther
	}
	defer last.release()
	c.peer = p
	var owner silence
	for {
		if ban, ok := c.s.bans.nick(p.nick, false); ok { // made while it waited
			return c.refuse(RefusedBanned, bannedText(ban), p.network)
		}
		incumbent, reason := c.s.registry.join(p, last, owner)
		if reason == ReasonNone {
			return c.registered(p, incumbent)
		}
		if reason == RefusedNickInUse && !incumbent.verified {
			var alive bool
			if owner, alive = c.s.stillThere(incumbent, c, owner); !alive && c.ended.Load() == 0 {
				continue
			}
		}
		switch Reason(c.ended.Load()) {
		case ReasonNone:
			return c.refuse(reason, joinRefusal(reason), p.network)
		case EvictedShutdown:
			return c.refuse(RefusedDraining, aboutToStop, p.network)
		default:
			return ClosedReset
		}
	}
}

// aboutToStop is what newcomers are told while the server drains, and those who wait when it stops.
const aboutToStop = "this directory is about to stop, use another one"

// joinRefusal is what somebody is told whom the registry refuses.
func joinRefusal(reason Reason) string {
	switch reason {
	case RefusedNickInUse:
		return "nick in use"
	case RefusedFull:
		return "directory is full"
	case RefusedHostFull:
		return "too many nicks at this location"
	case RefusedRate:
		return "too many messages to all for now, try again later"
	default:
		return "not accepted"
	}
}

// registered ends old, whose nick p has taken over, if there is one, and p itself if it is banned. Nobody joins while Server.Ban
// makes a ban: p was there before, and is ended by that, or finds the ban here.
func (c *conn) registered(p, old *peer) Reason {
	if old != nil {
		old.conn.evict(EvictedDisplaced)
	}
	if _, banned := c.s.bans.nick(p.nick, p.verified); banned {
		return EvictedBanned
	}
	return ReasonNone
}

// refuse answers accepted=false; the reason is for people. network is what the client calls the network,
// "" when it has not said so.
func (c *conn) refuse(reason Reason, text, network string) Reason {
	c.send(wire.DirectoryHandshake, c.s.hello(false, network, "Rejected: "+text, c.s.authID()).AppendLine(nil))
	return reason
}

// hello is the server's side of the handshake, while nicks are proven for id.
func (s *Server) hello(accepted bool, network, motd, id string) wire.DirectoryHello {
	if network == "" {
		network = s.opt().Network
	}
	if motd == "" {
		motd = s.opt().motd
	}
	return wire.DirectoryHello{
		Accepted: accepted, Nick: s.nick, Network: network, MOTD: motd,
		Features: ownFeatures(id),
	}
}

// versionedMOTD is the operator's text with the software's version, as clients show it.
func versionedMOTD(text, version string) string {
	return strings.TrimLeft(strings.TrimRight(text, "\n")+"\njm-directory-server version: "+version, "\n")
}

// refusalReason translates the parser's reason.
func refusalReason(r wire.Refusal) Reason {
	for _, reason := range []Reason{RefusedAppName, RefusedDirectory, RefusedProtoVer, RefusedNetwork, RefusedNick, RefusedLocation, RefusedFeatures} {
		if reason.String() == string(r) {
			return reason
		}
	}
	return RefusedOther
}
