package server

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// What the simulation is judged by: protocol.md 5 to 7, from nothing but what clients sent and saw, and when. The clock
// moves only when nobody has anything left to do, so what is sent in one instant arrives in it, at all who read.

// never is later than any run.
const never = time.Duration(1<<63 - 1)

// end is when the connection ended, whoever ended it.
func (c *simConn) end() time.Duration {
	switch {
	case c.leftAt >= 0:
		return c.leftAt
	case c.endedAt >= 0:
		return c.endedAt
	}
	return never
}

// accepted reports whether it became a peer, as far as it knows.
func (c *simConn) accepted() bool { return c.acceptedAt >= 0 }

// handled is when the server handled a message of c: at once, but not before c was a peer.
func (c *simConn) handled(m simMessage) time.Duration { return max(m.at, c.acceptedAt) }

// perhaps reports whether it may have been a peer: one that leaves at once, or is replaced at once, does not see the answer.
func (c *simConn) perhaps() bool { return c.accepted() || !c.refused && c.end() != never }

// evicted reports whether the server ended it, at the same time as the client or before.
func (c *simConn) evicted() bool {
	r := Reason(c.c.ended.Load())
	return r.Kind() == "evicted" && r != EvictedShutdown
}

// certain reports whether the server must have handled it: c was a peer, and not ended by the server until then.
func (c *simConn) certain(m simMessage) bool {
	return c.accepted() && (!c.evicted() || c.handled(m) < c.end())
}

// reads reports whether c must have read what was sent to it at a time: it was a peer before, and after.
func (c *simConn) reads(at time.Duration) bool {
	return c.accepted() && !c.deaf && c.acceptedAt < at && at < min(c.end(), c.sim.end) && (c.endedAt < 0 || !c.stalled)
}

// known reports whether others may, and whether they must have heard of c.
func (c *simConn) known() (may, must bool) {
	may = c.location.Serving() || c.spoke || len(c.sent) > 0
	must = c.location.Serving() || slices.ContainsFunc(c.sent, func(m simMessage) bool { return m.to == wire.Public && c.certain(m) })
	return may, must
}

// due reports whether v gets a message of c: what is sent to oneself goes nowhere.
func (m simMessage) due(c, v *simConn) bool {
	return m.to == wire.Public || m.to == v.owner.nick && m.to != c.owner.nick
}

// wrong reports a broken rule.
func (c *simConn) wrong(at time.Duration, format string, args ...any) {
	c.t.Errorf("seed %d: connection %d (%s) at %v: %s", c.seed, c.id, c.owner.nick, at, fmt.Sprintf(format, args...))
}

// String tells what became of it, for who looks into a failed run.
func (c *simConn) String() string {
	return fmt.Sprintf("connection %d %s proves %t serves %t deaf %t stalled %t: hello %v, answered %v, accepted %v, left %v, ended %v (%v), sent %v",
		c.id, c.owner.nick, c.proves, c.location.Serving(), c.deaf, c.stalled, c.helloAt, c.answeredAt, c.acceptedAt, c.leftAt, c.endedAt, Reason(c.c.ended.Load()), c.sent)
}

// judge looks at everything that was seen.
func (m *sim) judge() {
	defer func() {
		for _, c := range m.conns {
			if m.t.Failed() {
				m.t.Log(c)
			}
		}
	}()
	for _, c := range m.conns {
		c.judgeHandshake()
		c.judgeOwnership()
		if c.accepted() {
			(&simView{
				simConn: c, next: map[int]int{}, came: map[[2]int]bool{}, told: map[int]bool{}, last: map[string]*simConn{},
				former: map[string]*simConn{}, gone: map[string]int{}, goneAt: map[string]time.Duration{},
			}).judge()
		}
	}
}

