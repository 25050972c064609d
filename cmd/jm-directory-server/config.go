package main

import (
	"io/fs"
	"time"
)

// Config is everything an operator can set. The names in the tags are those of the configuration file;
// config.example.toml says the same to operators and is tested to equal DefaultConfig.
type Config struct {
	// Network is the bitcoin network served: mainnet, testnet, signet or regtest. Default mainnet.
	Network string `toml:"network"`
	// NetworkAliases are further network names that clients may use in their handshake. Default none.
	NetworkAliases []string `toml:"network_aliases"`
	// MOTD is the text in the handshake answer, at most 512 bytes of printable ASCII and line feeds.
	// Default none.
	MOTD string `toml:"motd"`
	// Location is the host:port under which an outside Tor serves this directory. It is for tor.mode
	// "off" only; otherwise the address is known. Default none.
	Location string `toml:"location"`
	// StateDir is the directory of what must survive a restart, first of all the onion key. Default:
	// see defaultStateDir.
	StateDir string `toml:"state_dir"`
	// RuntimeDir is the directory of sockets. Default: see defaultRuntimeDir.
	RuntimeDir string `toml:"runtime_dir"`
	// ShutdownTimeout bounds the flush at shutdown. Default 5 seconds.
	ShutdownTimeout time.Duration `toml:"shutdown_timeout"`
	// AllowClearnet accepts makers whose location is not an onion. It is a switch for tests on
	// regtest. Default false.
	AllowClearnet bool `toml:"allow_clearnet"`
	// Isolation is what is done when the kernel cannot take from server and Tor what they do not need: auto, require or
	// off. Default auto.
	Isolation string `toml:"isolation"`

	// Tor is the table [tor].
	Tor TorConfig `toml:"tor"`
	// Listen is the table [listen].
	Listen ListenConfig `toml:"listen"`
	// NickAuth is the table [nick_auth].
	NickAuth NickAuthConfig `toml:"nick_auth"`
	// Limits is the table [limits].
	Limits LimitsConfig `toml:"limits"`
	// Circuits is the table [circuits].
	Circuits CircuitsConfig `toml:"circuits"`
	// Offers is the table [offers].
	Offers OffersConfig `toml:"offers"`
	// LocationCheck is the table [location_check].
	LocationCheck LocationCheckConfig `toml:"location_check"`
	// Heartbeat is the table [heartbeat].
	Heartbeat HeartbeatConfig `toml:"heartbeat"`
	// Peers is the table [peers].
	Peers PeersConfig `toml:"peers"`
	// Admin is the table [admin].
	Admin AdminConfig `toml:"admin"`
	// SelfCheck is the table [selfcheck].
	SelfCheck SelfCheckConfig `toml:"selfcheck"`
	// Log is the table [log].
	Log LogConfig `toml:"log"`
}

// TorConfig is how the directory becomes an onion service.
type TorConfig struct {
	// Mode is embedded, system, external or off. Default embedded.
	Mode string `toml:"mode"`
	// Port is the virtual port of the onion service, 1 to 65535. Default 5222.
	Port int `toml:"port"`
	// Path is the tor executable of mode "system"; empty searches the usual places. Default empty.
	Path string `toml:"path"`
	// Control is the control port of mode "external", unix:PATH or IP:PORT. Default empty.
	Control string `toml:"control"`
	// ControlPassword is the password of that control port; empty uses its cookie. Default empty.
	ControlPassword string `toml:"control_password" secret:"true"`
	// Ephemeral serves under a throw-away address. Default false.
	Ephemeral bool `toml:"ephemeral"`
	// PoW asks clients for proof of work when the service is under attack. Default true.
	PoW bool `toml:"pow"`
	// PoWQueueRate is the number of requests a second that PoW lets through. Default 250.
	PoWQueueRate int `toml:"pow_queue_rate"`
	// PoWQueueBurst is the number of requests that PoW lets through at once. Default 2500.
	PoWQueueBurst int `toml:"pow_queue_burst"`
	// PoWTune lowers PoWQueueRate, down to a sixteenth, while newcomers are too many for the directory, and raises it again.
	// Default true.
	PoWTune bool `toml:"pow_tune"`
	// IntroDoSDefense asks introduction points to limit what they pass on. Default true.
	IntroDoSDefense bool `toml:"intro_dos_defense"`
	// IntroDoSRate is the number of requests a second that each of them then passes on. Default 25.
	IntroDoSRate int `toml:"intro_dos_rate"`
	// IntroDoSBurst is the number of requests that each passes on at once. Default 200.
	IntroDoSBurst int `toml:"intro_dos_burst"`
	// IntroPoints is the number of introduction points, 3 to 20. Default 3.
	IntroPoints int `toml:"intro_points"`
	// MaxStreams bounds the connections on one circuit; 0 is no limit. Default 64.
	MaxStreams int `toml:"max_streams"`
	// Torrc are further lines of Tor's configuration, for modes embedded and system. Default none.
	Torrc []string `toml:"torrc"`
}

