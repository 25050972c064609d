package main

import (
	"context"
	"sync"
	"time"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

const (
	// lookPeriod is how often the observer looks; a rate is the mean over rateLooks of them.
	lookPeriod = 2 * time.Second
	rateLooks  = 5
	// samplePeriod is the span of the samples that it hands on.
	samplePeriod = time.Minute
	// waitingSamples is how many may wait to be kept, for a disk that hangs; later ones are given up.
	waitingSamples = 60
)

// An observer looks at the directory every few seconds, from start to end. It knows how fast things go, and hands on a
// sample each minute.
type observer struct {
	status func() server.Status
	effort func() int         // suggested by the onion service now; -1: not known
	ready  func() bool        // clients can reach the directory
	check  func() admin.Check // the self-check
	keep   func(admin.Sample) // takes a sample, one after the other; it may take its time
	lose   func()             // counts a sample that is given up; it never waits

	mu    sync.Mutex
	looks []look // the last ones, oldest first
}

// A look is what was seen at one moment.
type look struct {
	at     time.Time
	status server.Status
	sums   map[string]uint64 // of reasons, by kind
	check  admin.Check
}

func (o *observer) look(now time.Time) look {
	l := look{at: now, status: o.status(), sums: make(map[string]uint64), check: o.check()}
	for r, n := range l.status.Reasons {
		l.sums[r.Kind()] += n
	}
	return l
}

// run looks until ctx ends, and hands on what the last, unfinished minute had. It goes on looking while a sample is kept.
func (o *observer) run(ctx context.Context) {
	samples := make(chan admin.Sample, waitingSamples+1) // one for the last
	var keeping sync.WaitGroup
	keeping.Go(func() {
		for s := range samples {
			o.keep(s)
		}
	})
	defer keeping.Wait()
	defer close(samples)
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	first := o.look(time.Now())
	o.note(first)
	m := newMinute(first)
	for {
		select {
		case <-ctx.Done():
			m.add(o.look(time.Now()), o.effort(), o.ready())
			samples <- m.sample()
			return
		case now := <-tick.C:
			l := o.look(now)
			o.note(l)
			m.add(l, o.effort(), o.ready())
			if !l.at.Truncate(samplePeriod).Equal(m.first.at.Truncate(samplePeriod)) {
				if len(samples) < waitingSamples {
					samples <- m.sample()
				} else {
					o.lose()
				}
				m = newMinute(l)
			}
		}
	}
}

// note remembers a look for rates.
func (o *observer) note(l look) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.looks) > rateLooks {
		o.looks = append(o.looks[:0], o.looks[1:]...)
	}
	o.looks = append(o.looks, l)
}

// rates returns how fast things went lately; zero before the second look.
func (o *observer) rates() admin.Rates {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.looks) < 2 {
		return admin.Rates{}
	}
	a, b := o.looks[0], o.looks[len(o.looks)-1]
	seconds := b.at.Sub(a.at).Seconds()
	if seconds <= 0 {
		return admin.Rates{}
	}
	per := func(a, b uint64) float64 { return float64(b-a) / seconds }
	return admin.Rates{
		Accepted: per(a.status.Accepted, b.status.Accepted),
		Public:   per(a.status.Public, b.status.Public), Private: per(a.status.Private, b.status.Private),
		Deliveries: per(a.status.Deliveries, b.status.Deliveries),
		BytesIn:    per(a.status.BytesIn, b.status.BytesIn), BytesOut: per(a.status.BytesOut, b.status.BytesOut),
		Dropped: per(a.sums["dropped"], b.sums["dropped"]),
	}
}

// A minute gathers looks into one sample.
type minute struct {
	first, last look
	ready       time.Duration
	peers       float64 // peers times time
	makers      float64
	most        admin.Sample // the maxima
}

func newMinute(first look) *minute { return &minute{first: first, last: first} }

// add takes one look; what it saw counts for the time since the one before.
func (m *minute) add(l look, effort int, ready bool) {
	d := max(l.at.Sub(m.last.at), 0)
	m.peers += float64(l.status.Peers) * d.Seconds()
	m.makers += float64(l.status.Makers) * d.Seconds()
	if ready {
		m.ready += d
	}
	m.most.PeersMax = max(m.most.PeersMax, l.status.Peers)
	m.most.OutboxMax = max(m.most.OutboxMax, l.status.OutboxBytes)
	m.most.EffortMax = max(m.most.EffortMax, effort)
	if l.check.OK && l.check.Passed > m.last.check.Passed {
		m.most.CheckMax = max(m.most.CheckMax, l.check.Latency)
	}
	m.last = l
}

// sample is what was gathered.
func (m *minute) sample() admin.Sample {
	a, b := m.first, m.last
	s := m.most
	s.Start, s.Span = a.at.UTC().Truncate(samplePeriod), samplePeriod
	s.Up, s.Ready = min(max(b.at.Sub(a.at), 0), samplePeriod), min(m.ready, samplePeriod)
	if seconds := b.at.Sub(a.at).Seconds(); seconds > 0 {
		s.Peers, s.Makers = m.peers/seconds, m.makers/seconds
	}
	s.Accepted, s.Handshakes = b.status.Accepted-a.status.Accepted, b.status.Handshakes-a.status.Handshakes
	s.Public, s.Private = b.status.Public-a.status.Public, b.status.Private-a.status.Private
	s.Deliveries = b.status.Deliveries - a.status.Deliveries
	s.BytesIn, s.BytesOut = b.status.BytesIn-a.status.BytesIn, b.status.BytesOut-a.status.BytesOut
	s.Dropped, s.Refused = b.sums["dropped"]-a.sums["dropped"], b.sums["refused"]-a.sums["refused"]
	s.Evicted = b.sums["evicted"] - a.sums["evicted"]
	s.ChecksOK = int(b.check.Passed - a.check.Passed)
	s.ChecksBad = int(b.check.Failed - a.check.Failed)
	return s
}