// judgeHandshake: nothing comes before 795, and nothing between it, 803 and 807; a refusal is the last line.
func (c *simConn) judgeHandshake() {
	want := []wire.Type{wire.DirectoryHandshake}
	if c.proves && !(len(c.lines) == 1 && !strings.Contains(c.lines[0].Line, `"accepted": true`)) {
		want = append(want, wire.NickChallenge, wire.NickResult)
	}
	for i, l := range c.lines {
		if i < len(want) && l.Type != want[i] {
			c.wrong(l.at, "line %d is %v %q, want %v", i, l.Type, l.Line, want[i])
			return
		}
		if i >= len(want) && !c.accepted() {
			c.wrong(l.at, "%v %q after a refusal", l.Type, l.Line)
		}
		if i >= len(want) && slices.Contains([]wire.Type{wire.DirectoryHandshake, wire.NickChallenge, wire.NickResult}, l.Type) {
			c.wrong(l.at, "%v %q once more", l.Type, l.Line)
		}
	}
	if c.cheats && c.accepted() {
		c.wrong(c.acceptedAt, "let in with another's key")
	}
	if c.accepted() || c.answeredAt < 0 || c.cheats {
		return
	}
	decided := c.answeredAt
	if !c.refused {
		decided = c.end() // it waited until its nick's departure was announced, and was replaced at once
	}
	for _, d := range c.rivals() { // somebody must have had, or wanted, the nick
		if d.helloAt <= decided && d.end() >= c.helloAt {
			return
		}
	}
	c.wrong(c.answeredAt, "refused, and nobody else had the nick: %v", c.lines)
}

// rivals returns the other connections with c's nick that said something.
func (c *simConn) rivals() (others []*simConn) {
	for _, d := range c.conns {
		if d != c && d.owner.nick == c.owner.nick && d.helloAt >= 0 {
			others = append(others, d)
		}
	}
	return others
}

// judgeOwnership: a nick has one owner at a time, and who has proven it gives way to nobody who has not.
func (c *simConn) judgeOwnership() {
	if !c.accepted() {
		return
	}
	displaced := Reason(c.c.ended.Load()) == EvictedDisplaced
	by := false
	for _, d := range c.rivals() {
		// Who has not proven the nick waits for a sign of life of one who has not, either.
		may := d.proves || !c.proves && c.endedAt-d.helloAt >= c.s.opt().ConflictTimeout
		if !d.accepted() {
			by = by || may && d.perhaps()
			continue
		}
		if from, to := max(c.acceptedAt, d.acceptedAt), min(c.end(), d.end()); from < to {
			c.wrong(from, "has the nick together with connection %d until %v", d.id, to)
		}
		by = by || may && (d.acceptedAt == c.endedAt || d.late && d.acceptedAt > c.endedAt)
	}
	if displaced && c.endedAt >= 0 && !by {
		c.wrong(c.endedAt, "replaced by nobody who may")
	}
}

// A simView goes along what one peer saw.
type simView struct {
	*simConn
	next    map[int]int         // by sender: the number that may come next at least
	came    map[[2]int]bool     // by sender and number: it came
	told    map[int]bool        // by sender: its location came
	last    map[string]*simConn // by nick: whose message came last, since its last departure
	former  map[string]*simConn // by nick: whose message came last before that
	gone    map[string]int      // by entry: departures that came
	goneAt  map[string]time.Duration
	answers int // to getpeerlist
}

func (v *simView) judge() {
	head := 1
	if v.proves {
		head = 3
	}
	for i := head; i < len(v.lines); i++ {
		l := v.lines[i]
		switch l.Type {
		case wire.Pubmsg:
			if l.Line != string(v.s.orderbookProbe) {
				v.message(l)
			}
		case wire.Privmsg:
			from := v.message(l)
			if from == nil || !from.location.Serving() || v.told[from.id] {
				continue
			}
			// The first one of a peer that serves is followed by its location.
			v.told[from.id] = true
			if i++; i == len(v.lines) {
				if v.leftAt < 0 && v.endedAt < 0 && !v.deaf {
					v.wrong(l.at, "the location of %d did not come", from.id)
				}
				continue
			}
			next := v.lines[i]
			e := wire.Entry{Nick: from.owner.nick, Location: from.location}
			if slices.Contains(v.features, wire.FeaturePeerlist) {
				e.Features = strings.Split(strings.Join(from.features, ","), ",")
				if from.proves {
					e.Features = append(e.Features, wire.FeatureNickAuth)
				}
				e.Features = slices.DeleteFunc(e.Features, func(f string) bool { return f == "" })
				slices.Sort(e.Features)
			}
			if want := string(wire.AppendEntry(nil, e, true)); next.Type != wire.Peerlist || next.Line != want {
				v.wrong(next.at, "got %v behind a message of %d, want %q", next, from.id, want)
			}
		case wire.Peerlist:
			v.peerlist(l)
		case wire.Ping:
		default:
			v.wrong(l.at, "got %v", l.rawMessage)
		}
	}
	v.missing()
}

