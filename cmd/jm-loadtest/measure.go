package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

// A bench runs scenarios one after the other and gathers their results.
type bench struct {
	o        *options
	ids      *identities
	progress *progress
	results  []*result
}

// newFleet makes peers of which the first makers serve, and has them join.
func (b *bench) newFleet(ctx context.Context, peers, makers int) (*fleet, *joined, error) {
	f, err := newFleet(b.o, b.ids, peers, makers)
	if err != nil {
		return nil, nil, err
	}
	j, err := b.join(ctx, f, f.peers)
	if err != nil {
		f.close()
		return nil, nil, err
	}
	return f, j, nil
}

// join has peers of a fleet join, of an onion at the rate given.
func (b *bench) join(ctx context.Context, f *fleet, peers []*peer) (*joined, error) {
	if f.target.onion() {
		return b.joinAt(ctx, f, peers, b.o.rate)
	}
	return b.joinAt(ctx, f, peers, 0)
}

// joinAt has them join at so many a second at most; 0: as fast as it goes.
func (b *bench) joinAt(ctx context.Context, f *fleet, peers []*peer, perSecond float64) (*joined, error) {
	var pace *rate.Limiter
	if perSecond > 0 {
		pace = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	defer b.progress.clear()
	return f.join(ctx, peers, b.o.joins, pace, func(done int) {
		b.progress.show("joining: %s of %s", number(float64(done)), number(float64(len(peers))))
	})
}

// all fails when not every peer has joined: the measurement that follows would be another one.
func (b *bench) all(f *fleet, j *joined) error {
	if len(j.refused) == 0 {
		return nil
	}
	faults := f.faults()
	return fmt.Errorf("%d of %d peers could not join: %s", len(j.refused), len(f.peers), faults.String())
}

// pause waits for d. The error is the context's.
func (b *bench) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A meter measures what server and generator use between two moments.
type meter struct {
	b         *bench
	f         *fleet
	at        time.Time
	own       time.Duration
	waited    time.Duration
	server    processUse
	delivered int64

	backlog []int // the most unread bytes of one socket, at each look
}

func (b *bench) begin(f *fleet) (*meter, error) {
	m := &meter{b: b, f: f, at: time.Now(), own: ownCPU()}
	if f != nil {
		m.waited, m.delivered = f.waited(), f.delivered()
	}
	if b.o.pid > 0 {
		var err error
		if m.server, err = readProcess(b.o.pid); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// backlogSample is how many sockets one look takes in.
const backlogSample = 16

// look notes how much waits to be read.
func (m *meter) look() {
	most := 0
	n := len(m.f.peers)
	for i := range min(n, backlogSample) {
		p := m.f.peers[(len(m.backlog)*backlogSample+i*max(1, n/backlogSample))%n]
		if !p.deaf {
			most = max(most, p.unread())
		}
	}
	m.backlog = append(m.backlog, most)
}

// grew reports whether the unread bytes grew over the whole measurement.
func (m *meter) grew() bool {
	quarter := len(m.backlog) / 4
	if quarter < 2 {
		return false
	}
	first, last := 0, 0
	for i := range quarter {
		first += m.backlog[i]
		last += m.backlog[len(m.backlog)-1-i]
	}
	const least = 128 << 10 // bytes: a socket that is never empty for the server's bursts is no sign
	return last > 2*first && last/quarter > least
}

// end fills in what the result says of time, server and generator, and returns the deliveries.
func (m *meter) end(r *result) (deliveries int64, err error) {
	wall := time.Since(m.at)
	r.Seconds = wall.Seconds()
	cores := float64(m.b.o.procs)
	u := &ownUse{CPUShare: float64(ownCPU()-m.own) / float64(wall) / cores, BacklogGrew: m.grew()}
	for _, n := range m.backlog {
		u.BacklogBytes = max(u.BacklogBytes, n)
	}
	if m.f != nil {
		u.BusyShare = max(0, 1-float64(m.f.waited()-m.waited)/float64(wall)/cores)
		deliveries = m.f.delivered() - m.delivered
	}
	if deliveries > 0 {
		u.CPUPerMillion = u.CPUShare * r.Seconds * cores / float64(deliveries) * 1e6
	}
	u.judge(r.Seconds)
	r.Generator = u
	if m.b.o.pid > 0 {
		after, err := readProcess(m.b.o.pid)
		if err != nil {
			return deliveries, err
		}
		s := &serverUse{CPUSeconds: (after.cpu - m.server.cpu).Seconds(), RSSBytes: after.rss, RSSGrowth: after.rss - m.server.rss}
		if deliveries > 0 {
			s.CPUPerMillion = s.CPUSeconds / float64(deliveries) * 1e6
		}
		r.Server = s
	}
	return deliveries, nil
}

// A run is one measurement under load.
type run struct {
	phase  *phase
	start  func()                                         // sends the first messages
	pump   func(ctx context.Context) (held int64)         // sends more until ctx ends; nil: what comes makes room for more
	depth  int                                            // messages of a pair in flight
	length time.Duration                                  // of the measurement, after the warm-up
	enough func() bool                                    // nil, or ends the measurement early
	title  func(deliveries int64, d time.Duration) string // for the progress line
}

// patience is how long a message may take before its place in the window is given to the next one, and how long nothing
// may come of an answer before it is taken for all there is. Tests of what never comes make it shorter.
var patience = 5 * time.Second

// do runs a measurement: warm-up, the time that counts, and waiting for what is still to come. The result has
// everything but its names and figures; deliveries and sent are those of the time that counts.
func (b *bench) do(ctx context.Context, f *fleet, r run) (res *result, deliveries, sent int64, err error) {
	ph := r.phase
	warm := min(time.Second, r.length/5)
	before := f.delivered()
	f.enter(ph)
	ph.measured.Store(now() + int64(warm))
	pumping, stop := context.WithCancel(ctx)
	defer stop()
	pumped := make(chan int64, 1)
	if r.pump != nil {
		go func() { pumped <- r.pump(pumping) }()
	} else {
		pumped <- 0
	}
	if r.start != nil {
		r.start()
	}
	var m *meter
	var sentBefore int64
	begin := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	for err == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
			continue
		}
		if m == nil && time.Since(begin) >= warm {
			sentBefore = ph.sent()
			m, err = b.begin(f)
			continue
		}
		if m == nil {
			continue
		}
		m.look()
		ph.revive(int64(patience), r.depth)
		b.progress.show("%s", r.title(f.delivered()-m.delivered, time.Since(m.at)))
		if time.Since(m.at) >= r.length || r.enough != nil && r.enough() {
			break
		}
	}
	tick.Stop()
	res = &result{Peers: len(f.peers), Size: b.o.size}
	if m != nil && err == nil {
		sent = ph.sent() - sentBefore
		deliveries, err = m.end(res)
	}
	ph.stopped.Store(true)
	stop()
	held := <-pumped
	b.drain(ctx, f, ph, before)
	b.progress.clear()
	t := f.exit()
	if err != nil {
		return res, deliveries, sent, err
	}
	res.Generator.Held = held
	res.Latency, res.apart = quantilesOf(&t.latency), quantilesOf(&t.apart)
	res.Faults = ph.faults(t)
	res.Faults.add(f.faults())
	return res, deliveries, sent, nil
}

// drain waits for what is still to come: until all of it came, or nothing came for a while.
func (b *bench) drain(ctx context.Context, f *fleet, ph *phase, before int64) {
	quiet := time.Second
	if f.target.onion() {
		quiet = 10 * time.Second
	}
	last, since := f.delivered(), time.Now()
	for last-before < ph.due() && time.Since(since) < quiet {
		b.progress.show("waiting for the last %s messages", number(float64(ph.due()-last+before)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
		if n := f.delivered(); n != last {
			last, since = n, time.Now()
		}
	}
}

// rateTitle is the progress line of a measurement.
func rateTitle(what string, length time.Duration) func(int64, time.Duration) string {
	return func(n int64, d time.Duration) string {
		return fmt.Sprintf("%s: %s deliveries/s, %.0f of %.0f s", what, number(float64(n)/d.Seconds()), d.Seconds(), length.Seconds())
	}
}
