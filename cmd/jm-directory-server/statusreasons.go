package main

import (
	"cmp"
	"slices"
	"strings"

	"jm-directory-server/server/admin"
)

// A reasonCount is one reason of a kind, and how often it was the reason.
type reasonCount struct {
	reason string
	n      uint64
	rate   float64 // a second; -1: not known
}

// reasons returns the reasons of a kind that happened, most frequent first, and their sum.
func (v *view) reasons(kind string) (list []reasonCount, sum reasonCount) {
	sum.rate = -1
	span := 0.0
	if v.before != nil {
		span = v.UptimeSeconds - v.before.UptimeSeconds
	}
	var grown uint64 // a sum of numbers, which has no order, as one of rates would have
	for reason, n := range v.Reasons[kind] {
		if n == 0 {
			continue
		}
		c := reasonCount{reason: name(reason), n: n, rate: -1}
		if span > 0 {
			if was := v.before.Reasons[kind][reason]; was <= n {
				c.rate = float64(n-was) / span
				grown += n - was
			}
		}
		sum.n += n
		list = append(list, c)
	}
	if span > 0 {
		sum.rate = float64(grown) / span
	}
	slices.SortFunc(list, func(a, b reasonCount) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.reason, b.reason))
	})
	return list, sum
}

// reasonKinds are the kinds of reasons in the order in which they are shown.
var reasonKinds = []string{"dropped", "refused", "evicted", "closed"}

// meaningRows explain the reasons that happened.
func (v *view) meaningRows() []row {
	var rows []row
	for _, kind := range reasonKinds {
		list, _ := v.reasons(kind)
		meanings := admin.Meanings(kind)
		for i, c := range list {
			label := " "
			if i == 0 {
				label = kindLabel(kind)
				rows = append(rows, row{rank: rankBlank})
			}
			m, known := meanings[c.reason]
			if !known {
				m.Means = "This program does not know it: the server is a newer one."
			}
			rows = append(rows, row{label: label, cells: []cell{{c.reason, strong}, {shortCount(c.n), plain}}},
				row{label: " ", words: true, cells: append(words(m.Means, plain), words(m.Do, fair)...)})
		}
	}
	return rows
}

// kindLabel is a kind of reasons as a label.
func kindLabel(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

// reasonsRow shows how often something ended, in all and by reason. What happens now is marked.
func (v *view) reasonsRow(kind string) row {
	r := row{label: kindLabel(kind), rank: rankReasons}
	active := fair
	if kind == "closed" {
		r.rank, active = rankClosed, plain
	}
	list, sum := v.reasons(kind)
	if sum.n == 0 {
		r.cells = []cell{{"none", faint}}
		return r
	}
	total := shortCount(sum.n)
	if sum.rate >= 0 {
		total += ", " + shortRate(sum.rate) + "/s"
	}
	r.cells = []cell{{total, strong}}
	for _, c := range list {
		shown := cell{c.reason + " " + shortCount(c.n), plain}
		if c.rate > 0 {
			shown.text += " +" + shortRate(c.rate) + "/s"
			shown.tone = active
		}
		r.cells = append(r.cells, shown)
	}
	return r
}