// message judges one message, and returns who sent it.
func (v *simView) message(l simLine) *simConn {
	parts := strings.SplitN(l.Line, "!", 3)
	var id, n int
	if strings.HasPrefix(parts[2], "x") {
		if parts[2][1:] != parts[0] {
			v.wrong(l.at, "forged message %q", l.Line)
		}
		return nil
	}
	if _, err := fmt.Sscanf(parts[2], "%d %d", &id, &n); err != nil || id >= len(v.conns) || n >= len(v.conns[id].sent) || v.conns[id].owner.nick != parts[0] {
		v.wrong(l.at, "nobody sent %q", l.Line)
		return nil
	}
	from := v.conns[id]
	msg := from.sent[n]
	switch {
	case from == v.simConn:
		v.wrong(l.at, "got its own message %d back", n)
	case msg.to != parts[1] || (l.Type == wire.Pubmsg) != (msg.to == wire.Public):
		v.wrong(l.at, "got %v, which was sent to %s", l, msg.to)
	case !msg.due(from, v.simConn):
		v.wrong(l.at, "got %q, which is another's", l.Line)
	case from.accepted() && from.handled(msg) < v.helloAt:
		v.wrong(l.at, "got %q, which was sent at %v before it joined at %v", l.Line, msg.at, v.helloAt)
	case v.former[parts[0]] == from || v.gone[from.entry()] > v.departures(from.entry(), l.at, from):
		v.wrong(l.at, "got %q after its departure", l.Line)
	case from.accepted() && !v.stalled && !v.busy && !v.deaf && l.at != max(from.handled(msg), v.acceptedAt):
		v.wrong(l.at, "got %q, which was sent at %v: somebody was held up", l.Line, from.handled(msg))
	}
	if prev := v.last[parts[0]]; prev != nil && prev != from {
		v.wrong(l.at, "got a message of connection %d, and connection %d had the nick: no departure came", id, prev.id)
	}
	v.last[parts[0]] = from
	if at, seen := v.next[id]; seen {
		for ; at < n; at++ {
			if from.sent[at].due(from, v.simConn) {
				v.wrong(l.at, "got message %d of %d, and not %d, which came before", n, id, at)
			}
		}
		if n < at {
			v.wrong(l.at, "got message %d of %d again or too late", n, id)
		}
	}
	v.next[id] = n + 1
	v.came[[2]int{id, n}] = true
	return from
}

// peerlist judges a line of departures, or an answer to getpeerlist.
func (v *simView) peerlist(l simLine) {
	entries := wire.ParsePeerlist([]byte(l.Line))
	if len(entries) > 0 && entries[0].Nick == v.s.Nick() {
		if v.answers++; v.answers > v.asked {
			v.wrong(l.at, "got a list that it has not asked for")
		}
		v.list(l.at, entries[1:])
		return
	}
	for _, e := range entries {
		if !e.Gone {
			v.wrong(l.at, "got %q behind no message", l.Line)
			continue
		}
		v.departure(l.at, e)
	}
}

// list judges an answer to getpeerlist: nobody is in it whose departure came before, and everybody who served for a while.
func (v *simView) list(at time.Duration, entries []wire.Entry) {
	listed := map[string]bool{}
	for _, e := range entries {
		entry := entryOf(e.Nick, e.Location)
		gone, told := v.goneAt[entry]
		if listed[entry] || e.Gone || !slices.ContainsFunc(v.conns, func(c *simConn) bool {
			return c.entry() == entry && c.location.Serving() && c.helloAt >= 0 && c.helloAt <= at && (!told || v.stalled || v.busy || v.deaf || c.end() >= gone)
		}) {
			v.wrong(at, "a list names %+v, of whom it was told at %v that it has left: %t", e, gone, told)
		}
		listed[entry] = true
	}
	if v.stalled || v.busy || v.deaf {
		return // it reads an old one
	}
	for _, c := range v.conns {
		if c.accepted() && c.location.Serving() && c.acceptedAt+v.s.opt().DepartureDelay < at && c.end() > at && !listed[c.entry()] {
			v.wrong(at, "a list does not name connection %d, which is here since %v", c.id, c.acceptedAt)
		}
	}
}

