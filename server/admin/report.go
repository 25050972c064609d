package admin

import "time"

// The values of Report.ServerStatus.
const (
	StatusStarting = "starting" // clients cannot find the directory yet
	StatusRunning  = "running"
	StatusDraining = "draining" // serves who is here, refuses newcomers
	StatusStopping = "stopping"
)

// ProblemDraining is what Source.Ready says of a directory that drains: it does as it was told, and can be reached if nothing else is
// said.
const ProblemDraining = "the directory is draining: newcomers are refused"

// A Report is the state of a directory in numbers. It never names a peer. The names of its first members are those
// of the Python directory servers' status, so that what reads one reads the other.
type Report struct {
	Network           string  `json:"network"` // the bitcoin network served
	UptimeSeconds     float64 `json:"uptime_seconds"`
	ServerStatus      string  `json:"server_status"` // StatusStarting and so on
	MaxPeers          int     `json:"max_peers"`     // limits.max_peers
	Stats             Stats   `json:"stats"`
	ConnectedPeers    Total   `json:"connected_peers"`    // handshaked
	PassivePeers      Total   `json:"passive_peers"`      // of these, takers: neither serving nor with an offer
	ActivePeers       Total   `json:"active_peers"`       // of these, makers
	VerifiedPeers     Total   `json:"verified_peers"`     // of these, with a proven nick
	ActiveConnections int     `json:"active_connections"` // handshaked and in handshake

	Version string                       `json:"version"`
	Time    time.Time                    `json:"time"` // when the report was made
	Rates   Rates                        `json:"rates"`
	Offers  Offers                       `json:"offers"`    // announced and not cancelled by those who are here
	Located Located                      `json:"locations"` // of peers that serve
	Outbox  Outbox                       `json:"outbox"`    // what waits for peers
	Reasons map[string]map[string]uint64 `json:"reasons"`   // kind (closed, evicted, refused, dropped) → reason → count since the start
	Tor     *Tor                         `json:"tor"`       // null without a Tor of its own
	Check   *Check                       `json:"self_check"`
	Store   Store                        `json:"store"`   // what is kept on disk
	Process Process                      `json:"process"` // our own, without Tor
	Advice  []string                     `json:"advice"`  // what the operator should do, in sentences; empty when all is well

	Isolation []string `json:"isolation"` // what the kernel keeps the server from, in words; empty: nothing
}

// Total is a number in the form that the Python servers gave it.
type Total struct {
	Total int `json:"total"` // peers
}

// Stats count since the start.
type Stats struct {
	Accepted   uint64 `json:"accepted_connections"` // connections
	Handshakes uint64 `json:"handshakes"`           // accepted ones
	Public     uint64 `json:"public_messages"`      // messages forwarded
	Private    uint64 `json:"private_messages"`     // messages forwarded
	Peerlists  uint64 `json:"peerlists"`            // sent
	LinesIn    uint64 `json:"lines_in"`             // received
	BytesIn    uint64 `json:"bytes_in"`             // received
	Deliveries uint64 `json:"deliveries"`           // lines written out
	BytesOut   uint64 `json:"bytes_out"`            // written out
	Bans       int    `json:"bans"`                 // in force
	Held       uint64 `json:"held_messages"`        // that had to wait: their sender was above a rate, a budget was used up, or most receivers were behind
	// CircuitsClosed are those of which too many connections did harm.
	CircuitsClosed uint64 `json:"circuits_closed"`
}

// Offers are counted, and not looked at.
type Offers struct {
	Total  int            `json:"total"`   // of all types
	ByType map[string]int `json:"by_type"` // names of wire.OfferType, all of them; those that are not known are "other"
}

// Located is how many peers that serve were found where they say so.
type Located struct {
	Enabled     bool `json:"enabled"`     // location_check.enabled
	Reachable   int  `json:"reachable"`   // peers
	Unreachable int  `json:"unreachable"` // peers that two checks did not find
	Unchecked   int  `json:"unchecked"`   // peers that serve, of which that is not known
}

// Rates are per second, over the last ten seconds or so.
type Rates struct {
	Accepted   float64 `json:"accepted_connections"` // connections
	Public     float64 `json:"public_messages"`      // messages forwarded
	Private    float64 `json:"private_messages"`     // messages forwarded
	Deliveries float64 `json:"deliveries"`           // lines written out
	BytesIn    float64 `json:"bytes_in"`             // received
	BytesOut   float64 `json:"bytes_out"`            // written out
	Dropped    float64 `json:"dropped"`              // messages
}

// Outbox is what waits for peers.
type Outbox struct {
	Bytes         int     `json:"bytes"`           // all outboxes
	Stalled       int     `json:"stalled"`         // peers whose socket takes nothing now
	OldestSeconds float64 `json:"oldest_seconds"`  // age of the oldest message that waits for a stalled peer
	LimitPerPeer  int     `json:"limit_per_peer"`  // bytes
	LimitSeconds  float64 `json:"limit_seconds"`   // age
	Waiting       int     `json:"budget_waiting"`  // public messages that wait for a budget
	Handshaking   int     `json:"handshaking"`     // connections before their handshake
	MaxHandshakes int     `json:"max_handshaking"` // above it the oldest is closed
}

