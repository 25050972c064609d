package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// History is the answer to /history.
type History struct {
	Span    string          `json:"span"`    // minute, hour or day
	From    time.Time       `json:"from"`    // UTC; samples start then or later
	To      time.Time       `json:"to"`      // UTC; samples start before
	Samples []HistorySample `json:"samples"` // oldest first; intervals without the server are absent
}

// HistorySample is a Sample as JSON has it: times in seconds.
type HistorySample struct {
	Start        time.Time `json:"start"`                  // UTC
	UpSeconds    float64   `json:"up_seconds"`             // in which the server ran
	ReadySeconds float64   `json:"ready_seconds"`          // of these, reachable for clients
	Peers        float64   `json:"peers"`                  // mean
	PeersMax     int       `json:"peers_max"`              // largest seen
	Makers       float64   `json:"makers"`                 // mean
	Accepted     uint64    `json:"accepted_connections"`   // connections
	Handshakes   uint64    `json:"handshakes"`             // accepted ones
	Public       uint64    `json:"public_messages"`        // messages forwarded
	Private      uint64    `json:"private_messages"`       // messages forwarded
	Deliveries   uint64    `json:"deliveries"`             // lines written out
	BytesIn      uint64    `json:"bytes_in"`               // received
	BytesOut     uint64    `json:"bytes_out"`              // written out
	Dropped      uint64    `json:"dropped"`                // messages
	Refused      uint64    `json:"refused"`                // handshakes
	Evicted      uint64    `json:"evicted"`                // connections
	OutboxMax    int       `json:"outbox_bytes_max"`       // waiting for all peers, largest seen
	EffortMax    int       `json:"pow_effort_max"`         // largest seen
	ChecksOK     int       `json:"self_checks_passed"`     // self-checks
	ChecksBad    int       `json:"self_checks_failed"`     // self-checks
	CheckMax     float64   `json:"self_check_seconds_max"` // of those that passed
}

func historySample(s Sample) HistorySample {
	return HistorySample{
		Start: s.Start.UTC(), UpSeconds: s.Up.Seconds(), ReadySeconds: s.Ready.Seconds(),
		Peers: s.Peers, PeersMax: s.PeersMax, Makers: s.Makers,
		Accepted: s.Accepted, Handshakes: s.Handshakes, Public: s.Public, Private: s.Private,
		Deliveries: s.Deliveries, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		Dropped: s.Dropped, Refused: s.Refused, Evicted: s.Evicted,
		OutboxMax: s.OutboxMax, EffortMax: s.EffortMax,
		ChecksOK: s.ChecksOK, ChecksBad: s.ChecksBad, CheckMax: s.CheckMax.Seconds(),
	}
}

const day = 24 * time.Hour

// historySpans are the lengths of intervals by their names, how far back an answer goes by default and how far at most: a few
// thousand samples.
var historySpans = map[string]struct{ span, usual, most time.Duration }{
	"minute": {time.Minute, day, 2 * day},
	"hour":   {time.Hour, 30 * day, 90 * day},
	"day":    {day, 365 * day, 3660 * day},
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	h, span, err := parseHistory(r.URL.RawQuery, time.Now())
	if err != nil {
		answerError(w, http.StatusBadRequest, err.Error())
		return
	}
	samples, err := s.src.History(span, h.From, h.To)
	if err != nil {
		answerError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	h.Samples = make([]HistorySample, len(samples))
	for i, sample := range samples {
		h.Samples[i] = historySample(sample)
	}
	answer(w, http.StatusOK, h)
}

// parseHistory reads a query. Errors name the parameter and what is allowed.
func parseHistory(query string, now time.Time) (h History, span time.Duration, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return h, 0, fmt.Errorf("the query cannot be read")
	}
	for name, v := range values {
		if name != "span" && name != "from" && name != "to" {
			return h, 0, fmt.Errorf("%s is no parameter; allowed are span, from, to", quoted(name))
		}
		if len(v) > 1 {
			return h, 0, fmt.Errorf("%s is given more than once", name)
		}
	}
	h.Span = "minute"
	if values.Has("span") {
		h.Span = values.Get("span")
	}
	kind, ok := historySpans[h.Span]
	if !ok {
		return h, 0, fmt.Errorf("span must be minute, hour or day")
	}
	h.To = now.UTC().Truncate(time.Second)
	if values.Has("to") {
		if h.To, err = parseTime("to", values.Get("to")); err != nil {
			return h, 0, err
		}
	}
	h.From = h.To.Add(-kind.usual)
	if values.Has("from") {
		if h.From, err = parseTime("from", values.Get("from")); err != nil {
			return h, 0, err
		}
	}
	switch d := h.To.Sub(h.From); {
	case d <= 0:
		return h, 0, fmt.Errorf("from must be before to")
	case d > kind.most:
		return h, 0, fmt.Errorf("from and to may be at most %d days apart with span=%s", kind.most/day, h.Span)
	}
	return h, kind.span, nil
}

// lastSecond is the last one with a year of four digits, which is what RFC 3339 and JSON can say.
const lastSecond = 253402300799

// parseTime reads a parameter as RFC 3339 or as seconds since 1970.
func parseTime(name, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		if u := t.Unix(); u >= 0 && u <= lastSecond {
			return t.UTC(), nil
		}
	} else if u, err := strconv.ParseInt(text, 10, 64); err == nil && u >= 0 && u <= lastSecond {
		return time.Unix(u, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%s must be a time of 1970 or later, like 2006-01-02T15:04:05Z or in seconds since 1970", name)
}
