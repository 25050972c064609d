package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// families are all metrics of the directory; docs/metrics.md explains each. What is unknown is absent, and every label value
// that can come is there from the start, at 0, so that a first event is seen as an increase. Nothing in them tells one peer
// from another.
var families = []family{
	{gauge, "build_info", "1; the versions of the program and of its Go.", []string{"version", "goversion"},
		func(s *snapshot, add addFunc) { add(1, s.Version, goVersion) }},
	{gauge, "network_info", "1; the bitcoin network served.", []string{"network"},
		func(s *snapshot, add addFunc) { add(1, s.Network) }},
	{gauge, "state", "1 for the state that the directory is in, 0 for the others.", []string{"state"},
		func(s *snapshot, add addFunc) {
			for _, state := range []string{StatusStarting, StatusRunning, StatusDraining, StatusStopping} {
				add(one(s.ServerStatus == state), state)
			}
		}},
	{gauge, "ready", "1 if clients can reach the directory, else 0; /readyz says why.", nil,
		func(s *snapshot, add addFunc) { add(one(s.ready)) }},

	// peers
	{gauge, "peers", "Handshaked peers. Makers serve or have an offer, takers are the others.", []string{"kind"},
		func(s *snapshot, add addFunc) {
			add(float64(s.ActivePeers.Total), "maker")
			add(float64(s.PassivePeers.Total), "taker")
		}},
	{gauge, "verified_peers", "Handshaked peers with a proven nick.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.VerifiedPeers.Total)) }},
	{gauge, "offers", "Offers announced and not cancelled by the peers that are here.", []string{"type"},
		func(s *snapshot, add addFunc) {
			for kind := range wire.NumOfferTypes {
				add(float64(s.Offers.ByType[kind.String()]), kind.String())
			}
		}},
	{gauge, "locations", "Peers that serve, by whether they were found where they say so.", []string{"state"},
		func(s *snapshot, add addFunc) {
			add(float64(s.Located.Reachable), "reachable")
			add(float64(s.Located.Unreachable), "unreachable")
			add(float64(s.Located.Unchecked), "unchecked")
		}},
	{gauge, "location_check_enabled", "1 if peers are looked for where they say that they serve, else 0.", nil,
		func(s *snapshot, add addFunc) { add(one(s.Located.Enabled)) }},
	{gauge, "max_peers", "Peers above which newcomers are refused.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.MaxPeers)) }},
	{gauge, "connections", "Open connections of clients, in handshake or handshaked.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.ActiveConnections)) }},
	{gauge, "handshaking_connections", "Open connections that have not finished their handshake.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.Handshaking)) }},
	{gauge, "max_handshaking_connections", "Connections in handshake above which the oldest is closed.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.MaxHandshakes)) }},
	{counter, "connections_accepted_total", "Connections of clients.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Accepted)) }},
	{counter, "connections_closed_total", "Connections that ended by the peer's doing.", []string{"reason"}, reasons("closed")},
	{counter, "connections_evicted_total", "Connections that the directory ended.", []string{"reason"}, reasons("evicted")},
	{counter, "handshakes_accepted_total", "Handshakes that made a peer.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Handshakes)) }},
	{counter, "handshakes_refused_total", "Handshakes that were refused.", []string{"reason"}, reasons("refused")},
	{gauge, "bans", "Bans in force.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Bans)) }},

	// messages
	{counter, "received_lines_total", "Lines received.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.LinesIn)) }},
	{counter, "received_bytes_total", "Bytes received.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.BytesIn)) }},
	{counter, "messages_forwarded_total", "Messages passed on, a public one counted once.", []string{"type"},
		func(s *snapshot, add addFunc) {
			add(float64(s.Stats.Public), "public")
			add(float64(s.Stats.Private), "private")
		}},
	{counter, "messages_dropped_total", "Messages not passed on.", []string{"reason"}, reasons("dropped")},
	{counter, "messages_held_total", "Messages that had to wait: their sender was above a rate, a budget was used up, or most receivers could not keep up.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Held)) }},
	{gauge, "budget_waiting_messages", "Public messages that wait for a budget.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.Waiting)) }},
	{counter, "circuits_closed_total", "Circuits closed because too many of their connections did harm.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.CircuitsClosed)) }},
	{counter, "peerlists_sent_total", "Peer lists sent.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Peerlists)) }},
	{counter, "sent_lines_total", "Lines written out, a public message counted once for each receiver.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.Deliveries)) }},
	{counter, "sent_bytes_total", "Bytes written out.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Stats.BytesOut)) }},

	// outboxes
	{gauge, "outbox_bytes", "Bytes that wait for all peers.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.Bytes)) }},
	{gauge, "outbox_stalled_peers", "Peers whose socket takes nothing now.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.Stalled)) }},
	{gauge, "outbox_oldest_seconds", "Age of the oldest message that waits for a stalled peer.", nil,
		func(s *snapshot, add addFunc) { add(s.Outbox.OldestSeconds) }},
	{gauge, "outbox_limit_bytes", "Bytes that may wait for one peer.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Outbox.LimitPerPeer)) }},
	{gauge, "outbox_limit_seconds", "How long a message may wait for a peer.", nil,
		func(s *snapshot, add addFunc) { add(s.Outbox.LimitSeconds) }},

	// Tor
	{gauge, "tor_info", "1; how the directory has its Tor, and which.", []string{"mode", "version"},
		tor(func(t *Tor, add addFunc) { add(1, t.Mode, t.Version) })},
	{gauge, "tor_bootstrap_ratio", "How far Tor's start is, 0 to 1.", nil,
		tor(func(t *Tor, add addFunc) { add(float64(t.Bootstrap) / 100) })},
	{gauge, "tor_descriptor_published", "1 if the descriptor of the onion service was uploaded, else 0.", nil,
		tor(func(t *Tor, add addFunc) { add(one(t.Published)) })},
	{gauge, "tor_descriptor_last_upload_timestamp_seconds", "When the descriptor was last uploaded, since 1970; 0: never.", nil,
		tor(func(t *Tor, add addFunc) { add(timestamp(t.LastUpload)) })},
	{counter, "tor_descriptor_uploads_total", "Uploads of the descriptor to directories of Tor.", []string{"result"},
		tor(func(t *Tor, add addFunc) {
			add(float64(t.Uploads), "stored")
			add(float64(t.UploadsFailed), "failed")
		})},
	{gauge, "tor_circuits", "Circuits of clients.", nil,
		tor(func(t *Tor, add addFunc) { known(t.Circuits, add) })},
	{gauge, "tor_pow_effort", "Effort that the proof-of-work defence asks of clients; 0: none.", nil,
		tor(func(t *Tor, add addFunc) { known(t.Effort, add) })},
	{gauge, "tor_pow_queue_rate", "Requests a second that the proof-of-work defence lets through.", nil,
		tor(func(t *Tor, add addFunc) { add(float64(t.QueueRate)) })},
	{gauge, "tor_defence_enabled", "1 if a defence of the onion service is on, else 0.", []string{"defence"},
		tor(func(t *Tor, add addFunc) {
			add(one(t.PoW), "pow")
			add(one(t.IntroDoS), "intro_dos")
			add(one(t.CircuitIDs), "circuit_ids")
		})},
	{gauge, "tor_state_timestamp_seconds", "When Tor was last asked for circuits and effort, since 1970; 0: never.", nil,
		tor(func(t *Tor, add addFunc) { add(timestamp(t.StateTime)) })},
	{gauge, "tor_resident_memory_bytes", "Memory of the Tor child.", nil,
		tor(func(t *Tor, add addFunc) { child(t, float64(t.RSS), add) })},
	{counter, "tor_cpu_seconds_total", "Processor time of the Tor child.", nil,
		tor(func(t *Tor, add addFunc) { child(t, t.CPUSeconds, add) })},

	// self-check
	{gauge, "self_check_enabled", "1 if the directory checks its own onion, else 0.", nil,
		check(func(c *Check, add addFunc) { add(one(c.Enabled)) })},
	{gauge, "self_check_ok", "1 if the last self-check passed, 0 if it failed or there was none yet.", nil,
		check(func(c *Check, add addFunc) { add(one(c.OK)) })},
	{gauge, "self_check_failing", "1 for the step at which the last self-check failed, 0 for the others.", []string{"step"},
		check(func(c *Check, add addFunc) {
			for _, step := range []string{"dial", "handshake", "refused", "round_trip"} {
				add(one(c.Reason == step), step)
			}
		})},
	{counter, "self_checks_total", "Self-checks.", []string{"result"},
		check(func(c *Check, add addFunc) {
			add(float64(c.Passed), "passed")
			add(float64(c.Failed), "failed")
		})},
	{gauge, "self_check_latency_seconds", "Handshake and round trip of the last self-check that passed.", nil,
		check(func(c *Check, add addFunc) { passed(c, c.Latency, add) })},
	{gauge, "self_check_dial_seconds", "Circuit to the own onion of the last self-check that passed.", nil,
		check(func(c *Check, add addFunc) { passed(c, c.Dial, add) })},
	{gauge, "self_check_interval_seconds", "Time from one self-check to the next; 0: off.", nil,
		check(func(c *Check, add addFunc) { add(c.Interval.Seconds()) })},
	{gauge, "self_check_last_timestamp_seconds", "When the last self-check was, since 1970; 0: none yet.", nil,
		check(func(c *Check, add addFunc) { add(timestamp(c.At)) })},
	{gauge, "self_check_last_success_timestamp_seconds", "When a self-check last passed, since 1970; 0: never.", nil,
		check(func(c *Check, add addFunc) { add(timestamp(c.LastOK)) })},

	// store
	{gauge, "store_ok", "1 if reading and writing the store work, else 0.", nil,
		func(s *snapshot, add addFunc) { add(one(s.Store.OK)) }},
	{gauge, "store_damaged", "1 if the store was found damaged when the server started, else 0.", nil,
		func(s *snapshot, add addFunc) { add(one(s.Store.Damage != "")) }},
	{counter, "store_failed_writes_total", "Writes to the store that failed.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Store.Failed)) }},
	{gauge, "store_size_bytes", "Size of the store's file.", nil,
		func(s *snapshot, add addFunc) { add(float64(s.Store.Bytes)) }},
}

// reasons adds every reason of a kind, those that have not happened at 0.
func reasons(kind string) func(*snapshot, addFunc) {
	var all []string
	for _, r := range server.Reasons() {
		if r.Kind() == kind {
			all = append(all, r.String())
		}
	}
	return func(s *snapshot, add addFunc) {
		for _, reason := range all {
			add(float64(s.Reasons[kind][reason]), reason)
		}
	}
}

// tor reads what is there only with a Tor of our own.
func tor(read func(*Tor, addFunc)) func(*snapshot, addFunc) {
	return func(s *snapshot, add addFunc) {
		if s.Tor != nil {
			read(s.Tor, add)
		}
	}
}

// check reads the self-check; one that cannot be is one that is off.
func check(read func(*Check, addFunc)) func(*snapshot, addFunc) {
	return func(s *snapshot, add addFunc) {
		c := s.Check
		if c == nil {
			c = &Check{}
		}
		read(c, add)
	}
}

// known adds a number of Tor's unless it is -1.
func known(n int, add addFunc) {
	if n >= 0 {
		add(float64(n))
	}
}

// child adds a number of the Tor child if there is one.
func child(t *Tor, value float64, add addFunc) {
	if t.PID != 0 {
		add(value)
	}
}

// passed adds a time of the last self-check that passed if there was one.
func passed(c *Check, d time.Duration, add addFunc) {
	if !c.LastOK.IsZero() {
		add(d.Seconds())
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// timestamp is t in seconds since 1970, or 0 for the zero time.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
