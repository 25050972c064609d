package main

import (
	"time"

	"jm-directory-server/server"
)

// DefaultConfig is the configuration when nothing is set. The directories are empty: they depend on who
// runs the server and are filled in by loadConfig.
func DefaultConfig() Config {
	o := server.DefaultOptions()
	return Config{
		Network:         o.Network,
		NetworkAliases:  []string{},
		ShutdownTimeout: o.ShutdownTimeout,
		Isolation:       isolationAuto,
		Tor: TorConfig{
			Mode:            "embedded",
			Port:            5222,
			PoW:             true,
			PoWQueueRate:    250,
			PoWQueueBurst:   2500,
			PoWTune:         true,
			IntroDoSDefense: true,
			IntroDoSRate:    25,
			IntroDoSBurst:   200,
			IntroPoints:     3,
			MaxStreams:      64,
			Torrc:           []string{},
		},
		Listen:   ListenConfig{Address: "127.0.0.1:5222", SocketMode: 0o600},
		NickAuth: NickAuthConfig{Mode: o.NickAuth, Timeout: o.ProofTimeout},
		Limits: LimitsConfig{
			MaxPeers:         o.MaxPeers,
			MaxHandshakes:    o.MaxHandshakes,
			MaxNicksPerHost:  o.MaxNicksPerHost,
			HandshakeTimeout: o.HandshakeTimeout,
			LineTimeout:      o.LineTimeout,
			MessageRate:      o.Rates.Public.PerSecond,
			MessageBurst:     o.Rates.Public.Burst,
			PeerlistRate:     o.Rates.Peerlist.PerSecond,
			PeerlistBurst:    o.Rates.Peerlist.Burst,
			ControlRate:      o.Rates.Control.PerSecond,
			ControlBurst:     o.Rates.Control.Burst,
			BytesRate:        o.Rates.Bytes.PerSecond,
			BytesBurst:       o.Rates.Bytes.Burst,
			HandshakeRate:    o.Handshakes.PerSecond,
			HandshakeBurst:   o.Handshakes.Burst,
			OrderbookRate:    o.Orderbooks.PerSecond,
			OrderbookBurst:   o.Orderbooks.Burst,
			PublicBytesRate:  o.PublicBytes.PerSecond,
			PublicBytesBurst: o.PublicBytes.Burst,
			DeliveriesRate:   o.Deliveries.PerSecond,
			DeliveriesBurst:  o.Deliveries.Burst,
			Patience:         o.Patience,
			OrderbookWindow:  o.OrderbookWindow,
			MaxViolations:    o.MaxViolations,
			ViolationDecay:   o.ViolationDecay,
			OutboxShare:      o.OutboxShare,
			OutboxBytes:      o.OutboxBytes,
			OutboxAge:        o.OutboxAge,
			WriteTimeout:     o.WriteTimeout,
			Flushers:         o.Flushers,
		},
		Circuits: CircuitsConfig{
			HandshakeRate:  o.Circuits.Handshakes.PerSecond,
			HandshakeBurst: o.Circuits.Handshakes.Burst,
			MessageRate:    o.Circuits.Public.PerSecond,
			MessageBurst:   o.Circuits.Public.Burst,
			PeerlistRate:   o.Circuits.Peerlist.PerSecond,
			PeerlistBurst:  o.Circuits.Peerlist.Burst,
			ControlRate:    o.Circuits.Control.PerSecond,
			ControlBurst:   o.Circuits.Control.Burst,
			BytesRate:      o.Circuits.Bytes.PerSecond,
			BytesBurst:     o.Circuits.Bytes.Burst,
			MaxCloses:      o.Circuits.MaxCloses,
			Ban:            o.Circuits.Ban,
		},
		Offers: OffersConfig{Max: o.Offers.Max, MaxBytes: o.Offers.Bytes, Rate: o.Offers.Rate.PerSecond, Burst: o.Offers.Rate.Burst},
		LocationCheck: LocationCheckConfig{
			Enabled:   o.LocationCheck.Enabled,
			DelayMin:  o.LocationCheck.DelayMin,
			DelayMax:  o.LocationCheck.DelayMax,
			PerMinute: o.LocationCheck.PerMinute,
			Retry:     o.LocationCheck.Retry,
			Timeout:   o.LocationCheck.Timeout,
		},
		Heartbeat: HeartbeatConfig{
			PingIdle:        o.PingIdle,
			PongTimeout:     o.PongTimeout,
			EvictIdle:       o.EvictIdle,
			LegacyIdle:      o.LegacyIdle,
			SweepInterval:   o.SweepInterval,
			ConflictTimeout: o.ConflictTimeout,
			ConflictSilence: o.ConflictSilence,
		},
		Peers: PeersConfig{
			DepartureDelay: o.DepartureDelay,
			LocationRepeat: o.LocationRepeat,
			PeerlistChunk:  o.PeerlistChunk,
		},
		SelfCheck: SelfCheckConfig{Interval: 5 * time.Minute, Timeout: time.Minute},
		Log:       LogConfig{Level: "info", Format: "text"},
	}
}
