package server

import (
	"time"

	"jm-directory-server/server/wire"
)

// Options is everything a Server can be told. DefaultOptions fills every field with the value that
// config.example.toml documents; New refuses impossible combinations. Durations of zero mean "never"
// only where the comment says so.
type Options struct {
	// Network is the bitcoin network served: mainnet, testnet, signet or regtest. One server serves one
	// network (protocol.md 6.2).
	Network string
	// NetworkAliases are further names that clients may use for Network in their handshake (the
	// reference client calls regtest "testnet", protocol.md 10.16). A client is answered with the name
	// that it used, because it compares exactly.
	NetworkAliases []string
	// Location is where clients reach this directory, for its own peerlist entry and to refuse clients
	// that claim it. It may also be set later by SetLocation; zero: unknown, no own entry.
	Location wire.Location
	// MOTD is the operator's text in the handshake answer: printable ASCII and LF, at most
	// wire.MaxMOTD bytes. The software's name and version are appended to it.
	MOTD string
	// Version is the version shown after the MOTD, such as "1.0.0".
	Version string
	// Clearnet accepts locations that are not onions (regtest makers on 127.0.0.1). For tests only.
	Clearnet bool

	// MaxPeers bounds handshaked peers; the next one is answered with accepted=false.
	MaxPeers int
	// MaxHandshakes bounds connections that have not finished their handshake. Above it the oldest
	// of them is closed, so that idle connections cannot keep honest clients out; those that have said all and wait for a nick come
	// last, see handshakePool. Those that still wait for their part of Handshakes do not count; there are about as many of them at most.
	MaxHandshakes int
	// MaxNicksPerHost bounds peers that claim the same onion host (protocol.md 6.4: the claim is
	// unproven, so it is never exclusive). Those of whom LocationCheck found that they are not there do not count.
	MaxNicksPerHost int
	// HandshakeTimeout bounds the time for a complete handshake line, from when the connection has got its part of Handshakes and of
	// Circuits.Handshakes. For that it waits at most ten seconds after its accept.
	HandshakeTimeout time.Duration
	// NickAuth says which clients have to prove that their nick is theirs: NickAuthPrefer, NickAuthRequire
	// or NickAuthDisabled.
	NickAuth string
	// DirectoryID is the directory's identity in proofs, which clients compare with the endpoint that
	// they dialled: for a public directory its onion, a colon and its port (protocol.md 7.1). "" takes
	// the location for it, once that is known; until then proofs are not announced, and with
	// NickAuthRequire all handshakes are refused.
	DirectoryID string
	// ProofTimeout bounds the time from the challenge to the proof; at most 30 s.
	ProofTimeout time.Duration
	// LineTimeout bounds the time from the first byte of a line to its delimiter, after the handshake.
	LineTimeout time.Duration

	// Rates are the token buckets of each connection, by class.
	Rates Rates
	// Circuits are the limits of each circuit, for connections whose circuit is known. Where Tor does not say it there are
	// none: by address they would hit everybody or nobody (protocol.md 10.20).
	Circuits CircuitLimits
	// Handshakes bounds the handshakes of all connections together. Circuits share it, see budget.
	Handshakes Rate
	// Orderbooks bounds the orderbook requests of all together. Every maker answers each of them, so it must stay well
	// below Rates.Private, or makers are silenced by what others ask of them. Those who ask share it, see budget.
	Orderbooks Rate
	// PublicBytes bounds the bytes of all public messages together, a second. Every peer has to take all of them, those on
	// slow circuits too, so the burst must stay well below OutboxBytes. Those who send share it, see budget.
	PublicBytes Rate
	// Deliveries bounds the lines that all public messages together are copied to, a second. Those who send share it, see
	// budget.
	Deliveries Rate
	// Patience is how long a connection that is above a rate is held back, by not reading from it, before what is
	// above the rate is dropped; and how long a public message may wait for Orderbooks, PublicBytes
	// and Deliveries. A connection that its client has ended keeps its nick for that long at the most, or five seconds, while what it
	// said before waits.
	Patience time.Duration
	// OrderbookWindow is the time within which a second orderbook request of a connection is dropped: each makes
	// every maker answer. 0 drops none.
	OrderbookWindow time.Duration
	// Offers are limits of announcements of offers, for each connection.
	Offers OfferLimits
	// LocationCheck says whether and when peers that serve are looked for where they say that they serve.
	LocationCheck LocationCheck
	// MaxViolations is how many violations (forged from-nick, messages above a rate, malformed
	// messages) a connection may collect before it is closed; one is forgiven every ViolationDecay.
	// 0 never closes.
	MaxViolations int
	// ViolationDecay is the time in which one violation is forgiven.
	ViolationDecay time.Duration

	// OutboxShare is how many bytes of private messages of one sender, by circuit where it is known, may be queued within ten
	// seconds for a peer that is too slow for what it is sent. What is above it is dropped, instead of the receiver being
	// closed for what others send it. 0 is no limit.
	OutboxShare int
	// OutboxBytes bounds what waits for one peer, in bytes of frames; twice as much for one that reads while senders wait because
	// most receivers cannot keep up. At least MinOutboxBytes.
	OutboxBytes int
	// OutboxAge bounds how long a message may wait for a peer that reads too slowly.
	OutboxAge time.Duration
	// WriteTimeout bounds how long a peer may take nothing at all while something waits for it.
	WriteTimeout time.Duration
	// Flushers is the number of writing goroutines; 0 means one per core.
	Flushers int

	// PingIdle is the silence after which a peer is probed, EvictIdle that after which a peer that
	// can be probed is closed, PongTimeout the time to answer a ping (protocol.md 5.4).
	PingIdle, PongTimeout, EvictIdle time.Duration
	// LegacyIdle is the silence after which a peer that cannot answer any probe is closed. Hours at
	// least: the reference client's reconnect delay grows with every disconnect (protocol.md 10.6).
	LegacyIdle time.Duration
	// SweepInterval is how often silence and outbox age are looked at.
	SweepInterval time.Duration
	// ConflictTimeout is how long the owner of a nick has to show life when another connection asks
	// for the same nick; ConflictSilence is the silence after which an owner that cannot answer
	// probes is replaced (protocol.md 6.4).
	ConflictTimeout, ConflictSilence time.Duration

	// DepartureDelay is how long departures gather into one line, at most one second or so; a quarter of that when none were
	// announced for as long. Who comes back under the same nick waits for that long.
	DepartureDelay time.Duration
	// LocationRepeat is how long a receiver is not told the same sender's location again
	// (protocol.md 6.3). 0 tells it after every private message.
	LocationRepeat time.Duration
	// PeerlistChunk is the number of entries per peerlist line, 1 to 100 (protocol.md 5.3).
	PeerlistChunk int

	// ShutdownTimeout bounds the flush at shutdown.
	ShutdownTimeout time.Duration

	// UnsafeLog shows nicks, locations and bodies in debug logs. Never for a public directory.
	UnsafeLog bool
}

