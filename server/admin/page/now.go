package page

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// The levels of what is shown, which are also classes of the style sheet.
const (
	good = "good"
	warn = "warn" // look at it
	bad  = "bad"  // act
)

// now is what the template "now" shows.
type now struct {
	Title string // of the browser's tab: the state first
	Time  string // of the report
	Clock string // the same, for machines

	Network, Version, Uptime string

	Level, Word, Line string // whether clients can reach the directory
	Draining          bool
	Bootstrap         int      // percent; -1: done, or no Tor
	Phase             string   // of the bootstrap
	Problems          []string // what keeps clients from reaching it
	Advice            []string // what to do

	Reach, Here, Traffic, Waiting []fact
	Tor, Machine, Since, Offers   []fact
	Lacks                         []string // what this Tor lacks

	Happened []group // reasons that occurred, by kind
	Quiet    []group // those that did not
}

// A fact is one line of a card: a name, a number or words, and what helps to read it.
type fact struct {
	Name, Value, Unit string
	Note              string
	Level             string // "", warn or bad
	Bar               string // share of a limit, 0 to 100; "" without one
}

// A group is the reasons of one kind.
type group struct {
	Title, Of, Total string
	Reasons          []reason
}

// A reason is one line of the table.
type reason struct {
	Name, Count string
	admin.Meaning
}

// present reads the state of now.
func present(src Source) now {
	r, problems := src.Report(), src.Ready()
	n := now{
		Time: r.Time.UTC().Format("15:04:05"), Clock: r.Time.UTC().Format(time.RFC3339),
		Network: r.Network, Version: r.Version, Uptime: span(seconds(r.UptimeSeconds)).String(),
		Draining: r.ServerStatus == admin.StatusDraining, Bootstrap: -1,
		Here: here(r), Traffic: traffic(r), Waiting: waiting(r), Machine: machine(r), Since: since(r), Offers: offered(r),
	}
	n.Level, n.Word, n.Line = state(r, problems)
	n.Title = n.Word + " · " + count(positive(r.ConnectedPeers.Total)) + " peers"
	if t := r.Tor; t != nil {
		if t.Bootstrap < 100 {
			n.Bootstrap, n.Phase = min(max(t.Bootstrap, 0), 100), t.Phase
		}
		n.Tor, n.Lacks = tor(*t, r.Time), t.Missing
	}
	n.Reach = reach(r)
	said := make(map[string]bool)
	unsaid := func(texts ...string) (out []string) {
		for _, text := range texts {
			if text = strings.TrimSpace(text); text != "" && !said[text] {
				said[text] = true
				out = append(out, text)
			}
		}
		return out
	}
	n.Problems = unsaid(problems...)
	n.Advice = unsaid(r.Advice...)
	if r.Tor != nil {
		n.Advice = append(n.Advice, unsaid(r.Tor.Advice)...)
	}
	n.Happened, n.Quiet = reasons(r.Reasons)
	return n
}

// seconds is a length of time that fits, whatever the number.
func seconds(s float64) time.Duration {
	if !(s > 0) {
		return 0
	}
	return time.Duration(min(s, 1e9) * float64(time.Second))
}

// state says in a word and a sentence whether clients can reach the directory.
func state(r admin.Report, problems []string) (level, word, line string) {
	c := r.Check
	switch {
	case r.ServerStatus == admin.StatusStopping:
		return warn, "Stopping", "Peers get what waits for them, then the server ends."
	case r.ServerStatus == admin.StatusStarting:
		return warn, "Starting", "Clients cannot find the directory yet."
	case len(problems) > 0:
		return bad, "Not reachable", "Clients cannot reach the directory now."
	case r.ServerStatus == admin.StatusDraining:
		return warn, "Draining", "Those who are here are served, newcomers are refused."
	case c != nil && c.Enabled && !c.At.IsZero() && c.OK:
		return good, "Reachable", "The directory reached itself through its own onion " + ago(c.At, r.Time) + "."
	case c != nil && c.Enabled && !c.At.IsZero():
		return warn, "In doubt", "The last self-check failed. One alone can be a circuit that broke; the next one tells."
	case r.Tor == nil:
		return good, "Running", "It has no Tor of its own; whether the onion can be reached, only the Tor in front of it knows."
	case c == nil || !c.Enabled:
		return good, "Published", "The descriptor is uploaded. The self-check is off: that it works is not tested."
	}
	return good, "Published", "The descriptor is uploaded. The first self-check has not ended yet."
}