// departure: at most one for each time that somebody of whom others can know had a nick, never one's own.
func (v *simView) departure(at time.Duration, e wire.Entry) {
	if e.Nick == v.owner.nick {
		v.wrong(at, "was told that it has left itself")
		return
	}
	if c := v.last[e.Nick]; c != nil && (c.entry() != entryOf(e.Nick, e.Location) || c.end() > at) {
		v.wrong(at, "was told that %s at %s has left behind a message of connection %d, which is not that one or is here", e.Nick, e.Location, c.id)
	}
	v.goneAt[entryOf(e.Nick, e.Location)] = at
	v.former[e.Nick] = v.last[e.Nick]
	delete(v.last, e.Nick)
	if v.gone[entryOf(e.Nick, e.Location)]++; v.gone[entryOf(e.Nick, e.Location)] > v.departures(entryOf(e.Nick, e.Location), at, nil) {
		v.wrong(at, "was told that %s has left once more than it has", e.Nick)
	}
}

// departures returns how many with this entry may have been announced by then, but for one.
func (v *simView) departures(entry string, at time.Duration, but *simConn) (may int) {
	for _, c := range v.conns {
		known, _ := c.known()
		if c != but && known && c.perhaps() && c.entry() == entry && c.end() <= at && c.announcedBy() >= v.helloAt {
			may++
		}
	}
	return may
}

// entry is what a departure of c names.
func (c *simConn) entry() string { return entryOf(c.owner.nick, c.location) }

// announcedBy is when the departure of c is announced at the latest: after the delay, or when the nick is taken again.
func (c *simConn) announcedBy() time.Duration {
	if !c.accepted() {
		return never // it may have waited for the nick after its client had left
	}
	at := c.end() + c.s.opt().DepartureDelay
	for _, d := range c.rivals() {
		if d.accepted() && d.acceptedAt >= c.end() && d.end() > c.end() {
			at = min(at, d.acceptedAt)
		}
	}
	return at
}

// missing: whatever had to come has come.
func (v *simView) missing() {
	left := map[string]int{}
	for _, c := range v.conns {
		if c == v.simConn || !c.accepted() {
			continue
		}
		for n, msg := range c.sent {
			if msg.due(c, v.simConn) && c.certain(msg) && v.reads(c.handled(msg)) && !v.came[[2]int{c.id, n}] {
				v.wrong(c.handled(msg), "message %d of %d did not come", n, c.id)
			}
		}
		if _, must := c.known(); must && c.end() != never && v.reads(c.end()) && v.reads(c.end()+v.s.opt().DepartureDelay+simTick) {
			left[c.entry()]++
		}
	}
	for entry, times := range left {
		if v.gone[entry] < times {
			v.wrong(0, "was told %d times that %s has left, which has happened %d times", v.gone[entry], entry, times)
		}
	}
	if v.answers < v.asked && v.endedAt < 0 && v.leftAt < 0 && !v.deaf {
		v.wrong(0, "asked %d times for the list, and got %d", v.asked, v.answers)
	}
}

// A simCount says how much of what the simulation is for has happened.
type simCount struct {
	Joined, Proven, Refused, Public, Private, Displaced, NoProgress, Departures int
}

func (m *sim) count() (n simCount) {
	st := m.s.Status()
	for _, c := range m.conns {
		for _, l := range c.lines {
			if l.Type == wire.Peerlist && strings.Contains(l.Line, ";D") {
				n.Departures++
			}
		}
		switch {
		case c.accepted():
			n.Joined++
			if c.proves {
				n.Proven++
			}
		case c.answeredAt >= 0:
			n.Refused++
		}
	}
	n.Public, n.Private = int(st.Public), int(st.Private)
	n.Displaced, n.NoProgress = int(st.Reasons[EvictedDisplaced]), int(st.Reasons[EvictedNoProgress])
	for r, times := range st.Reasons {
		switch r {
		case DroppedUnknownTarget, DroppedSelf, DroppedForged, DroppedDisplaced, EvictedDisplaced, EvictedNoProgress:
		default:
			if r.Kind() == "dropped" || r.Kind() == "evicted" {
				m.t.Errorf("seed %d: %v %v: %d", m.seed, r.Kind(), r, times)
			}
		}
	}
	return n
}

func (n *simCount) add(other simCount) {
	for i := range reflect.TypeFor[simCount]().NumField() {
		sum := reflect.ValueOf(n).Elem().Field(i)
		sum.SetInt(sum.Int() + reflect.ValueOf(other).Field(i).Int())
	}
}

// nonzero fails where something has never happened.
func (n simCount) nonzero(t *testing.T) {
	v := reflect.ValueOf(n)
	for i := range v.NumField() {
		if v.Field(i).Int() == 0 {
			t.Errorf("no run had any %s", v.Type().Field(i).Name)
		}
	}
}
