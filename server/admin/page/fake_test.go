package page

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

// A fake is a Source that says what a test wants.
type fake struct {
	report  func() admin.Report
	ready   []string
	history func(span time.Duration, from, to time.Time) ([]admin.Sample, error)
	asked   atomic.Int64 // how often for a report
}

func (f *fake) Report() admin.Report {
	f.asked.Add(1)
	return f.report()
}
func (f *fake) Ready() []string { return f.ready }
func (f *fake) History(span time.Duration, from, to time.Time) ([]admin.Sample, error) {
	if f.history == nil {
		return nil, nil
	}
	return f.history(span, from, to)
}

// noon is when most tests take place.
var noon = time.Date(2031, 5, 14, 12, 2, 3, 0, time.UTC)

// atNoon is src's page at noon: what it shows depends on no day that a test happens to run on.
func atNoon(src Source) http.Handler { return handler(src, func() time.Time { return noon }) }

// running is a directory as it should be, with some of everything.
func running(at time.Time) admin.Report {
	counts := make(map[string]map[string]uint64)
	for _, r := range server.Reasons() {
		if counts[r.Kind()] == nil {
			counts[r.Kind()] = make(map[string]uint64)
		}
		counts[r.Kind()][r.String()] = 0
	}
	for kind, some := range map[string]map[string]uint64{
		"closed":  {"by_peer": 18234, "reset": 5120, "politely": 2207, "malformed": 3},
		"evicted": {"no_pong": 812, "idle": 64, "outbox_age": 7, "displaced": 391, "handshake_timeout": 1406},
		"refused": {"undecodable": 88, "network": 19, "nick_in_use": 6, "proto_ver": 2},
		"dropped": {"unknown_target": 2943, "rate_public": 41, "rate_peerlist": 12},
	} {
		for name, n := range some {
			counts[kind][name] = n
		}
	}
	return admin.Report{
		Network: "mainnet", UptimeSeconds: (12*24*time.Hour + 4*time.Hour + 11*time.Minute).Seconds(), ServerStatus: admin.StatusRunning,
		MaxPeers: 10000,
		Stats: admin.Stats{Accepted: 31877, Handshakes: 29310, Public: 412_906, Private: 98_344, Peerlists: 21_083, LinesIn: 1_204_331,
			BytesIn: 318 << 20, Deliveries: 124_806_112, BytesOut: 41 << 30, Bans: 2},
		ConnectedPeers: admin.Total{Total: 312}, PassivePeers: admin.Total{Total: 194}, ActivePeers: admin.Total{Total: 118}, VerifiedPeers: admin.Total{Total: 241},
		ActiveConnections: 315,
		Offers:            admin.Offers{Total: 141, ByType: map[string]int{"sw0reloffer": 117, "sw0absoffer": 22, "tr0reloffer": 2, "other": 0}},
		Located:           admin.Located{Enabled: true, Reachable: 84, Unreachable: 5, Unchecked: 9},
		Version:           "v1.0.0", Time: at,
		Rates:   admin.Rates{Accepted: 0.2, Public: 3.4, Private: 1.1, Deliveries: 1062, BytesIn: 1840, BytesOut: 402_000, Dropped: 0.1},
		Outbox:  admin.Outbox{Bytes: 48_200, Stalled: 2, OldestSeconds: 4.1, LimitPerPeer: 4 << 20, LimitSeconds: 120, Handshaking: 3, MaxHandshakes: 1000},
		Reasons: counts,
		Tor: &admin.Tor{Mode: "embedded", Version: "0.4.9.11", Bootstrap: 100, Phase: "Done", Published: true,
			LastUpload: at.Add(-23 * time.Minute), Uploads: 412, UploadsFailed: 1, Circuits: 308, PoW: true, Effort: 0, QueueRate: 250, CircuitIDs: true,
			IntroDoS: true, RSS: 61 << 20, CPUSeconds: 8123, PID: 812, StateTime: at.Add(-8 * time.Second), FirstUpload: at.Add(-12 * 24 * time.Hour)},
		Check: &admin.Check{Enabled: true, At: at.Add(-2 * time.Minute), OK: true, Latency: 842 * time.Millisecond, Dial: 2310 * time.Millisecond,
			LastOK: at.Add(-2 * time.Minute), Passed: 3498, Failed: 6, Interval: 5 * time.Minute},
		Store:   admin.Store{OK: true, Bytes: 6 << 20},
		Process: admin.Process{PID: 790, RSS: 38 << 20, CPUSeconds: 2260, Goroutines: 341, FDs: 338, MaxFDs: 131072},
	}
}

