package server

import (
	"time"

	"jm-directory-server/server/wire"
)

// departures gathers who has left, so that hundreds that leave at once make a few lines, not hundreds for
// everybody (protocol.md 6.5). The registry's lock guards it.
type departures struct {
	entries []wire.Entry
	nicks   map[string]struct{}
	timer   *time.Timer
	told    int64 // Server.now of the last announcement; 0: there was none

	announced chan struct{} // closed when those that are noted are taken; nil: none are
}

// quietDeparture is by how much sooner departures are announced when none were for Options.DepartureDelay: one line then tells
// early, and the lines are still as far apart as that when departures go on.
const quietDeparture = 4

// add notes a departure and reports whether it is the first since the last take. One that is already noted
// is not noted again.
func (d *departures) add(p *peer) (first bool) {
	if d.has(p.nick) {
		return false
	}
	if d.nicks == nil {
		d.nicks, d.announced = make(map[string]struct{}), make(chan struct{})
	}
	d.nicks[p.nick] = struct{}{}
	d.entries = append(d.entries, wire.Entry{Nick: p.nick, Location: p.location, Gone: true})
	return len(d.entries) == 1
}

// has reports whether nick's departure is noted.
func (d *departures) has(nick string) bool {
	_, ok := d.nicks[nick]
	return ok
}

// take calls line with every peerlist line that the noted departures make, and forgets them.
func (d *departures) take(line func([]byte)) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	entries := d.entries
	if d.announced != nil {
		close(d.announced) // who waits for it needs the registry's lock to go on
	}
	d.entries, d.nicks, d.announced = nil, nil, nil
	chunkEntries(entries, departureChunk, false, line)
}

// depart notes a departure that others must hear of. The lock must be held.
func (r *registry) depart(p *peer) {
	if r.closing || !p.knownToOthers() {
		return
	}
	if first := r.departures.add(p); first {
		wait := r.s.opt().DepartureDelay
		if told := r.departures.told; told == 0 || r.s.now()-told >= int64(wait) {
			wait /= quietDeparture
		}
		r.departures.timer = time.AfterFunc(wait, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if !r.closing {
				r.announce()
			}
		})
	}
}

// announce broadcasts all noted departures. The lock must be held: a newcomer must not come in between.
func (r *registry) announce() {
	r.told.Add(1)
	r.departures.told = r.s.now()
	r.departures.take(func(line []byte) {
		fr, err := newFrame(wire.Peerlist, line, r.s.now())
		if err != nil {
			r.s.count.reasons[DroppedTooLong].Add(1)
			return
		}
		r.s.broadcast(fr, nil)
		fr.release()
	})
}

// close ends announcements. Who waits for one is not let in for that, but waits for its reason to end, see Server.Shutdown.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	if t := r.departures.timer; t != nil {
		t.Stop()
	}
}

// departureChunk is the number of departures in a line; 100 of them are 8.1 kB.
const departureChunk = 100

// chunkEntries calls line with peerlist lines of at most n entries and wire.MaxLine bytes each.
func chunkEntries(entries []wire.Entry, n int, features bool, line func([]byte)) {
	const envelope = 40 // bytes around the list; nothing in an entry needs an escape
	var buf []byte
	count := 0
	for _, e := range entries {
		before := len(buf)
		if count > 0 {
			buf = append(buf, ',')
		}
		buf = wire.AppendEntry(buf, e, features)
		if count++; count > 1 && (count > n || len(buf) > wire.MaxLine-envelope) {
			line(buf[:before])
			rest := buf[before+1:]
			buf = append(buf[:0], rest...)
			count = 1
		}
	}
	if count > 0 {
		line(buf)
	}
}
