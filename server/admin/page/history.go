package page

import (
	"net/http"
	"time"

	"jm-directory-server/server/admin"
)

const day = 24 * time.Hour

// A period is a part of the past that can be looked at. Its samples are gathered into buckets, of which a graph has at
// most some 300.
type period struct {
	Name   string // in ?span=
	Title  string
	sample time.Duration // span of the samples
	bucket time.Duration
	length time.Duration
	per    time.Duration // losses are counted per this time
	Per    string        // in words
	ticks  func(from, to time.Time) []mark
}

var periods = []period{
	{"recent", "60 minutes", time.Minute, time.Minute, time.Hour, time.Minute, "a minute", tens},
	{"minute", "24 hours", time.Minute, 5 * time.Minute, day, time.Minute, "a minute", hours},
	{"hour", "60 days", time.Hour, 6 * time.Hour, 60 * day, time.Hour, "an hour", weeks},
	{"day", "5 years", day, 7 * day, 261 * 7 * day, day, "a day", years},
}

// periodOf returns what a request asks for, by default the last day.
func periodOf(r *http.Request) period {
	asked := r.URL.Query().Get("span")
	for _, p := range periods {
		if p.Name == asked {
			return p
		}
	}
	return lastDay
}

// lastDay is what is shown when nothing is asked for.
var lastDay = periods[1]

// A mark is a time to be written below a graph.
type mark struct {
	at    time.Time
	text  string
	minor bool // left out where there is little room
}

// tens marks every tenth minute of an hour.
func tens(from, to time.Time) (marks []mark) {
	for t := from.Truncate(10 * time.Minute); t.Before(to); t = t.Add(10 * time.Minute) {
		marks = append(marks, mark{t, t.Format("15:04"), t.Minute()%20 != 0})
	}
	return marks
}

// hours marks every third hour of a day.
func hours(from, to time.Time) (marks []mark) {
	for t := from.Truncate(3 * time.Hour); t.Before(to); t = t.Add(3 * time.Hour) {
		marks = append(marks, mark{t, t.Format("15:04"), t.Hour()%6 != 0})
	}
	return marks
}

// weeks marks every Monday.
func weeks(from, to time.Time) (marks []mark) {
	for t := from.Truncate(7 * day); t.Before(to); t = t.Add(7 * day) {
		marks = append(marks, mark{t, t.Format("2 Jan"), t.Sub(from.Truncate(14*day))%(14*day) != 0})
	}
	return marks
}

// years marks the beginning of each.
func years(from, to time.Time) (marks []mark) {
	for y := from.Year(); y <= to.Year(); y++ {
		t := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
		marks = append(marks, mark{t, t.Format("2006"), false})
	}
	return marks
}

// A point is what happened in one bucket.
type point struct {
	up, ready                 time.Duration
	peers, makers             float64 // mean over up
	peersMax                  int
	deliveries                uint64
	dropped, refused, evicted uint64
	checksOK, checksBad       int
	checkMax                  time.Duration
}

// fold gathers samples into n buckets from from on. A bucket with no time up is a gap.
func fold(samples []admin.Sample, from time.Time, bucket time.Duration, n int) []point {
	points := make([]point, n)
	for _, s := range samples {
		i := int(s.Start.Sub(from) / bucket)
		if s.Start.Before(from) || i >= n || s.Up <= 0 {
			continue
		}
		p := &points[i]
		w := float64(s.Up) / float64(p.up+s.Up)
		p.peers += (s.Peers - p.peers) * w
		p.makers += (s.Makers - p.makers) * w
		p.up += s.Up
		p.ready += min(max(s.Ready, 0), s.Up)
		p.peersMax = max(p.peersMax, s.PeersMax)
		p.deliveries += s.Deliveries
		p.dropped += s.Dropped
		p.refused += s.Refused
		p.evicted += s.Evicted
		p.checksOK += s.ChecksOK
		p.checksBad += s.ChecksBad
		p.checkMax = max(p.checkMax, s.CheckMax)
	}
	return points
}

// history is what the template "past" shows.
type history struct {
	Span    string // the period's name
	Title   string
	Choices []choice
	Problem string // why there is no history
	Empty   bool   // nothing is recorded in the period
	Reach   strip
	Graphs  []graph
}

// A choice is a period that can be looked at.
type choice struct {
	Name, Title string
	Current     bool
}

// past reads and draws a period that ends at at.
func past(src Source, p period, at time.Time) history {
	h := history{Span: p.Name, Title: p.Title}
	for _, q := range periods {
		h.Choices = append(h.Choices, choice{q.Name, q.Title, q.Name == p.Name})
	}
	to := at.UTC().Truncate(p.bucket).Add(p.bucket)
	from := to.Add(-p.length)
	samples, err := src.History(p.sample, from, to)
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	points := fold(samples, from, p.bucket, int(p.length/p.bucket))
	f := frame{p: p, from: from, to: to, points: points}
	h.Empty = true
	for i := range points {
		if points[i].up > 0 {
			h.Empty = false
		}
	}
	h.Reach = f.reach()
	h.Graphs = []graph{f.peers(), f.deliveries(), f.losses()}
	return h
}