// DescriptorLife is how long clients may use a descriptor of the onion service (rend-spec-v3, "descriptor-lifetime"); Tor uploads a
// new one every 1 to 2 hours.
const DescriptorLife = 3 * time.Hour

// Tor is the state of the onion service.
type Tor struct {
	Mode          string    `json:"mode"` // embedded, system, external
	Version       string    `json:"version"`
	Bootstrap     int       `json:"bootstrap_percent"` // 0 to 100
	Phase         string    `json:"bootstrap_phase"`   // in words
	Published     bool      `json:"published"`         // the descriptor was uploaded
	LastUpload    time.Time `json:"last_upload"`       // zero: never
	Uploads       uint64    `json:"uploads"`           // of the descriptor, stored by a directory of Tor
	UploadsFailed uint64    `json:"uploads_failed"`
	Circuits      int       `json:"circuits"`     // of clients; -1: not known
	PoW           bool      `json:"pow"`          // the defence is on
	Effort        int       `json:"pow_effort"`   // asked of clients now; -1: not known
	QueueRate     int       `json:"pow_rate"`     // requests a second let through
	CircuitIDs    bool      `json:"circuit_ids"`  // connections tell their circuit
	IntroDoS      bool      `json:"intro_dos"`    // the defence of the introduction points is on
	Missing       []string  `json:"missing"`      // what this Tor lacks
	RSS           uint64    `json:"rss_bytes"`    // 0: not our child
	CPUSeconds    float64   `json:"cpu_seconds"`  // 0: not our child
	PID           int       `json:"pid"`          // 0: not our child
	Advice        string    `json:"advice"`       // what Tor's bootstrap tells the operator to do
	StateTime     time.Time `json:"state_time"`   // when circuits and effort were asked for
	FirstUpload   time.Time `json:"first_upload"` // zero: never
}

// Check is the self-check: the directory dials its own onion through its own Tor and has a message go round.
type Check struct {
	Enabled  bool          `json:"enabled"` // selfcheck.interval is not 0
	At       time.Time     `json:"at"`      // of the last one; zero: none yet
	OK       bool          `json:"ok"`
	Reason   string        `json:"reason"`     // why it failed: dial, handshake, refused, round_trip; "" if it did not
	Latency  time.Duration `json:"latency_ns"` // of the last one that passed: handshake and round trip, dialling not counted
	Dial     time.Duration `json:"dial_ns"`    // of the last one that passed: circuit to our own onion
	LastOK   time.Time     `json:"last_ok"`    // zero: never
	Passed   uint64        `json:"passed"`     // since the start
	Failed   uint64        `json:"failed"`     // since the start
	Interval time.Duration `json:"interval_ns"`
}

// Store is the state of what is kept on disk.
type Store struct {
	OK      bool      `json:"ok"`            // reading and writing work
	Problem string    `json:"problem"`       // "" if OK
	Since   time.Time `json:"since"`         // of the problem
	Failed  uint64    `json:"failed_writes"` // since the start
	Bytes   int64     `json:"bytes"`         // size of the file
	Damage  string    `json:"damage"`        // what of it was damaged when the server started, and what became of it; "" for nothing
	MovedTo string    `json:"moved_to"`      // where the damaged file, or a copy of it, is; "" if there is none
}

// Process is the directory's own process.
type Process struct {
	PID        int     `json:"pid"`         // process id
	RSS        uint64  `json:"rss_bytes"`   // bytes
	CPUSeconds float64 `json:"cpu_seconds"` // user and system
	Goroutines int     `json:"goroutines"`
	FDs        int     `json:"open_files"`     // descriptors in use
	MaxFDs     uint64  `json:"max_open_files"` // the limit
}

// A Sample is one interval of the past, in numbers only.
type Sample struct {
	Start      time.Time     // of the interval, UTC
	Span       time.Duration // its length: a minute, an hour or a day
	Up         time.Duration // of it, the time in which the server ran
	Ready      time.Duration // of it, the time in which clients could reach the directory
	Peers      float64       // mean over Up
	PeersMax   int           // largest seen
	Makers     float64       // mean over Up
	Accepted   uint64        // connections
	Handshakes uint64        // accepted ones
	Public     uint64        // messages forwarded
	Private    uint64        // messages forwarded
	Deliveries uint64        // lines written out
	BytesIn    uint64        // received
	BytesOut   uint64        // written out
	Dropped    uint64        // messages
	Refused    uint64        // handshakes
	Evicted    uint64        // connections
	OutboxMax  int           // bytes waiting for all peers, largest seen
	EffortMax  int           // suggested proof-of-work effort, largest seen
	ChecksOK   int           // self-checks that passed
	ChecksBad  int           // self-checks that failed
	CheckMax   time.Duration // slowest passed self-check
}
