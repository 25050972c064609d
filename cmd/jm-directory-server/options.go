package main

import (
	"errors"
	"strings"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// options returns what the server is told. Config.check has been called before, so a location that cannot
// be parsed does not get here; it would be left out.
func (c *Config) options() server.Options {
	message := server.Rate{PerSecond: c.Limits.MessageRate, Burst: c.Limits.MessageBurst}
	onCircuit := server.Rate{PerSecond: c.Circuits.MessageRate, Burst: c.Circuits.MessageBurst}
	o := server.Options{
		Network:         c.Network,
		NetworkAliases:  c.NetworkAliases,
		MOTD:            c.MOTD,
		Version:         version,
		Clearnet:        c.AllowClearnet,
		ShutdownTimeout: c.ShutdownTimeout,
		NickAuth:        c.NickAuth.Mode,
		DirectoryID:     c.NickAuth.DirectoryID,
		ProofTimeout:    c.NickAuth.Timeout,
		UnsafeLog:       c.Log.Unsafe,

		MaxPeers:         c.Limits.MaxPeers,
		MaxHandshakes:    c.Limits.MaxHandshakes,
		MaxNicksPerHost:  c.Limits.MaxNicksPerHost,
		HandshakeTimeout: c.Limits.HandshakeTimeout,
		LineTimeout:      c.Limits.LineTimeout,
		Rates: server.Rates{
			Public:   message,
			Private:  message,
			Peerlist: server.Rate{PerSecond: c.Limits.PeerlistRate, Burst: c.Limits.PeerlistBurst},
			Control:  server.Rate{PerSecond: c.Limits.ControlRate, Burst: c.Limits.ControlBurst},
			Bytes:    server.Rate{PerSecond: c.Limits.BytesRate, Burst: c.Limits.BytesBurst},
		},
		Circuits: server.CircuitLimits{
			Rates: server.Rates{
				Public:   onCircuit,
				Private:  onCircuit,
				Peerlist: server.Rate{PerSecond: c.Circuits.PeerlistRate, Burst: c.Circuits.PeerlistBurst},
				Control:  server.Rate{PerSecond: c.Circuits.ControlRate, Burst: c.Circuits.ControlBurst},
				Bytes:    server.Rate{PerSecond: c.Circuits.BytesRate, Burst: c.Circuits.BytesBurst},
			},
			Handshakes: server.Rate{PerSecond: c.Circuits.HandshakeRate, Burst: c.Circuits.HandshakeBurst},
			MaxCloses:  c.Circuits.MaxCloses,
			Ban:        c.Circuits.Ban,
		},
		Handshakes:      server.Rate{PerSecond: c.Limits.HandshakeRate, Burst: c.Limits.HandshakeBurst},
		Orderbooks:      server.Rate{PerSecond: c.Limits.OrderbookRate, Burst: c.Limits.OrderbookBurst},
		PublicBytes:     server.Rate{PerSecond: c.Limits.PublicBytesRate, Burst: c.Limits.PublicBytesBurst},
		Deliveries:      server.Rate{PerSecond: c.Limits.DeliveriesRate, Burst: c.Limits.DeliveriesBurst},
		Patience:        c.Limits.Patience,
		OrderbookWindow: c.Limits.OrderbookWindow,
		Offers: server.OfferLimits{
			Max: c.Offers.Max, Bytes: c.Offers.MaxBytes,
			Rate: server.Rate{PerSecond: c.Offers.Rate, Burst: c.Offers.Burst},
		},
		LocationCheck: server.LocationCheck{
			Enabled:  c.LocationCheck.Enabled,
			DelayMin: c.LocationCheck.DelayMin, DelayMax: c.LocationCheck.DelayMax,
			PerMinute: c.LocationCheck.PerMinute,
			Retry:     c.LocationCheck.Retry, Timeout: c.LocationCheck.Timeout,
		},
		MaxViolations:  c.Limits.MaxViolations,
		ViolationDecay: c.Limits.ViolationDecay,
		OutboxShare:    c.Limits.OutboxShare,
		OutboxBytes:    c.Limits.OutboxBytes,
		OutboxAge:      c.Limits.OutboxAge,
		WriteTimeout:   c.Limits.WriteTimeout,
		Flushers:       c.Limits.Flushers,

		PingIdle:        c.Heartbeat.PingIdle,
		PongTimeout:     c.Heartbeat.PongTimeout,
		EvictIdle:       c.Heartbeat.EvictIdle,
		LegacyIdle:      c.Heartbeat.LegacyIdle,
		SweepInterval:   c.Heartbeat.SweepInterval,
		ConflictTimeout: c.Heartbeat.ConflictTimeout,
		ConflictSilence: c.Heartbeat.ConflictSilence,

		DepartureDelay: c.Peers.DepartureDelay,
		LocationRepeat: c.Peers.LocationRepeat,
		PeerlistChunk:  c.Peers.PeerlistChunk,
	}
	if c.Location != "" {
		if l, err := wire.ParseLocation(c.Location, c.AllowClearnet); err == nil {
			o.Location = l
		}
	}
	return o
}

// optionKeys names the key behind each field of server.Options that server.Options.Check can refuse.
var optionKeys = map[string]string{
	"Network":                           "network",
	"NetworkAliases":                    "network_aliases",
	"MOTD":                              "motd",
	"ShutdownTimeout":                   "shutdown_timeout",
	"NickAuth":                          "nick_auth.mode",
	"DirectoryID":                       "nick_auth.directory_id",
	"ProofTimeout":                      "nick_auth.timeout",
	"MaxPeers":                          "limits.max_peers",
	"MaxHandshakes":                     "limits.max_handshakes",
	"MaxNicksPerHost":                   "limits.max_nicks_per_host",
	"HandshakeTimeout":                  "limits.handshake_timeout",
	"LineTimeout":                       "limits.line_timeout",
	"Rates.Public.PerSecond":            "limits.message_rate",
	"Rates.Private.PerSecond":           "limits.message_rate",
	"Rates.Public.Burst":                "limits.message_burst",
	"Rates.Private.Burst":               "limits.message_burst",
	"Rates.Peerlist.PerSecond":          "limits.peerlist_rate",
	"Rates.Peerlist.Burst":              "limits.peerlist_burst",
	"Rates.Control.PerSecond":           "limits.control_rate",
	"Rates.Control.Burst":               "limits.control_burst",
	"Rates.Bytes.PerSecond":             "limits.bytes_rate",
	"Rates.Bytes.Burst":                 "limits.bytes_burst",
	"Handshakes.PerSecond":              "limits.handshake_rate",
	"Handshakes.Burst":                  "limits.handshake_burst",
	"Orderbooks.PerSecond":              "limits.orderbook_rate",
	"Orderbooks.Burst":                  "limits.orderbook_burst",
	"PublicBytes.PerSecond":             "limits.public_bytes_rate",
	"PublicBytes.Burst":                 "limits.public_bytes_burst",
	"Deliveries.PerSecond":              "limits.deliveries_rate",
	"Deliveries.Burst":                  "limits.deliveries_burst",
	"Patience":                          "limits.patience",
	"OrderbookWindow":                   "limits.orderbook_window",
	"Circuits.Rates.Public.PerSecond":   "circuits.message_rate",
	"Circuits.Rates.Private.PerSecond":  "circuits.message_rate",
	"Circuits.Rates.Public.Burst":       "circuits.message_burst",
	"Circuits.Rates.Private.Burst":      "circuits.message_burst",
	"Circuits.Rates.Peerlist.PerSecond": "circuits.peerlist_rate",
	"Circuits.Rates.Peerlist.Burst":     "circuits.peerlist_burst",
	"Circuits.Rates.Control.PerSecond":  "circuits.control_rate",
	"Circuits.Rates.Control.Burst":      "circuits.control_burst",
	"Circuits.Rates.Bytes.PerSecond":    "circuits.bytes_rate",
	"Circuits.Rates.Bytes.Burst":        "circuits.bytes_burst",
	"Circuits.Handshakes.PerSecond":     "circuits.handshake_rate",
	"Circuits.Handshakes.Burst":         "circuits.handshake_burst",
	"Circuits.MaxCloses":                "circuits.max_closes",
	"Circuits.Ban":                      "circuits.ban",
	"Offers.Max":                        "offers.max",
	"Offers.Bytes":                      "offers.max_bytes",
	"Offers.Rate.PerSecond":             "offers.rate",
	"Offers.Rate.Burst":                 "offers.burst",
	"LocationCheck.Enabled":             "location_check.enabled",
	"LocationCheck.DelayMin":            "location_check.delay_min",
	"LocationCheck.DelayMax":            "location_check.delay_max",
	"LocationCheck.PerMinute":           "location_check.per_minute",
	"LocationCheck.Retry":               "location_check.retry",
	"LocationCheck.Timeout":             "location_check.timeout",
	"MaxViolations":                     "limits.max_violations",
	"ViolationDecay":                    "limits.violation_decay",
	"OutboxShare":                       "limits.outbox_share",
	"OutboxBytes":                       "limits.outbox_bytes",
	"OutboxAge":                         "limits.outbox_age",
	"WriteTimeout":                      "limits.write_timeout",
	"Flushers":                          "limits.flushers",
	"PingIdle":                          "heartbeat.ping_idle",
	"PongTimeout":                       "heartbeat.pong_timeout",
	"EvictIdle":                         "heartbeat.evict_idle",
	"LegacyIdle":                        "heartbeat.legacy_idle",
	"SweepInterval":                     "heartbeat.sweep_interval",
	"ConflictTimeout":                   "heartbeat.conflict_timeout",
	"ConflictSilence":                   "heartbeat.conflict_silence",
	"DepartureDelay":                    "peers.departure_delay",
	"LocationRepeat":                    "peers.location_repeat",
	"PeerlistChunk":                     "peers.peerlist_chunk",
}

// goDuration shortens what time.Duration writes in full: 5m0s is 5m, 24h0m0s is 24h.
var goDuration = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// checkOptions passes on what server.Options.Check says, by key and in the words of the configuration.
func (c *Config) checkOptions(k *checker) {
	err := c.options().Check()
	if err == nil {
		return
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		var oe *server.OptionError
		if !errors.As(err, &oe) {
			oe = &server.OptionError{Allowed: err.Error()}
		}
		key, allowed := optionKeys[oe.Field], goDuration.Replace(oe.Allowed)
		for _, than := range []string{"more than ", "at least "} {
			if rest, ok := strings.CutPrefix(allowed, than); ok && optionKeys[rest] != "" {
				allowed = than + optionKeys[rest]
			}
		}
		if key == "" || key == "motd" { // what wire.CheckMOTD says is a sentence of its own
			k.not(true, key, strings.TrimPrefix(allowed, "motd "))
			continue
		}
		k.must(false, key, allowed)
	}
}
