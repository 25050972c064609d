package wire

import (
	"bytes"
	"strings"
	"testing"
)

// Lines as they stand in real traffic.
var (
	offerLine = []byte(`J5AV9EuXzUNHRiJL!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002`)
	bondLine  = []byte(`J5AV9EuXzUNHRiJL!J58g3zmKyFpTLdeA!sw0reloffer 0 27300 500000000 0 0.0002!tbond ` +
		strings.Repeat("QUJD", 84) + ` 02149d5c978b28e04e09e3c48d73ea903d539ad361593759532f49247fba92b7fb ` +
		strings.Repeat("MEQC", 24))

	offerRaw   = []byte(`{"type": 687, "line": "` + string(offerLine) + `"}`)
	bondRaw    = []byte(`{"type": 685, "line": "` + string(bondLine) + `"}`)
	escapedRaw = []byte(`{"type": 685, "line": "J5AV9EuXzUNHRiJL!J58g3zmKyFpTLdeA!error \"caf\u00e9\"\r\n"}`)
	extraRaw   = []byte(`{"type":798,"line":"","ts":1}`)
	maxRaw     = []byte(`{"type":687,"line":"` + strings.Repeat("a", MaxLine-22) + `"}`)
)

func TestHotPathDoesNotAllocate(t *testing.T) {
	var p Parser
	room := make([]byte, 0, MaxLine+2)
	nick := []byte("J5AV9EuXzUNHRiJL")
	parse := func(raw []byte) func() {
		return func() {
			if _, err := p.Parse(raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	encode := func(line []byte) func() {
		return func() {
			if _, err := AppendEnvelope(room, Privmsg, line); err != nil {
				t.Fatal(err)
			}
		}
	}
	escaped, err := new(Parser).Parse(escapedRaw)
	if err != nil {
		t.Fatal(err)
	}
	tooLong := bytes.Repeat([]byte("\x01"), MaxLine)
	requests := bytes.Repeat([]byte("\u00a0orderbook !"), 1000)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"Parse/offer", parse(offerRaw)},
		{"Parse/bond", parse(bondRaw)},
		{"Parse/escapes", parse(escapedRaw)},
		{"Parse/extra member", parse(extraRaw)},
		{"Parse/longest line", parse(maxRaw)},
		{"AppendEnvelope/offer", encode(offerLine)},
		{"AppendEnvelope/bond", encode(bondLine)},
		{"AppendEnvelope/escapes", encode(escaped.Line)},
		{"AppendEnvelope/too long", func() {
			if _, err := AppendEnvelope(room, Pubmsg, tooLong); err != ErrTooLong {
				t.Fatal(err)
			}
		}},
		{"CutLine", func() { _, _, _ = CutLine(maxRaw, 0) }},
		{"SplitMessage", func() { _, _ = SplitMessage(bondLine) }},
		{"SplitMessage/refused", func() { _, _ = SplitMessage(bondLine[:16]) }},
		{"OrderbookRequests", func() { _ = OrderbookRequests(offerLine) }},
		{"OrderbookRequests/many", func() { _ = OrderbookRequests(requests) }},
		{"AnnouncesOffer", func() { _ = AnnouncesOffer(offerLine) }},
		{"NextOffer", func() { _, _, _ = NextOffer(offerLine) }},
		{"ValidNick/bytes", func() { _ = ValidNick(nick) }},
		{"ValidNick/string", func() { _ = ValidNick("J5AV9EuXzUNHRiJL") }},
		{"AppendEntry", func() {
			_ = AppendEntry(room, Entry{Nick: "J5AV9EuXzUNHRiJL", Location: Location{Host: "h", Port: 5222}}, true)
		}},
	} {
		c.do() // what is reused is there from the second time on
		if got := testing.AllocsPerRun(200, c.do); got != 0 {
			t.Errorf("%s: %v allocations, want 0", c.name, got)
		}
	}
}

func BenchmarkParseOffer(b *testing.B)   { benchmarkParse(b, offerRaw) }
func BenchmarkParseBond(b *testing.B)    { benchmarkParse(b, bondRaw) }
func BenchmarkParseEscapes(b *testing.B) { benchmarkParse(b, escapedRaw) }
func BenchmarkParseLongest(b *testing.B) { benchmarkParse(b, maxRaw) }

// The dearest legal line: thousands of names to be told apart.
func BenchmarkParseManyNames(b *testing.B) {
	var raw strings.Builder
	raw.WriteString(`{"type":1,"line":""`)
	for i := 0; raw.Len() < MaxLine-12; i++ {
		raw.WriteString(`,"` + string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676%26)}) + `":1`)
	}
	raw.WriteString(`}`)
	benchmarkParse(b, []byte(raw.String()))
}

func BenchmarkParseDepthBomb(b *testing.B) {
	raw := []byte(`{"x":` + strings.Repeat("[", MaxLine-5))
	var p Parser
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(raw); err == nil {
			b.Fatal("accepted")
		}
	}
}

func benchmarkParse(b *testing.B, raw []byte) {
	var p Parser
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendOffer(b *testing.B) { benchmarkAppend(b, offerLine) }
func BenchmarkAppendBond(b *testing.B)  { benchmarkAppend(b, bondLine) }

func benchmarkAppend(b *testing.B, line []byte) {
	room := make([]byte, 0, MaxLine+2)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendEnvelope(room, Pubmsg, line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEntry(b *testing.B) {
	room := make([]byte, 0, 256)
	e := Entry{Nick: "J5AV9EuXzUNHRiJL", Location: Location{Host: "reqhvbnduoqs5gqhb7wpawpd62elyuo37hxgepvw3epai5kzte6k7bad.onion", Port: 5222},
		Features: []string{"neutrino_compat", "peerlist_features", "ping"}}
	b.ReportAllocs()
	for b.Loop() {
		_ = AppendEntry(room, e, true)
	}
}

func BenchmarkParseHandshake(b *testing.B) {
	line := Handshake{Nick: "J5AV9EuXzUNHRiJL", Network: "mainnet", Features: []string{"peerlist_features", "ping"},
		Location: Location{Host: "reqhvbnduoqs5gqhb7wpawpd62elyuo37hxgepvw3epai5kzte6k7bad.onion", Port: 5222}}.AppendLine(nil)
	rules := HandshakeRules{Networks: []string{"mainnet"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHandshake(line, rules); err != nil {
			b.Fatal(err)
		}
	}
}
