package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// A fact is one line of a card: a name, a number or words, and what helps to read it.
type fact struct {
	Name, Value, Unit string
	Note              string
	Level             string // "", warn or bad
	Bar               string // share of a limit, 0 to 100; "" without one
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