// healthy is a Source of running and of lived.
func healthy(at time.Time) *fake {
	return &fake{report: func() admin.Report { return running(at) }, history: lived}
}

// lived is a past with days and nights, an outage, a flood and a Tor that lost its way. It is the same for the same time.
func lived(span time.Duration, from, to time.Time) (samples []admin.Sample, err error) {
	for t := from.Truncate(span); t.Before(to); t = t.Add(span) {
		ago := to.Sub(t) / span
		if t.Before(from) || ago > 480 && ago < 506 || span == 24*time.Hour && ago > 1300 { // the server was down; there was none yet
			continue
		}
		r := rand.New(rand.NewPCG(uint64(t.Unix()), uint64(span)))
		daily := math.Cos(to.Sub(t).Hours()/24*2*math.Pi - 0.5)
		slow := math.Cos(float64(ago) / 137)
		peers := 272 + 34*daily + 9*slow + 3*r.Float64()
		secs := span.Seconds()
		s := admin.Sample{
			Start: t, Span: span, Up: span, Ready: span, Peers: peers, PeersMax: int(peers) + 3, Makers: 110 + 9*slow + r.Float64(),
			Accepted: uint64(secs * 0.2), Handshakes: uint64(secs * 0.18), Public: uint64(secs * 3.4),
			Deliveries: uint64(secs * peers * (2.1 + 0.9*daily + 0.7*r.Float64())),
			Dropped:    uint64(secs / 60 * (1 + 3*r.Float64())), Refused: uint64(secs / 60 * r.Float64() * 1.4), Evicted: uint64(secs / 60 * 2 * r.Float64()),
			ChecksOK: 1, CheckMax: 800 * time.Millisecond,
		}
		if ago > 300 && ago < 330 {
			s.Refused += uint64(secs / 60 * 14)
			s.Evicted += uint64(secs / 60 * 6)
		}
		if ago > 870 && ago < 905 {
			s.Ready, s.ChecksOK, s.ChecksBad = 0, 0, 1
		} else if r.IntN(240) == 0 {
			s.ChecksBad = 1
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// fixed is a past that is always the same.
func fixed(samples []admin.Sample) func(time.Duration, time.Time, time.Time) ([]admin.Sample, error) {
	return func(time.Duration, time.Time, time.Time) ([]admin.Sample, error) { return samples, nil }
}

// sick returns a report after change.
func sick(change func(r *admin.Report)) func() admin.Report {
	return func() admin.Report {
		r := running(noon)
		change(&r)
		return r
	}
}

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)> javascript:alert(3) ' style='x`

// cases are directories in all the states that an operator may find one in.
var cases = map[string]*fake{
	"running": healthy(noon),
	"starting": {ready: []string{"Tor is connecting to its network: 45 %."}, report: sick(func(r *admin.Report) {
		*r = admin.Report{Network: "signet", UptimeSeconds: 12, ServerStatus: admin.StatusStarting, MaxPeers: 10000, Version: "v1.0.0", Time: noon,
			Tor: &admin.Tor{Mode: "embedded", Version: "0.4.9.11", Bootstrap: 45, Phase: "Requesting relay descriptors", Circuits: -1, Effort: -1,
				Advice: "Connections to the Tor network are refused: check that no firewall keeps this machine from opening outbound TCP connections."},
			Check: &admin.Check{Enabled: true, Interval: 5 * time.Minute}, Store: admin.Store{OK: true}}
	})},
	"nothing known": {report: func() admin.Report { return admin.Report{} }},
	"no tor": {history: lived, report: sick(func(r *admin.Report) {
		r.Tor, r.Check = nil, nil
	})},
	"self-check off":  {report: sick(func(r *admin.Report) { r.Check = &admin.Check{} })},
	"self-check none": {report: sick(func(r *admin.Report) { r.Check = &admin.Check{Enabled: true, Interval: time.Minute} })},
	"self-check failed once": {report: sick(func(r *admin.Report) {
		r.Check.OK, r.Check.Reason = false, "round_trip"
	})},
	"not reachable": {history: lived, ready: []string{"The last three self-checks failed: no way to our own onion."}, report: sick(func(r *admin.Report) {
		r.Check.OK, r.Check.Reason, r.Check.LastOK = false, "dial", noon.Add(-31*time.Minute)
		r.Advice = []string{"Look at Tor's lines in the log: journalctl -u jm-directory-server.", "If it does not recover within ten minutes, restart the service."}
		r.Tor.Missing = []string{"proof of work: this Tor was built without it"}
		r.Tor.PoW = false
	})},
	"store broken": {report: sick(func(r *admin.Report) {
		r.Store = admin.Store{Problem: "no space left on device", Since: noon.Add(-time.Hour), Failed: 61}
		r.Advice = []string{"The store cannot be written: free some space on the disk of /var/lib."}
	}), history: func(time.Duration, time.Time, time.Time) ([]admin.Sample, error) {
		return nil, errors.New("store: no space left on device")
	}},
	"draining": {ready: []string{admin.ProblemDraining}, report: sick(func(r *admin.Report) { r.ServerStatus = admin.StatusDraining })},
	"draining and not reachable": {ready: []string{admin.ProblemDraining, "The last three self-checks failed: no way to our own onion."},
		report: sick(func(r *admin.Report) { r.ServerStatus = admin.StatusDraining })},
	"stopping": {report: sick(func(r *admin.Report) { r.ServerStatus = admin.StatusStopping })},
	"one sample": {report: sick(func(*admin.Report) {}), history: func(span time.Duration, _, to time.Time) ([]admin.Sample, error) {
		all, err := lived(span, to.Add(-span), to)
		return all, err
	}},
	"at its limits": {report: sick(func(r *admin.Report) {
		r.ConnectedPeers.Total, r.Outbox.Handshaking, r.Outbox.OldestSeconds, r.Process.FDs = 10000, 900, 110, 130000
	})},
	"huge numbers": {report: sick(func(r *admin.Report) {
		r.UptimeSeconds = math.Inf(1)
		r.Stats = admin.Stats{Accepted: math.MaxUint64, BytesOut: math.MaxUint64, Deliveries: math.MaxUint64, Bans: math.MinInt}
		r.Rates = admin.Rates{Deliveries: 1e300, BytesOut: math.NaN(), Public: -1, Private: math.Inf(1)}
		r.Outbox = admin.Outbox{Bytes: math.MaxInt, OldestSeconds: 1e300, LimitSeconds: 1e-300}
		r.ConnectedPeers.Total, r.Process.MaxFDs = math.MaxInt, math.MaxUint64
		r.Check.Latency, r.Tor.LastUpload = math.MaxInt64, time.Unix(1, 0)
		r.Reasons["dropped"]["malformed"] = math.MaxUint64
	}), history: func(span time.Duration, from, to time.Time) ([]admin.Sample, error) {
		all, err := lived(span, from, to)
		for i := range all {
			all[i].Peers, all[i].PeersMax, all[i].Deliveries, all[i].Dropped = 1e300, math.MaxInt, math.MaxUint64, math.MaxUint64
			if i%2 == 0 {
				all[i].Peers, all[i].Makers, all[i].Up, all[i].Ready = math.Inf(1), math.NaN(), 1, math.MaxInt64
			}
		}
		return all, err
	}},
	"hostile texts": {ready: []string{hostile}, report: sick(func(r *admin.Report) {
		r.Network, r.Version, r.Advice = hostile, hostile, []string{hostile + " advice"}
		r.Tor.Version, r.Tor.Mode, r.Tor.Advice, r.Tor.Phase, r.Tor.Bootstrap, r.Tor.Missing = hostile, hostile, hostile+" tor", hostile, 7, []string{hostile}
		r.Check.OK, r.Check.Reason = false, hostile
		r.Store = admin.Store{Problem: hostile}
		r.Reasons["closed"][hostile] = 3
	}), history: func(time.Duration, time.Time, time.Time) ([]admin.Sample, error) { return nil, errors.New(hostile) }},
	"long texts": {ready: []string{strings.Repeat("word ", 100)}, report: sick(func(r *admin.Report) {
		r.Advice, r.Version = []string{strings.Repeat("x", 400)}, strings.Repeat("y", 80)
	})},
}