// Rate is one token bucket: PerSecond tokens a second, at most Burst saved up. A PerSecond of 0 means
// no limit.
type Rate struct {
	PerSecond float64 // tokens a second; 0: no limit
	Burst     int     // tokens; at least 1 with a limit
}

// Rates are the limits of one connection or circuit for each class of what it sends. What is above a limit is first held
// back, by not reading it; after Options.Patience it is dropped and counted; only persistent excess closes the
// connection (Options.MaxViolations).
type Rates struct {
	Public   Rate // 687: copied to everybody
	Private  Rate // 685: one receiver
	Peerlist Rate // 791
	Control  Rate // pings, pongs beyond those asked for, and all types that mean nothing here
	Bytes    Rate // bytes of all lines; a Burst below that of the longest line and its delimiter would refuse it for ever
}

// CircuitLimits are the limits of one circuit of Tor.
type CircuitLimits struct {
	// Rates are shared by all connections of the circuit.
	Rates
	// Handshakes are those on the circuit.
	Handshakes Rate
	// MaxCloses is how many of its connections may be closed for violations until the circuit itself is closed. 0
	// never closes one.
	MaxCloses int
	// Ban is how long connections on a circuit that was closed are refused, should Tor not have closed it.
	Ban time.Duration
}

// Bounds of rates and bursts. A burst of bytes must let the longest line pass.
const (
	maxRate      = 1e6
	maxByteRate  = 1e9
	maxBurst     = 1_000_000_000
	minByteBurst = wire.MaxLine + 2
	// minOfferBytes is the least OfferLimits.Bytes: an offer of a known family with large numbers has about 90.
	minOfferBytes = 100
)