// checkReasons says why a self-check failed.
var checkReasons = map[string]string{
	"dial":       "no way to our own onion",
	"handshake":  "no answer to the handshake",
	"refused":    "the handshake was refused",
	"round_trip": "a message did not come back",
}

// descriptorLife is how long clients may use a descriptor (rend-spec-v3, "descriptor-lifetime"); a new one is uploaded well
// before.
const descriptorLife = 3 * time.Hour

// reach is what the state rests on: self-check, descriptor, Tor.
func reach(r admin.Report) (facts []fact) {
	if c := r.Check; c != nil && c.Enabled {
		f := fact{Name: "Self-check", Value: "passed", Note: ago(c.At, r.Time)}
		switch {
		case c.At.IsZero():
			f.Value, f.Note = "none yet", "every "+span(c.Interval).String()
		case !c.OK:
			f.Value, f.Level = "failed", bad
			if why, ok := checkReasons[c.Reason]; ok {
				f.Note = why + ", " + f.Note
			} else if c.Reason != "" {
				f.Note = c.Reason + ", " + f.Note
			}
		case c.Interval > 0 && r.Time.Sub(c.At) > 3*c.Interval:
			f.Level, f.Note = warn, f.Note+", due every "+span(c.Interval).String()
		}
		facts = append(facts, f)
		if !c.LastOK.IsZero() {
			q, dial := latency(c.Latency), latency(c.Dial)
			note := "circuit " + dial.String()
			if !c.OK {
				note = "of the last that passed, " + ago(c.LastOK, r.Time)
			}
			facts = append(facts, fact{Name: "Round trip", Value: q.Value, Unit: q.Unit, Note: note})
		}
	} else {
		facts = append(facts, fact{Name: "Self-check", Value: "off"})
	}
	if t := r.Tor; t != nil {
		f := fact{Name: "Descriptor", Value: "uploaded", Note: ago(t.LastUpload, r.Time)}
		f = f.attention(warn, !t.LastUpload.IsZero() && r.Time.Sub(t.LastUpload) > descriptorLife)
		if !t.Published {
			f.Value, f.Level = "not uploaded", bad
			if !t.LastUpload.IsZero() {
				f.Note = "last " + f.Note
			}
			if t.Bootstrap < 100 {
				f.Level = warn
			}
		}
		b := fact{Name: "Tor", Value: "connected", Note: t.Version}
		if t.Bootstrap < 100 {
			b.Value, b.Unit, b.Level = strconv.Itoa(t.Bootstrap), "%", warn
		}
		facts = append(facts, f, b)
	}
	return facts
}

// number is a fact that counts something.
func number[N int | int64 | uint64](name string, n N) fact {
	return fact{Name: name, Value: count(uint64(max(n, 0)))}
}

// measured is a fact with a unit.
func measured(name string, q quantity) fact { return fact{Name: name, Value: q.Value, Unit: q.Unit} }

// limit adds how much of a limit is used up, and looks at it from warnAt of it on.
func (f fact) limit(n, all float64, note string, warnAt float64) fact {
	s := share(n, all)
	f.Note, f.Bar = note, strconv.FormatFloat(100*s, 'f', 1, 64)
	switch {
	case all > 0 && s >= 1:
		f.Level = bad
	case all > 0 && s >= warnAt:
		f.Level = warn
	}
	return f
}

// attention raises a fact to a level if that is so.
func (f fact) attention(level string, so bool) fact {
	if so {
		f.Level = level
	}
	return f
}