// ListenConfig is the listener of tor.mode "off".
type ListenConfig struct {
	// Address is IP:PORT or unix:PATH. Default 127.0.0.1:5222.
	Address string `toml:"address"`
	// ProxyProtocol expects the PROXY line of HiddenServiceExportCircuitID before each connection's
	// first byte. Default false.
	ProxyProtocol bool `toml:"proxy_protocol"`
	// AllowPublic accepts an Address that others than this host can reach. Default false.
	AllowPublic bool `toml:"allow_public"`
	// SocketMode is the mode of a unix socket: 0600, 0660 or 0666. Default 0600.
	SocketMode fs.FileMode `toml:"socket_mode"`
}

// NickAuthConfig says whether peers prove that a nick is theirs (protocol.md 7).
type NickAuthConfig struct {
	// Mode is prefer_verified, require_verified or disabled. Default prefer_verified.
	Mode string `toml:"mode"`
	// DirectoryID is what proofs name as the directory that they are for; empty is our own onion and port.
	// Default empty.
	DirectoryID string `toml:"directory_id"`
	// Timeout is how long a client has for its proof, at most 30 seconds. Default 30 seconds.
	Timeout time.Duration `toml:"timeout"`
}

// LimitsConfig bounds what peers can cost. The units and rules are those of server.Options.
type LimitsConfig struct {
	// MaxPeers bounds peers after their handshake, 1 to 1000000. Default 10000.
	MaxPeers int `toml:"max_peers"`
	// MaxHandshakes bounds connections before their handshake, 1 to 1000000. Default 1000.
	MaxHandshakes int `toml:"max_handshakes"`
	// MaxNicksPerHost bounds peers that claim one onion host; 0 is no limit. Default 8.
	MaxNicksPerHost int `toml:"max_nicks_per_host"`
	// HandshakeTimeout bounds the time from accept to handshake. Default 30 seconds.
	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	// LineTimeout bounds the time from a line's first byte to its end. Default 1 minute.
	LineTimeout time.Duration `toml:"line_timeout"`
	// MessageRate is the number of public messages and, apart from them, of private messages that one
	// connection may send a second; 0 is no limit. Default 100.
	MessageRate float64 `toml:"message_rate"`
	// MessageBurst is how many of either may come at once. Default 1000.
	MessageBurst int `toml:"message_burst"`
	// PeerlistRate is the number of peerlist requests a second of one connection; 0 is no limit.
	// Default 0.5.
	PeerlistRate float64 `toml:"peerlist_rate"`
	// PeerlistBurst is how many of them may come at once. Default 10.
	PeerlistBurst int `toml:"peerlist_burst"`
	// ControlRate is the number of other messages a second of one connection; 0 is no limit. Default 10.
	ControlRate float64 `toml:"control_rate"`
	// ControlBurst is how many of them may come at once. Default 100.
	ControlBurst int `toml:"control_burst"`
	// BytesRate is the number of bytes a second that one connection may send; 0 is no limit. Default 262144.
	BytesRate float64 `toml:"bytes_rate"`
	// BytesBurst is how many of them may come at once, at least 40002. Default 8388608.
	BytesBurst int `toml:"bytes_burst"`
	// HandshakeRate is the number of handshakes a second of all connections together; 0 is no limit. Default 500.
	HandshakeRate float64 `toml:"handshake_rate"`
	// HandshakeBurst is how many of them may come at once. Default 5000.
	HandshakeBurst int `toml:"handshake_burst"`
	// OrderbookRate is the number of orderbook requests a second of all connections together; 0 is no limit. Default
	// 20.
	OrderbookRate float64 `toml:"orderbook_rate"`
	// OrderbookBurst is how many of them may come at once. Default 200.
	OrderbookBurst int `toml:"orderbook_burst"`
	// PublicBytesRate is the number of bytes a second of all public messages together; 0 is no limit. Default
	// 131072.
	PublicBytesRate float64 `toml:"public_bytes_rate"`
	// PublicBytesBurst is how many of them may come at once, at least 40002. Default 1048576.
	PublicBytesBurst int `toml:"public_bytes_burst"`
	// DeliveriesRate is the number of lines a second that public messages are copied to, all together; 0 is
	// no limit. Default 300000.
	DeliveriesRate float64 `toml:"deliveries_rate"`
	// DeliveriesBurst is how many of them may be made at once. Default 3000000.
	DeliveriesBurst int `toml:"deliveries_burst"`
	// Patience is how long a connection above a rate is held back before its messages are dropped. Default 20
	// seconds.
	Patience time.Duration `toml:"patience"`
	// OrderbookWindow is the time within which a second orderbook request of one connection is dropped; 0 drops
	// none. Default 10 seconds.
	OrderbookWindow time.Duration `toml:"orderbook_window"`
	// MaxViolations is how many violations a connection survives; 0 never closes. Default 1000.
	MaxViolations int `toml:"max_violations"`
	// ViolationDecay is the time in which one violation is forgiven. Default 1 second.
	ViolationDecay time.Duration `toml:"violation_decay"`
	// OutboxShare bounds what one sender's private messages may add to what waits for a peer that is too slow, in
	// bytes within ten seconds; 0 is no limit. Default 131072.
	OutboxShare int `toml:"outbox_share"`
	// OutboxBytes bounds what waits for one peer, in bytes. Default 4194304.
	OutboxBytes int `toml:"outbox_bytes"`
	// OutboxAge bounds how long a message waits for one peer. Default 2 minutes.
	OutboxAge time.Duration `toml:"outbox_age"`
	// WriteTimeout bounds how long a peer may take nothing while something waits. Default 30 seconds.
	WriteTimeout time.Duration `toml:"write_timeout"`
	// Flushers is the number of writing goroutines; 0 is one per core. Default 0.
	Flushers int `toml:"flushers"`
}

