package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestHistoryAsksForWhatTheQuerySays(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 123, time.UTC)
	second := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	tests := []struct {
		query    string
		span     time.Duration
		from, to time.Time
	}{
		{"", time.Minute, now.Truncate(time.Second).Add(-day), now.Truncate(time.Second)},
		{"span=hour", time.Hour, now.Truncate(time.Second).Add(-30 * day), now.Truncate(time.Second)},
		{"span=day&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", day, second(2026, 1, 1), second(2026, 2, 1)},
		{"span=day&from=2026-01-01T01:00:00%2B01:00", day, second(2026, 1, 1), now.Truncate(time.Second)},
		{"from=1767225600&to=1767312000", time.Minute, second(2026, 1, 1), second(2026, 1, 2)},
		{"to=1767312000&span=minute", time.Minute, second(2026, 1, 1), second(2026, 1, 2)},
	}
	for _, tt := range tests {
		h, span, err := parseHistory(tt.query, now)
		if err != nil || span != tt.span || !h.From.Equal(tt.from) || !h.To.Equal(tt.to) {
			t.Errorf("%q: %v from %v to %v, %v", tt.query, span, h.From, h.To, err)
		}
	}
}

func TestHistoryRefusesWhatItCannotAnswer(t *testing.T) {
	tests := []struct{ query, want string }{
		{"span=week", "span must be minute, hour or day"},
		{"span=", "span must be minute, hour or day"},
		{"span=hour&span=day", "span is given more than once"},
		{"spam=hour", `"spam" is no parameter; allowed are span, from, to`},
		{"from=yesterday", "from must be a time"},
		{"from=-1", "from must be a time of 1970 or later"},
		{"from=1969-12-31T23:59:59Z", "from must be a time of 1970 or later"},
		{"to=99999999999999999999", "to must be a time"},
		{"to=253402300800", "to must be a time"},
		{"from=1767312000&to=1767312000", "from must be before to"},
		{"from=1767312001&to=1767312000", "from must be before to"},
		{"from=1767312000&to=1767484801", "at most 2 days apart with span=minute"},
		{"span=hour&from=0", "at most 90 days apart with span=hour"},
		{"span=day&from=0", "at most 3660 days apart with span=day"},
		{"%zz", "cannot be read"},
	}
	for _, tt := range tests {
		w := ask(t, newServer(&fakeSource{}), "GET", "/history?"+tt.query, "")
		var e Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != http.StatusBadRequest || !strings.Contains(e.Error, tt.want) {
			t.Errorf("%q: %d %s, want %q", tt.query, w.Code, w.Body, tt.want)
		}
	}
}

func TestHistoryShowsEveryMemberOfASample(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sample := Sample{Start: start, Span: time.Minute, Up: 59 * time.Second, Ready: 58500 * time.Millisecond, Peers: 1.5, PeersMax: 2,
		Makers: 3, Accepted: 4, Handshakes: 5, Public: 6, Private: 7, Deliveries: 8, BytesIn: 9, BytesOut: 10, Dropped: 11,
		Refused: 12, Evicted: 13, OutboxMax: 14, EffortMax: 15, ChecksOK: 16, ChecksBad: 17, CheckMax: 1800 * time.Millisecond}
	for v, i := reflect.ValueOf(sample), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("the test leaves %s empty", v.Type().Field(i).Name)
		}
	}
	src := &fakeSource{samples: []Sample{sample}}
	w := ask(t, newServer(src), "GET", "/history?from=1767225600&to=1767225660", "")
	want := `{"span":"minute","from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:01:00Z","samples":[{"start":"2026-01-01T00:00:00Z",` +
		`"up_seconds":59,"ready_seconds":58.5,"peers":1.5,"peers_max":2,"makers":3,"accepted_connections":4,"handshakes":5,` +
		`"public_messages":6,"private_messages":7,"deliveries":8,"bytes_in":9,"bytes_out":10,"dropped":11,"refused":12,"evicted":13,` +
		`"outbox_bytes_max":14,"pow_effort_max":15,"self_checks_passed":16,"self_checks_failed":17,"self_check_seconds_max":1.8}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if src.span != time.Minute || !src.from.Equal(start) || !src.to.Equal(start.Add(time.Minute)) {
		t.Errorf("asked for %v from %v to %v", src.span, src.from, src.to)
	}
	src.samples = nil
	if w := ask(t, newServer(src), "GET", "/history", ""); !strings.Contains(w.Body.String(), `"samples":[]`) {
		t.Errorf("without samples: %s", w.Body)
	}
	src.err = errors.New("the store is off")
	if w := ask(t, newServer(src), "GET", "/history", ""); w.Code != 503 || w.Body.String() != "{\"error\":\"the store is off\"}\n" {
		t.Errorf("without a store: %d %s", w.Code, w.Body)
	}
}

// FuzzHistory holds that a query asks for a bounded time, and for the same when it is said in the other form.
func FuzzHistory(f *testing.F) {
	for _, query := range []string{"", "span=hour", "span=day&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "from=1767225600&to=1767312000",
		"span=day&from=2026-01-01T01:00:00%2B01:00", "span=hour&span=day", "%zz", "to=253402300800", "from=-1"} {
		f.Add(query)
	}
	now := time.Date(2026, 5, 6, 7, 8, 9, 123, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		h, span, err := parseHistory(query, now)
		if err != nil {
			if len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q: answer %q", query, err)
			}
			return
		}
		if d := h.To.Sub(h.From); d <= 0 || d > historySpans[h.Span].most || span != historySpans[h.Span].span {
			t.Fatalf("%q: %v from %v to %v", query, span, h.From, h.To)
		}
		if h.From.Unix() < 0 {
			return // by default: before the time that a parameter can say
		}
		again, spanAgain, err := parseHistory(url.Values{"span": {h.Span},
			"from": {strconv.FormatInt(h.From.Unix(), 10)}, "to": {strconv.FormatInt(h.To.Unix(), 10)}}.Encode(), now)
		if err != nil || spanAgain != span || again.From.Unix() != h.From.Unix() || again.To.Unix() != h.To.Unix() {
			t.Fatalf("%q: %+v becomes %+v, %v", query, h, again, err)
		}
	})
}