func here(r admin.Report) []fact {
	all := max(r.ConnectedPeers.Total, 0)
	peers := number("Peers", all)
	if r.MaxPeers > 0 {
		peers = peers.limit(float64(all), float64(r.MaxPeers), "of "+count(uint64(r.MaxPeers)), 0.9)
	}
	of := func(name string, n int, note string) fact {
		f := number(name, n)
		f.Note = note
		return f
	}
	verified := ""
	if all > 0 {
		verified = percent(share(float64(r.VerifiedPeers.Total), float64(all)))
	}
	handshake := number("In handshake", r.Outbox.Handshaking)
	if most := r.Outbox.MaxHandshakes; most > 0 {
		handshake = handshake.limit(float64(r.Outbox.Handshaking), float64(most), "of "+count(uint64(most)), 0.5)
	}
	facts := []fact{
		peers,
		of("Makers", r.ActivePeers.Total, "with an offer or a location"),
		of("Takers", r.PassivePeers.Total, "and those who watch"),
		of("Verified", r.VerifiedPeers.Total, verified),
		handshake,
	}
	if l := r.Located; l.Enabled {
		f := number("Reachable", l.Reachable)
		f.Note = fmt.Sprintf("of %s that serve, %s not yet looked for", count(positive(l.Reachable+l.Unreachable+l.Unchecked)), count(positive(l.Unchecked)))
		facts = append(facts, f)
	}
	return facts
}

// offered is how many offers there are of each type that there is.
func offered(r admin.Report) []fact {
	facts := []fact{number("All", r.Offers.Total)}
	for kind := range wire.NumOfferTypes {
		if n := r.Offers.ByType[kind.String()]; n > 0 {
			facts = append(facts, number(kind.String(), n))
		}
	}
	return facts
}

func traffic(r admin.Report) []fact {
	perSecond := func(q quantity) quantity { return quantity{q.Value, q.Unit + "/s"} }
	flow := func(v float64) quantity { return perSecond(scaled(v, "B")) }
	return []fact{
		measured("Deliveries", rate(r.Rates.Deliveries)),
		measured("Public messages", rate(r.Rates.Public)),
		measured("Private messages", rate(r.Rates.Private)),
		measured("Dropped messages", rate(r.Rates.Dropped)),
		measured("New connections", rate(r.Rates.Accepted)),
		measured("In", flow(r.Rates.BytesIn)),
		measured("Out", flow(r.Rates.BytesOut)),
	}
}

func waiting(r admin.Report) []fact {
	o := r.Outbox
	all := measured("Waiting", bytesOf(positive(o.Bytes)))
	stalled := number("Stalled peers", o.Stalled)
	stalled.Note = "take nothing now"
	oldest := measured("Oldest", span(seconds(o.OldestSeconds)))
	if o.LimitSeconds > 0 {
		oldest = oldest.limit(o.OldestSeconds, o.LimitSeconds, "evicted at "+span(seconds(o.LimitSeconds)).String(), 0.5)
	}
	most := measured("Most for one peer", bytesOf(positive(o.LimitPerPeer)))
	most.Note = "then evicted"
	evicted := r.Reasons["evicted"]
	slow := number("Evicted, too slow", evicted["outbox_full"]+evicted["outbox_age"]+evicted["no_progress"])
	slow.Note = "in all"
	return []fact{all, stalled, oldest, most, slow}
}