// CircuitsConfig bounds what all connections of one circuit of Tor can cost together.
type CircuitsConfig struct {
	// HandshakeRate is the number of handshakes a second on one circuit; 0 is no limit. Default 1.
	HandshakeRate float64 `toml:"handshake_rate"`
	// HandshakeBurst is how many of them may come at once. Default 100.
	HandshakeBurst int `toml:"handshake_burst"`
	// MessageRate is the number of public messages and, apart from them, of private messages a second; 0 is no
	// limit. Default 200.
	MessageRate float64 `toml:"message_rate"`
	// MessageBurst is how many of either may come at once. Default 2000.
	MessageBurst int `toml:"message_burst"`
	// PeerlistRate is the number of peerlist requests a second; 0 is no limit. Default 1.
	PeerlistRate float64 `toml:"peerlist_rate"`
	// PeerlistBurst is how many of them may come at once. Default 20.
	PeerlistBurst int `toml:"peerlist_burst"`
	// ControlRate is the number of other messages a second; 0 is no limit. Default 20.
	ControlRate float64 `toml:"control_rate"`
	// ControlBurst is how many of them may come at once. Default 200.
	ControlBurst int `toml:"control_burst"`
	// BytesRate is the number of bytes a second; 0 is no limit. Default 524288.
	BytesRate float64 `toml:"bytes_rate"`
	// BytesBurst is how many of them may come at once, at least 40002. Default 16777216.
	BytesBurst int `toml:"bytes_burst"`
	// MaxCloses is how many connections of a circuit may be closed for violations until the circuit is closed; 0
	// never closes one. Default 3.
	MaxCloses int `toml:"max_closes"`
	// Ban is how long such a circuit is refused. Default 1 hour.
	Ban time.Duration `toml:"ban"`
}

