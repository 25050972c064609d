package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jm-directory-server/server/admin"
)

// A view is what the screen shows: a report and, while watching, what came before it.
type view struct {
	admin.Report
	before *admin.Report // some seconds older, of the same run of the server; nil: none
	trends *trends       // nil: none
	silent bool          // the server does not answer any more
}

// The ranks of rows: what is left out last on a low screen comes first.
const (
	rankState = iota
	rankAdvice
	rankMain // onion, peers, messages, outbox
	rankReasons
	rankTor
	rankClosed // closed connections say little
	rankTrends
	rankProcess
	rankBlank
)

// rows returns the whole screen.
func (v *view) rows() []row {
	rows := []row{v.stateRow(), {rank: rankBlank}, v.onionRow(), v.peersRow()}
	if v.trends != nil {
		rows = append(rows, v.trends.row(trendPeers))
	}
	rows = append(rows, v.messagesRow())
	if v.trends != nil {
		rows = append(rows, v.trends.row(trendDeliveries))
	}
	rows = append(rows, v.trafficRow(), v.outboxRow(), row{rank: rankBlank})
	for _, kind := range reasonKinds {
		rows = append(rows, v.reasonsRow(kind))
	}
	rows = append(rows, row{rank: rankBlank})
	if v.Tor != nil {
		rows = append(rows, v.torRow())
	}
	rows = append(rows, v.storeRow(), v.processRow())
	return append(rows, v.adviceRows()...)
}

// name cleans a text of the server for a terminal.
func name(s string) string { return cleanText(s, 80) }

func (v *view) stateRow() row {
	state := cell{name(v.ServerStatus), fair}
	switch {
	case v.silent:
		state = cell{"no answer", bad}
	case v.ServerStatus == admin.StatusRunning:
		state.tone = good
	case v.ServerStatus == admin.StatusStopping:
		state.tone = bad
	}
	cells := []cell{
		{"jm-directory-server " + name(v.Version), strong}, {name(v.Network), plain}, state,
		{"up " + shortTime(seconds(v.UptimeSeconds).Truncate(time.Second)), plain},
	}
	return row{cells: cells, right: v.Time.Local().Format(time.TimeOnly), rank: rankState}
}

// onionRow says whether clients can reach the directory, and how that is known.
func (v *view) onionRow() row {
	r := row{label: "Onion", rank: rankMain}
	t, c := v.Tor, v.Check
	switch {
	case t == nil:
		r.cells = []cell{{"served by a Tor elsewhere, or by none (tor.mode off)", plain}}
		return r
	case !t.Published:
		r.cells = []cell{{"not reachable yet", fair}, {fmt.Sprintf("Tor %d %%", t.Bootstrap), plain}}
		if t.Bootstrap < 100 {
			r.cells = append(r.cells, cell{name(t.Phase), plain})
		} else {
			r.cells = append(r.cells, cell{"descriptor not uploaded", plain})
		}
		return r
	case c == nil || !c.Enabled:
		r.cells = append(r.cells, cell{"published", good}, cell{"self-check off", plain})
	case c.At.IsZero():
		r.cells = append(r.cells, cell{"published", good}, cell{"no self-check yet", plain})
	case !c.OK:
		last := "never passed"
		if !c.LastOK.IsZero() {
			last = "last passed " + ago(v.Time, c.LastOK)
		}
		r.cells = append(r.cells, cell{"not reachable", bad}, cell{"self-check failed: " + name(c.Reason), bad},
			cell{ago(v.Time, c.At), plain}, cell{last, plain})
	default:
		r.cells = append(r.cells, cell{"reachable", good})
		checked := cell{"self-check " + shortTime(c.Latency) + ", " + ago(v.Time, c.At), plain}
		if c.Interval > 0 && v.Time.Sub(c.At) > 3*c.Interval {
			r.cells[0], checked.tone = cell{"published", good}, fair
			checked.text += ": overdue"
		}
		r.cells = append(r.cells, checked)
	}
	if !t.LastUpload.IsZero() {
		r.cells = append(r.cells, cell{"descriptor " + strings.TrimSuffix(ago(v.Time, t.LastUpload), " ago") + " old", plain})
	}
	if t.UploadsFailed > t.Uploads {
		r.cells = append(r.cells, cell{plural(t.UploadsFailed, "upload") + " failed", fair})
	}
	return r
}

func (v *view) peersRow() row {
	peers := cell{fmt.Sprintf("%d of %d", v.ConnectedPeers.Total, v.MaxPeers), strong}
	if v.ConnectedPeers.Total >= v.MaxPeers {
		peers.tone = fair
	}
	cells := []cell{peers,
		{fmt.Sprintf("makers %d", v.ActivePeers.Total), plain},
		{fmt.Sprintf("takers %d", v.PassivePeers.Total), plain},
		{fmt.Sprintf("proven %d", v.VerifiedPeers.Total), plain},
		{fmt.Sprintf("handshaking %d", v.Outbox.Handshaking), plain}}
	if v.Outbox.MaxHandshakes > 0 && v.Outbox.Handshaking >= v.Outbox.MaxHandshakes {
		cells[4].tone = fair
	}
	if l := v.Located; l.Enabled {
		cells = append(cells, cell{fmt.Sprintf("reachable %d of %d", l.Reachable, l.Reachable+l.Unreachable+l.Unchecked), plain})
	}
	return row{label: "Peers", cells: cells, rank: rankMain}
}