func tor(t admin.Tor, at time.Time) []fact {
	yes := func(name string, on bool, note string) fact {
		f := fact{Name: name, Value: "on", Note: note}
		if !on {
			f.Value, f.Note = "off", ""
			if t.Bootstrap >= 100 { // before, Tor has not been told yet
				f.Level = warn
			}
		}
		return f
	}
	known := func(name string, n int) fact {
		if n < 0 {
			return fact{Name: name, Value: "–", Note: "not known"}
		}
		f := number(name, n)
		if !t.StateTime.IsZero() {
			f.Note = ago(t.StateTime, at)
		}
		return f
	}
	uploads := number("Uploads", t.Uploads)
	if t.UploadsFailed > 0 {
		uploads.Note = count(t.UploadsFailed) + " failed"
	}
	facts := []fact{
		{Name: "Version", Value: t.Version, Note: t.Mode},
		{Name: "Bootstrap", Value: strconv.Itoa(t.Bootstrap), Unit: "%", Note: t.Phase},
		uploads,
		known("Client circuits", t.Circuits),
		yes("Proof of work", t.PoW, count(positive(t.QueueRate))+" a second"),
	}
	if t.PoW {
		facts = append(facts, known("Effort asked", t.Effort))
	}
	facts = append(facts, yes("Intro defence", t.IntroDoS, ""), yes("Circuit ids", t.CircuitIDs, ""))
	if t.RSS > 0 {
		facts = append(facts, measured("Memory", bytesOf(t.RSS)))
	}
	if t.CPUSeconds > 0 {
		facts = append(facts, measured("Processor", span(seconds(t.CPUSeconds))))
	}
	return facts
}

func machine(r admin.Report) []fact {
	p, s := r.Process, r.Store
	files := number("Open files", p.FDs)
	if p.MaxFDs > 0 {
		files = files.limit(float64(p.FDs), float64(p.MaxFDs), "of "+count(p.MaxFDs), 0.8)
	}
	store := fact{Name: "Store", Value: "works", Note: bytesOf(positive(s.Bytes)).String()}
	if !s.OK {
		store.Value, store.Note, store.Level = "broken", s.Problem, bad
		if !s.Since.IsZero() {
			store.Note = strings.TrimPrefix(store.Note+", since "+s.Since.UTC().Format("2006-01-02 15:04")+" UTC", ", ")
		}
	}
	return []fact{
		store,
		number("Failed writes", s.Failed).attention(warn, s.Failed > 0),
		measured("Memory", bytesOf(p.RSS)),
		files,
		measured("Processor", span(seconds(p.CPUSeconds))),
		number("Goroutines", p.Goroutines),
		{Name: "Process id", Value: strconv.Itoa(p.PID)},
		number("Bans in force", r.Stats.Bans),
	}
}

func since(r admin.Report) []fact {
	s := r.Stats
	facts := []fact{
		number("Connections", s.Accepted),
		number("Handshakes", s.Handshakes),
		number("Public messages", s.Public),
		number("Private messages", s.Private),
		number("Peer lists", s.Peerlists),
		number("Deliveries", s.Deliveries),
		measured("Received", bytesOf(s.BytesIn)),
		measured("Sent", bytesOf(s.BytesOut)),
	}
	if c := r.Check; c != nil && c.Enabled {
		f := number("Self-checks", c.Passed+c.Failed)
		f.Note = count(c.Failed) + " failed"
		facts = append(facts, f)
	}
	return facts
}

// reasons sorts what was counted: kinds in the order of kinds, the frequent first, and what did not happen apart.
func reasons(counts map[string]map[string]uint64) (happened, quiet []group) {
	for _, k := range kinds {
		yes, no := group{Title: k.Title, Of: k.Of}, group{Title: k.Title, Of: k.Of}
		known := admin.Meanings(k.Name)
		names := slices.Collect(maps.Keys(known))
		for name := range counts[k.Name] {
			if _, ok := known[name]; !ok {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			if x, y := counts[k.Name][a], counts[k.Name][b]; x != y {
				if x > y {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		var total uint64
		for _, name := range names {
			n := counts[k.Name][name]
			total += n
			to := &no
			if n > 0 {
				to = &yes
			}
			to.Reasons = append(to.Reasons, reason{name, count(n), known[name]})
		}
		yes.Total = count(total)
		if len(yes.Reasons) > 0 {
			happened = append(happened, yes)
		}
		if len(no.Reasons) > 0 {
			quiet = append(quiet, no)
		}
	}
	return happened, quiet
}
