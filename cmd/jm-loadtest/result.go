package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A report is everything that one run of this program has found, and the JSON that it writes. Names of members
// do not change; new ones may come.
type report struct {
	Tool    string    `json:"tool"`
	Target  string    `json:"target"`
	Network string    `json:"network"`
	Seed    uint64    `json:"seed"`
	Started time.Time `json:"started"`
	CPUs    int       `json:"cpus"`
	Procs   int       `json:"procs"`
	OK      bool      `json:"ok"`              // nothing lost, evicted or failed
	Failure string    `json:"error,omitempty"` // why the run ended early
	Results []*result `json:"results"`
}

// A result is one row.
type result struct {
	Scenario  string     `json:"scenario"`
	Title     string     `json:"title"` // the scenario with its parameters, for people
	Peers     int        `json:"peers"`
	Size      int        `json:"size,omitempty"` // bytes of a message
	Seconds   float64    `json:"seconds"`        // of the measurement
	Figures   figures    `json:"figures"`
	Latency   *quantiles `json:"latency_ms,omitempty"`
	apart     *quantiles // of what the phase recorded apart; for the scenario's figures
	Faults    faults     `json:"faults"`
	Failure   string     `json:"error,omitempty"` // why it was not measured
	Server    *serverUse `json:"server,omitempty"`
	Generator *ownUse    `json:"generator,omitempty"`
}

// A figure is one number that was measured. The first of a result is the one that matters most.
type figure struct {
	name  string // in JSON, with its unit
	value float64
	label string // for people: the unit, or what it is
}

// figures are an object in JSON.
type figures []figure

// MarshalJSON implements json.Marshaler.
func (f figures) MarshalJSON() ([]byte, error) {
	m := make(map[string]float64, len(f))
	for _, x := range f {
		m[x.name] = x.value
	}
	return json.Marshal(m)
}

// UnmarshalJSON implements json.Unmarshaler. Labels are not in JSON.
func (f *figures) UnmarshalJSON(b []byte) error {
	var m map[string]float64
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*f = nil
	for _, name := range slices.Sorted(maps.Keys(m)) {
		*f = append(*f, figure{name: name, value: m[name]})
	}
	return nil
}

// quantiles of times in milliseconds.
type quantiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantilesOf is nil when nothing was recorded.
func quantilesOf(h *histogram) *quantiles {
	if h.n == 0 {
		return nil
	}
	return &quantiles{h.n, milliseconds(h.quantile(.5)), milliseconds(h.quantile(.9)), milliseconds(h.quantile(.99)),
		milliseconds(h.quantile(.999)), milliseconds(time.Duration(h.most))}
}

// serverUse is what the server's process has used in a measurement, with --pid.
type serverUse struct {
	CPUSeconds    float64 `json:"cpu_seconds"`
	CPUPerMillion float64 `json:"cpu_seconds_per_million,omitempty"` // deliveries
	RSSBytes      int64   `json:"rss_bytes"`                         // at the end
	RSSGrowth     int64   `json:"rss_growth_bytes"`
	RSSPerPeer    float64 `json:"rss_growth_per_peer_bytes,omitempty"` // where peers joined
}

// ownUse is what this program has used, and whether that was too much for the figures to be the server's.
type ownUse struct {
	CPUShare      float64 `json:"cpu_share"`                         // of its --procs cores
	CPUPerMillion float64 `json:"cpu_seconds_per_million,omitempty"` // deliveries
	BusyShare     float64 `json:"busy_share"`                        // of the time in which its readers had something to do
	BacklogGrew   bool    `json:"backlog_grew"`                      // more and more waited in its sockets
	BacklogBytes  int     `json:"backlog_bytes"`                     // the most seen in one socket
	Held          int64   `json:"held,omitempty"`
	Limit         string  `json:"limit"` // none, generator, machine or backlog
}

// The values of ownUse.Limit.
const (
	limitNone      = "none"
	limitGenerator = "generator" // its cores were full
	limitMachine   = "machine"   // it had always something to do, and too little of a core to do it
	limitBacklog   = "backlog"   // it read more slowly than the server wrote
)

// leastJudged is the shortest measurement, in seconds, of which one can say what limited it.
const leastJudged = .2

// judge sets Limit, for a measurement of so many seconds.
func (u *ownUse) judge(seconds float64) {
	switch {
	case seconds < leastJudged:
		u.Limit = limitNone
	case u.CPUShare >= .95:
		u.Limit = limitGenerator
	case u.BacklogGrew:
		u.Limit = limitBacklog
	case u.BusyShare >= .95:
		u.Limit = limitMachine
	default:
		u.Limit = limitNone
	}
}

// faults is everything that must not happen.
type faults struct {
	Lost         int64          `json:"lost"`         // deliveries that did not come to somebody who stayed
	Duplicates   int64          `json:"duplicates"`   // came more than once
	Reordered    int64          `json:"reordered"`    // came after a later one of the same sender
	Damaged      int64          `json:"damaged"`      // came changed
	Misdelivered int64          `json:"misdelivered"` // came to somebody else, or back to the sender
	Malformed    int64          `json:"malformed"`    // lines for which clients drop a directory
	Evicted      map[string]int `json:"evicted"`      // connections that the directory ended, by how
	Refused      map[string]int `json:"refused"`      // handshakes, by the answer
}

func (f *faults) add(o faults) {
	f.Lost += o.Lost
	f.Duplicates += o.Duplicates
	f.Reordered += o.Reordered
	f.Damaged += o.Damaged
	f.Misdelivered += o.Misdelivered
	f.Malformed += o.Malformed
	for _, m := range []struct {
		to   *map[string]int
		from map[string]int
	}{{&f.Evicted, o.Evicted}, {&f.Refused, o.Refused}} {
		if *m.to == nil {
			*m.to = map[string]int{}
		}
		for how, n := range m.from {
			(*m.to)[how] += n
		}
	}
}

// list returns what there is, for people.
func (f *faults) list() (all []string) {
	for _, x := range []struct {
		n    int64
		what string
	}{{f.Lost, "lost"}, {f.Duplicates, "came twice"}, {f.Reordered, "out of order"}, {f.Damaged, "damaged"},
		{f.Misdelivered, "to the wrong peer"}, {f.Malformed, "malformed lines"}} {
		if x.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	for _, x := range []struct {
		m    map[string]int
		what string
	}{{f.Evicted, "evicted"}, {f.Refused, "refused"}} {
		for _, how := range slices.Sorted(maps.Keys(x.m)) {
			all = append(all, fmt.Sprintf("%d %s (%s)", x.m[how], x.what, how))
		}
	}
	return all
}

// String is "none" or the list.
func (f *faults) String() string {
	if all := f.list(); len(all) > 0 {
		return strings.Join(all, ", ")
	}
	return "none"
}

// any reports whether anything went wrong.
func (f *faults) any() bool { return len(f.list()) > 0 }
