package server

// Reason says why the server refused, dropped or closed something. Every such act has exactly one, it is
// counted (Server.Status), logged at debug, and is meant to be a metric's label: lower case, fixed, never
// with anything of a client in it.
type Reason uint8

// The reasons, grouped by what they end.
const (
	ReasonNone Reason = iota

	// Closed connections: of the peer's own doing.
	ClosedByPeer    // end of stream
	ClosedReset     // the connection failed
	ClosedPolitely  // 801 (protocol.md 5.5)
	ClosedMalformed // not an envelope (protocol.md 2)
	ClosedTooLong   // a line above wire.MaxLine
	ClosedLineSlow  // a line begun and not finished in Options.LineTimeout
	ClosedProof     // 803, 805 or 807 outside a nick proof (protocol.md 7.1)
	ClosedViolation // too many violations

	// Closed connections: evicted or ended by us.
	EvictedHandshake  // no handshake in Options.HandshakeTimeout
	EvictedPool       // oldest of too many connections still in handshake
	EvictedOutboxFull // more waits for the peer than Options.OutboxBytes
	EvictedOutboxAge  // what waits is older than Options.OutboxAge
	EvictedNoProgress // the peer took nothing for Options.WriteTimeout
	EvictedIdle       // silent for Options.EvictIdle
	EvictedLegacyIdle // silent for Options.LegacyIdle and unable to answer probes
	EvictedNoPong     // did not answer a ping
	EvictedDisplaced  // another connection took the nick over (protocol.md 6.4)
	EvictedShutdown   // the server stops
	EvictedKicked     // the operator ended the connection
	EvictedBanned     // the operator banned the nick or the circuit
	EvictedNoFile     // there were no descriptors left for it
	EvictedCircuit    // too many connections of its circuit were closed for violations

	// Refused handshakes: undecodable ones are closed, the others answered.
	RefusedUndecodable
	RefusedNotHandshake // the first line is of another type
	RefusedAppName
	RefusedDirectory
	RefusedProtoVer
	RefusedNetwork
	RefusedNick
	RefusedLocation
	RefusedFeatures
	RefusedOwnNick     // the directory's own nick
	RefusedOwnLocation // the directory's own location (protocol.md 4.2)
	RefusedNickInUse
	RefusedHostFull // too many nicks at one onion host
	RefusedFull     // Options.MaxPeers reached
	RefusedBanned   // the operator keeps this nick out
	RefusedDraining // the server takes nobody new (Server.SetDraining)
	RefusedRate     // too many handshakes, of its circuit or of all, or a take-over that could not be paid for
	RefusedOther

	// Refused handshakes: of a nick that is to be proven (protocol.md 7.1).
	RefusedProofRequired  // the client cannot prove its nick, and has to
	RefusedProofNotReady  // the client has to prove its nick, and the directory does not know its own id yet
	RefusedProofMalformed // what came is no proof
	RefusedProofExpired   // nothing came in Options.ProofTimeout
	RefusedProofInvalid   // the proof does not prove the nick
	RefusedProofPolicy    // the nick's owner has proven it with another key

	// Dropped messages.
	DroppedRatePublic
	DroppedRatePrivate
	DroppedRatePeerlist
	DroppedRateControl
	DroppedRateBytes
	DroppedRateOffer
	DroppedOfferSize     // a message with an offer above Options.Offers.Bytes
	DroppedOfferLimit    // one offer more than Options.Offers.Max
	DroppedBudget        // more public messages than all together may send, and others came first
	DroppedCrowded       // its slow addressee has a sender's share of it waiting already
	DroppedOrderbook     // the same request again, within Options.OrderbookWindow
	DroppedForged        // from-nick is not the sender's (protocol.md 6.2)
	DroppedMalformed     // no "!", no body, wrong second field, too many orderbook requests at once
	DroppedUnknownTarget // nobody of that nick is here
	DroppedSelf          // private message to oneself
	DroppedDisplaced     // its sender's nick went to another connection while it waited for a rate or a budget
	DroppedTooLong       // above wire.MaxLine after encoding
	DroppedUnexpected    // a type that means nothing from a client, or nothing any more

	numReasons
)

