package page

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"jm-directory-server/server/admin"
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
	n.Title = n.Word + " · " + peers(positive(r.ConnectedPeers.Total))
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
	case slices.ContainsFunc(problems, func(p string) bool { return p != admin.ProblemDraining }):
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
		f = f.attention(warn, !t.LastUpload.IsZero() && r.Time.Sub(t.LastUpload) > admin.DescriptorLife)
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
