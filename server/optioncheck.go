package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jm-directory-server/server/wire"
)

// OptionError names the field of Options that is impossible, and what is allowed.
type OptionError struct {
	Field   string // the Go field's name
	Allowed string // what is allowed, for people
}

// Error names the field and what is allowed.
func (e *OptionError) Error() string { return fmt.Sprintf("option %s: %s", e.Field, e.Allowed) }

// Check returns all impossible values as *OptionError joined, or nil.
func (o Options) Check() error {
	var errs []error
	bad := func(ok bool, field, allowed string) {
		if !ok {
			errs = append(errs, &OptionError{field, allowed})
		}
	}
	bad(slices.Contains(Networks, o.Network), "Network", "one of "+strings.Join(Networks, ", "))
	for _, a := range o.NetworkAliases {
		bad(slices.Contains(Networks, a) && a != o.Network, "NetworkAliases", "other names out of "+strings.Join(Networks, ", "))
	}
	if err := wire.CheckMOTD(o.MOTD); err != nil {
		bad(false, "MOTD", err.Error())
	}
	bad(o.MaxPeers >= 1 && o.MaxPeers <= 1_000_000, "MaxPeers", "1 to 1000000")
	bad(o.MaxHandshakes >= 1 && o.MaxHandshakes <= 1_000_000, "MaxHandshakes", "1 to 1000000")
	bad(o.MaxNicksPerHost >= 0 && o.MaxNicksPerHost <= 1_000_000, "MaxNicksPerHost", "0 (no limit) to 1000000")
	bad(slices.Contains(NickAuthModes, o.NickAuth), "NickAuth", "one of "+strings.Join(NickAuthModes, ", "))
	bad(o.DirectoryID == "" || wire.ValidDirectoryID(o.DirectoryID), "DirectoryID",
		fmt.Sprintf("a letter or digit, then letters, digits and any of .:_- in lower case, at most %d in all", wire.MaxDirectoryID))
	bad(o.NickAuth != NickAuthRequire || o.DirectoryID != "" || !o.Location.Serving() || wire.ValidDirectoryID(o.Location.String()),
		"DirectoryID", "to be set with "+NickAuthRequire+": the location cannot stand for it")
	bad(o.MaxViolations >= 0, "MaxViolations", "0 (never) or more")
	bad(o.OutboxBytes >= MinOutboxBytes && o.OutboxBytes <= 1<<30, "OutboxBytes", fmt.Sprintf("%d to %d", MinOutboxBytes, 1<<30))
	bad(o.OutboxShare == 0 || o.OutboxShare >= smallShare && o.OutboxShare <= 1<<30, "OutboxShare", fmt.Sprintf("0 (no limit), or %d to %d", smallShare, 1<<30))
	bad(o.Flushers >= 0 && o.Flushers <= 256, "Flushers", "0 (one per core) to 256")
	bad(o.PeerlistChunk >= 1 && o.PeerlistChunk <= 100, "PeerlistChunk", "1 to 100")
	bad(o.LocationRepeat >= 0 && o.LocationRepeat <= time.Hour, "LocationRepeat", "0s to 1h")
	for _, d := range []struct {
		field    string
		v        time.Duration
		min, max time.Duration
	}{
		{"HandshakeTimeout", o.HandshakeTimeout, 10 * time.Millisecond, 5 * time.Minute},
		{"ProofTimeout", o.ProofTimeout, 10 * time.Millisecond, 30 * time.Second},
		{"LineTimeout", o.LineTimeout, 10 * time.Millisecond, time.Hour},
		{"ViolationDecay", o.ViolationDecay, time.Millisecond, time.Hour},
		{"OutboxAge", o.OutboxAge, 10 * time.Millisecond, time.Hour},
		{"WriteTimeout", o.WriteTimeout, 10 * time.Millisecond, time.Hour},
		{"Patience", o.Patience, 0, time.Minute},
		{"Circuits.Ban", o.Circuits.Ban, time.Second, 30 * 24 * time.Hour},
		{"PingIdle", o.PingIdle, 10 * time.Millisecond, 24 * time.Hour},
		{"PongTimeout", o.PongTimeout, 10 * time.Millisecond, time.Hour},
		{"EvictIdle", o.EvictIdle, 10 * time.Millisecond, 48 * time.Hour},
		{"LegacyIdle", o.LegacyIdle, 10 * time.Millisecond, 30 * 24 * time.Hour},
		{"SweepInterval", o.SweepInterval, time.Millisecond, 10 * time.Minute},
		{"ConflictTimeout", o.ConflictTimeout, 10 * time.Millisecond, 5 * time.Minute},
		{"ConflictSilence", o.ConflictSilence, 10 * time.Millisecond, 24 * time.Hour},
		{"DepartureDelay", o.DepartureDelay, time.Millisecond, 5 * time.Second},
		{"LocationCheck.DelayMin", o.LocationCheck.DelayMin, 0, 24 * time.Hour},
		{"LocationCheck.DelayMax", o.LocationCheck.DelayMax, 0, 24 * time.Hour},
		{"LocationCheck.Retry", o.LocationCheck.Retry, time.Second, 24 * time.Hour},
		{"LocationCheck.Timeout", o.LocationCheck.Timeout, time.Second, 10 * time.Minute},
		{"ShutdownTimeout", o.ShutdownTimeout, 10 * time.Millisecond, 5 * time.Minute},
	} {
		bad(d.v >= d.min && d.v <= d.max, d.field, fmt.Sprintf("%v to %v", d.min, d.max))
	}
	bad(o.EvictIdle > o.PingIdle, "EvictIdle", "more than PingIdle")
	bad(o.Circuits.MaxCloses >= 0 && o.Circuits.MaxCloses <= 1000, "Circuits.MaxCloses", "0 (never) to 1000")
	bad(o.LocationCheck.DelayMax >= o.LocationCheck.DelayMin, "LocationCheck.DelayMax", "at least LocationCheck.DelayMin")
	bad(o.LocationCheck.PerMinute >= 1 && o.LocationCheck.PerMinute <= 600, "LocationCheck.PerMinute", "1 to 600")
	bad(o.Offers.Max >= 0 && o.Offers.Max <= maxOffers, "Offers.Max", fmt.Sprintf("0 (no limit) to %d", maxOffers))
	bad(o.Offers.Bytes == 0 || o.Offers.Bytes >= minOfferBytes && o.Offers.Bytes <= wire.MaxLine, "Offers.Bytes",
		fmt.Sprintf("0 (no limit) or %d to %d", minOfferBytes, wire.MaxLine))
	bad(o.OrderbookWindow >= 0 && o.OrderbookWindow <= time.Hour, "OrderbookWindow", "0s (none) to 1h")
	for _, r := range []struct {
		field string
		least int // burst
		most  float64
		Rate
	}{
		{"Rates.Public", 1, maxRate, o.Rates.Public}, {"Rates.Private", 1, maxRate, o.Rates.Private},
		{"Rates.Peerlist", 1, maxRate, o.Rates.Peerlist}, {"Rates.Control", 1, maxRate, o.Rates.Control},
		{"Rates.Bytes", minByteBurst, maxByteRate, o.Rates.Bytes},
		{"Circuits.Rates.Public", 1, maxRate, o.Circuits.Public}, {"Circuits.Rates.Private", 1, maxRate, o.Circuits.Private},
		{"Circuits.Rates.Peerlist", 1, maxRate, o.Circuits.Peerlist}, {"Circuits.Rates.Control", 1, maxRate, o.Circuits.Control},
		{"Circuits.Rates.Bytes", minByteBurst, maxByteRate, o.Circuits.Bytes}, {"Circuits.Handshakes", 1, maxRate, o.Circuits.Handshakes},
		{"Offers.Rate", 1, maxRate, o.Offers.Rate},
		{"Handshakes", 1, maxRate, o.Handshakes}, {"Deliveries", 1, maxByteRate, o.Deliveries},
		{"Orderbooks", 1, maxRate, o.Orderbooks}, {"PublicBytes", minByteBurst, maxByteRate, o.PublicBytes},
	} {
		bad(r.PerSecond >= 0 && r.PerSecond <= r.most, r.field+".PerSecond", fmt.Sprintf("0 (no limit) to %.0f", r.most))
		bad(r.PerSecond == 0 || r.Burst >= r.least && r.Burst <= maxBurst, r.field+".Burst", fmt.Sprintf("%d to %d", r.least, maxBurst))
	}
	return errors.Join(errs...)
}