var reasonNames = [numReasons]string{
	ReasonNone:            "none",
	ClosedByPeer:          "by_peer",
	ClosedReset:           "reset",
	ClosedPolitely:        "politely",
	ClosedMalformed:       "malformed",
	ClosedTooLong:         "line_too_long",
	ClosedLineSlow:        "line_too_slow",
	ClosedProof:           "proof_out_of_order",
	ClosedViolation:       "violations",
	EvictedHandshake:      "handshake_timeout",
	EvictedPool:           "handshake_pool_full",
	EvictedOutboxFull:     "outbox_full",
	EvictedOutboxAge:      "outbox_age",
	EvictedNoProgress:     "no_progress",
	EvictedIdle:           "idle",
	EvictedLegacyIdle:     "idle_legacy",
	EvictedNoPong:         "no_pong",
	EvictedDisplaced:      "displaced",
	EvictedShutdown:       "shutdown",
	EvictedKicked:         "kicked",
	EvictedBanned:         "banned",
	EvictedNoFile:         "no_file",
	EvictedCircuit:        "circuit",
	RefusedUndecodable:    "undecodable",
	RefusedNotHandshake:   "not_handshake",
	RefusedAppName:        "app_name",
	RefusedDirectory:      "directory",
	RefusedProtoVer:       "proto_ver",
	RefusedNetwork:        "network",
	RefusedNick:           "nick",
	RefusedLocation:       "location",
	RefusedFeatures:       "features",
	RefusedOwnNick:        "own_nick",
	RefusedOwnLocation:    "own_location",
	RefusedNickInUse:      "nick_in_use",
	RefusedHostFull:       "host_full",
	RefusedFull:           "directory_full",
	RefusedBanned:         "banned",
	RefusedDraining:       "draining",
	RefusedRate:           "rate_handshake",
	RefusedOther:          "other",
	RefusedProofRequired:  "proof_required",
	RefusedProofNotReady:  "proof_not_ready",
	RefusedProofMalformed: "proof_malformed",
	RefusedProofExpired:   "proof_expired",
	RefusedProofInvalid:   "proof_invalid",
	RefusedProofPolicy:    "proof_policy",
	DroppedRatePublic:     "rate_public",
	DroppedRatePrivate:    "rate_private",
	DroppedRatePeerlist:   "rate_peerlist",
	DroppedRateControl:    "rate_control",
	DroppedRateBytes:      "rate_bytes",
	DroppedRateOffer:      "rate_offer",
	DroppedOfferSize:      "offer_size",
	DroppedOfferLimit:     "offer_limit",
	DroppedBudget:         "budget",
	DroppedCrowded:        "crowded_out",
	DroppedOrderbook:      "repeated_orderbook",
	DroppedForged:         "forged_sender",
	DroppedMalformed:      "malformed",
	DroppedUnknownTarget:  "unknown_target",
	DroppedSelf:           "to_self",
	DroppedDisplaced:      "displaced",
	DroppedTooLong:        "too_long",
	DroppedUnexpected:     "unexpected_type",
}

// String returns the label.
func (r Reason) String() string {
	if r >= numReasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Kind returns "closed", "evicted", "refused" or "dropped": the counter that the reason belongs to.
func (r Reason) Kind() string {
	switch {
	case r >= DroppedRatePublic:
		return "dropped"
	case r >= RefusedUndecodable:
		return "refused"
	case r >= EvictedHandshake:
		return "evicted"
	default:
		return "closed"
	}
}

// Reasons returns all reasons but ReasonNone, in a fixed order, so that counters can be made in advance.
func Reasons() []Reason {
	rs := make([]Reason, 0, numReasons-1)
	for r := ReasonNone + 1; r < numReasons; r++ {
		rs = append(rs, r)
	}
	return rs
}