// OffersConfig bounds what one connection announces; a directory does not judge offers, so by default nothing does.
type OffersConfig struct {
	// Max is how many offers a connection may have at a time, 0 to 256; 0 is no limit. Default 0.
	Max int `toml:"max"`
	// MaxBytes is how long a message with an offer may be, 100 to 40000; 0 is no limit. Default 0.
	MaxBytes int `toml:"max_bytes"`
	// Rate is the number of messages with an offer a second; 0 is no limit. Default 0.
	Rate float64 `toml:"rate"`
	// Burst is how many of them may come at once. Default 100.
	Burst int `toml:"burst"`
}

// LocationCheckConfig says whether the directory looks for peers where they say that they serve.
type LocationCheckConfig struct {
	// Enabled switches that on. Default false.
	Enabled bool `toml:"enabled"`
	// DelayMin is the least time from a peer's joining to its check. Default 1 minute.
	DelayMin time.Duration `toml:"delay_min"`
	// DelayMax is the longest. Default 5 minutes.
	DelayMax time.Duration `toml:"delay_max"`
	// PerMinute is how many checks begin in a minute, 1 to 600. Default 10.
	PerMinute int `toml:"per_minute"`
	// Retry is the time until a check that failed is repeated, once. Default 15 minutes.
	Retry time.Duration `toml:"retry"`
	// Timeout bounds one check. Default 1 minute.
	Timeout time.Duration `toml:"timeout"`
}

// HeartbeatConfig says when silence becomes absence.
type HeartbeatConfig struct {
	// PingIdle is the silence after which a peer is probed. Default 10 minutes.
	PingIdle time.Duration `toml:"ping_idle"`
	// PongTimeout is the time to answer a probe. Default 30 seconds.
	PongTimeout time.Duration `toml:"pong_timeout"`
	// EvictIdle is the silence after which a peer that can be probed is closed. Default 25 minutes.
	EvictIdle time.Duration `toml:"evict_idle"`
	// LegacyIdle is the same for a peer that cannot answer probes. Default 24 hours.
	LegacyIdle time.Duration `toml:"legacy_idle"`
	// SweepInterval is how often all this is looked at. Default 10 seconds.
	SweepInterval time.Duration `toml:"sweep_interval"`
	// ConflictTimeout is the time in which the owner of a nick that another connection asks for has
	// to show life. Default 15 seconds.
	ConflictTimeout time.Duration `toml:"conflict_timeout"`
	// ConflictSilence is the silence after which an owner that cannot be probed is replaced. Default
	// 10 minutes.
	ConflictSilence time.Duration `toml:"conflict_silence"`
}

// PeersConfig is how peers hear of each other.
type PeersConfig struct {
	// DepartureDelay is how long departures gather into one line; a quarter of that after a quiet time. Default 1 second.
	DepartureDelay time.Duration `toml:"departure_delay"`
	// LocationRepeat is how long a receiver is not told the same location again. Default 5 minutes.
	LocationRepeat time.Duration `toml:"location_repeat"`
	// PeerlistChunk is the number of entries per peerlist line, 1 to 100. Default 100.
	PeerlistChunk int `toml:"peerlist_chunk"`
}

// AdminConfig is how the operator looks at the directory and acts on it while it runs.
type AdminConfig struct {
	// Listen is where package admin answers: unix:PATH, IP:PORT of loopback, "off", or empty for the socket
	// "admin.sock" in RuntimeDir. Default empty.
	Listen string `toml:"listen"`
}

// SelfCheckConfig is the directory's look at itself through its own onion.
type SelfCheckConfig struct {
	// Interval is the time between two checks; 0 never checks. Default 5 minutes.
	Interval time.Duration `toml:"interval"`
	// Timeout is how long one check may take. Default 1 minute.
	Timeout time.Duration `toml:"timeout"`
}

// LogConfig is the log on standard error.
type LogConfig struct {
	// Level is debug, info, warn or error. Default info.
	Level string `toml:"level"`
	// Format is text or json. Default text.
	Format string `toml:"format"`
	// Unsafe shows nicks, addresses and messages at level debug. Default false.
	Unsafe bool `toml:"unsafe"`
}
