package server

import (
	"slices"
	"sync/atomic"

	"jm-directory-server/server/wire"
)

// A peer is who a connection has shown itself to be in its handshake. It is immutable but for what is
// atomic, and claims.
type peer struct {
	conn     *conn
	nick     string
	location wire.Location
	features []string // sorted; what may follow F: in a peerlist
	network  string   // as the client calls it, lower case

	// verified: it has proven with key that its nick is its own (protocol.md 7). Set before others know of it.
	verified bool
	key      wire.PubKey

	// readsFeatures and answersPing are its features peerlist_features and ping.
	readsFeatures, answersPing bool

	// own: it is the directory itself, looking at itself (Server.Own).
	own bool

	// gone: the registry has let go of it, so nothing of it may follow its departure any more.
	gone atomic.Bool
	// spoken: a message of it was forwarded, so its departure is news (protocol.md 6.5).
	spoken atomic.Bool
	// offers: it has broadcast an offer, so it is listed even when it does not serve (protocol.md 5.3).
	offers atomic.Bool

	// reachable is set once it was reached where it says that it serves: its features with that among them. unreachable: it
	// was not. Neither: that is not known.
	reachable   atomic.Pointer[[]string]
	unreachable atomic.Bool

	claims bool // it counts among those who claim its host; guarded by the registry's lock
}

func newPeer(c *conn, h wire.Handshake) *peer {
	features := h.Features
	if h.Has(wire.FeatureReachable) { // that is for us to say
		features = slices.DeleteFunc(slices.Clone(features), func(f string) bool { return f == wire.FeatureReachable })
	}
	return &peer{
		conn: c, nick: h.Nick, location: h.Location, features: features, network: h.Network,
		readsFeatures: h.Has(wire.FeaturePeerlist), answersPing: h.Has(wire.FeaturePing),
		own: c.s.own.has(h.Nick),
	}
}

// mayReplace reports whether p may take its nick over from owner, whether or not owner shows life: it has proven its
// nick, and owner has not, or with the same key (protocol.md 7.3).
func (p *peer) mayReplace(owner *peer) bool {
	return p.verified && (!owner.verified || owner.key == p.key)
}

// serves reports whether others can reach it directly: what makes it a maker to heartbeat and lists.
func (p *peer) serves() bool { return p.location.Serving() }

// listed reports whether it belongs into the answer to getpeerlist.
func (p *peer) listed() bool { return !p.own && (p.serves() || p.offers.Load()) }

// knownToOthers reports whether its departure must be announced.
func (p *peer) knownToOthers() bool { return !p.own && (p.serves() || p.spoken.Load()) }

// entry is its peerlist entry.
func (p *peer) entry() wire.Entry {
	features := p.features
	if with := p.reachable.Load(); with != nil {
		features = *with
	}
	return wire.Entry{Nick: p.nick, Location: p.location, Features: features}
}