func (v *view) messagesRow() row {
	r := row{label: "Messages", rank: rankMain, cells: []cell{
		{"public " + shortRate(v.Rates.Public) + "/s", plain},
		{"private " + shortRate(v.Rates.Private) + "/s", plain},
		{"deliveries " + shortRate(v.Rates.Deliveries) + "/s", strong},
	}}
	if v.Offers.Total > 0 {
		r.cells = append(r.cells, cell{"offers " + shortCount(v.Offers.Total), plain})
	}
	return r
}

func (v *view) trafficRow() row {
	return row{label: "Traffic", rank: rankReasons, cells: []cell{
		{"in " + shortBytes(v.Rates.BytesIn) + "/s", plain},
		{"out " + shortBytes(v.Rates.BytesOut) + "/s", plain},
		{"new connections " + shortRate(v.Rates.Accepted) + "/s", plain},
	}}
}

func (v *view) outboxRow() row {
	o := v.Outbox
	r := row{label: "Outbox", rank: rankMain, cells: []cell{{shortBytes(o.Bytes) + " waiting", plain}}}
	if o.Stalled == 0 {
		r.cells = append(r.cells, cell{"nobody stalled", plain})
		return r
	}
	oldest := cell{"oldest " + shortTime(seconds(o.OldestSeconds)) + " of " + shortTime(seconds(o.LimitSeconds)), plain}
	if o.OldestSeconds > o.LimitSeconds/2 {
		oldest.tone = fair
	}
	r.cells = append(r.cells, cell{plural(o.Stalled, "peer") + " stalled", fair}, oldest)
	return r
}

func (v *view) torRow() row {
	t := v.Tor
	r := row{label: "Tor", rank: rankTor, cells: []cell{{name(t.Version) + ", " + name(t.Mode), plain}}}
	add := func(tone tone, format string, args ...any) {
		r.cells = append(r.cells, cell{fmt.Sprintf(format, args...), tone})
	}
	if t.Bootstrap < 100 {
		add(fair, "bootstrap %d %%", t.Bootstrap)
	}
	if t.Circuits >= 0 {
		add(plain, "circuits %d", t.Circuits)
	}
	switch {
	case !t.PoW:
		add(fair, "no PoW")
	case t.Effort > 0:
		add(fair, "PoW effort %s", shortCount(t.Effort))
	case t.Effort == 0:
		add(plain, "PoW effort 0")
	default:
		add(plain, "PoW on")
	}
	if t.RSS > 0 {
		add(plain, "%s", shortBytes(t.RSS))
	}
	if v.before != nil && v.before.Tor != nil && t.PID != 0 && t.PID == v.before.Tor.PID {
		add(plain, "cpu %s", share(t.CPUSeconds-v.before.Tor.CPUSeconds, v.UptimeSeconds-v.before.UptimeSeconds))
	}
	if len(t.Missing) > 0 {
		add(fair, "lacks %s", name(strings.Join(t.Missing, ", ")))
	}
	return r
}

// share is the part of a core that was used.
func share(cpu, span float64) string {
	if span <= 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.0f %%", max(100*cpu/span, 0))
}

func (v *view) storeRow() row {
	s := v.Store
	r := row{label: "Store", rank: rankProcess}
	if s.OK {
		r.cells = []cell{{"ok", plain}, {shortBytes(s.Bytes), plain}, {"bans in force " + shortCount(v.Stats.Bans), plain}}
		return r
	}
	r.rank = rankMain
	text := "out of order"
	if !s.Since.IsZero() {
		text += " since " + s.Since.Local().Format("2006-01-02 15:04")
	}
	if s.Failed > 0 {
		text += ", " + shortCount(s.Failed) + " writes failed"
	}
	r.words, r.cells = true, words(text+": "+cleanText(s.Problem, maxLogText), bad)
	return r
}

func (v *view) processRow() row {
	p := v.Process
	files := cell{fmt.Sprintf("files %d of %d", p.FDs, p.MaxFDs), plain}
	if p.MaxFDs > 0 && uint64(p.FDs) > p.MaxFDs/10*9 {
		files.tone = fair
	}
	r := row{label: "Process", rank: rankProcess, cells: []cell{
		{fmt.Sprintf("pid %d", p.PID), plain}, {shortBytes(p.RSS), plain}, files, {"goroutines " + shortCount(p.Goroutines), plain}}}
	if len(v.Isolation) > 0 {
		r.cells = append(r.cells, cell{"isolated", plain})
	}
	if v.before != nil && p.PID == v.before.Process.PID {
		r.cells = append(r.cells, cell{"cpu " + share(p.CPUSeconds-v.before.Process.CPUSeconds, v.UptimeSeconds-v.before.UptimeSeconds), plain})
	}
	return r
}

// words are the cells of a sentence.
func words(text string, t tone) (cells []cell) {
	for word := range strings.FieldsSeq(text) {
		cells = append(cells, cell{word, t})
	}
	return cells
}

// adviceRows are what the operator should do, as sentences that wrap.
func (v *view) adviceRows() []row {
	advice := v.Advice
	if v.Tor != nil && v.Tor.Advice != "" && !slices.Contains(advice, v.Tor.Advice) {
		advice = append(slices.Clone(advice), v.Tor.Advice)
	}
	if len(advice) == 0 {
		return nil
	}
	rows := []row{{rank: rankBlank}}
	for _, text := range advice {
		r := row{label: "Advice", words: true, rank: rankAdvice}
		if len(rows) > 1 {
			r.label = " "
		}
		r.cells = words(cleanText(text, 4*maxLogText), fair)
		rows = append(rows, r)
	}
	return rows
}