// MinOutboxBytes is the least Options.OutboxBytes: a taker's orderbook request makes hundreds of makers
// answer one slow circuit within seconds (protocol.md 9.3).
const MinOutboxBytes = 1 << 20

// Networks are the bitcoin networks that a directory can serve.
var Networks = []string{"mainnet", "testnet", "signet", "regtest"}

// DefaultOptions returns the defaults, for mainnet.
func DefaultOptions() Options {
	return Options{
		Network:         "mainnet",
		Version:         "dev",
		MaxPeers:        10_000,
		MaxHandshakes:   1_000,
		MaxNicksPerHost: 8,

		HandshakeTimeout: 30 * time.Second,
		NickAuth:         NickAuthPrefer,
		ProofTimeout:     30 * time.Second,
		LineTimeout:      60 * time.Second,

		Rates: Rates{
			Public:   Rate{100, 1000},
			Private:  Rate{100, 1000},
			Peerlist: Rate{0.5, 10},
			Control:  Rate{10, 100},
			Bytes:    Rate{256 << 10, 8 << 20},
		},
		Circuits: CircuitLimits{
			Rates: Rates{
				Public:   Rate{200, 2000},
				Private:  Rate{200, 2000},
				Peerlist: Rate{1, 20},
				Control:  Rate{20, 200},
				Bytes:    Rate{512 << 10, 16 << 20},
			},
			Handshakes: Rate{1, 100},
			MaxCloses:  3,
			Ban:        time.Hour,
		},
		Handshakes:      Rate{500, 5000},
		Orderbooks:      Rate{20, 200},
		PublicBytes:     Rate{128 << 10, 1 << 20},
		Deliveries:      Rate{300_000, 3_000_000},
		Patience:        20 * time.Second,
		OrderbookWindow: 10 * time.Second,
		Offers:          OfferLimits{Rate: Rate{0, 100}},
		LocationCheck: LocationCheck{
			DelayMin: time.Minute, DelayMax: 5 * time.Minute, Retry: 15 * time.Minute,
			PerMinute: 10, Timeout: time.Minute,
		},
		MaxViolations:  1000,
		ViolationDecay: time.Second,

		OutboxShare:  128 << 10,
		OutboxBytes:  4 << 20,
		OutboxAge:    2 * time.Minute,
		WriteTimeout: 30 * time.Second,

		PingIdle:        10 * time.Minute,
		PongTimeout:     30 * time.Second,
		EvictIdle:       25 * time.Minute,
		LegacyIdle:      24 * time.Hour,
		SweepInterval:   10 * time.Second,
		ConflictTimeout: 15 * time.Second,
		ConflictSilence: 10 * time.Minute,

		DepartureDelay:  time.Second,
		LocationRepeat:  5 * time.Minute,
		PeerlistChunk:   100,
		ShutdownTimeout: 5 * time.Second,
	}
}

// Unlimited returns o without rate limits, for measurements on loopback.
func (o Options) Unlimited() Options {
	o.Rates, o.Circuits = Rates{}, CircuitLimits{Ban: o.Circuits.Ban}
	o.Handshakes, o.Orderbooks, o.PublicBytes, o.Deliveries = Rate{}, Rate{}, Rate{}, Rate{}
	o.OrderbookWindow, o.OutboxShare, o.Offers = 0, 0, OfferLimits{}
	o.MaxViolations = 0
	o.MaxNicksPerHost = 0
	return o
}
