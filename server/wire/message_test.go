package wire

import (
	"errors"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"
)

func TestOnlyTheFirstTwoSeparatorsDivideAMessage(t *testing.T) {
	for _, c := range []struct {
		in             string
		from, to, body string
		err            error
	}{
		{"a!b!c", "a", "b", "c", nil},
		{"a!b!c!d!", "a", "b", "c!d!", nil},
		{"a!b!!", "a", "b", "!", nil},
		{"a!b! ", "a", "b", " ", nil},
		{"!!x", "", "", "x", nil},
		{"a!b!", "", "", "", ErrNoBody},
		{"!!", "", "", "", ErrNoBody},
		{"a!b", "", "", "", ErrNoSeparators},
		{"a", "", "", "", ErrNoSeparators},
		{"!", "", "", "", ErrNoSeparators},
		{"", "", "", "", ErrNoSeparators},
	} {
		m, err := SplitMessage([]byte(c.in))
		if string(m.From) != c.from || string(m.To) != c.to || string(m.Body) != c.body || !errors.Is(err, c.err) {
			t.Errorf("%q: %q %q %q, %v", c.in, m.From, m.To, m.Body, err)
		}
	}
}

func TestOffersAreKnownByTheEndOfTheCommand(t *testing.T) {
	for body, want := range map[string]bool{
		"sw0reloffer 0 27300 500000000 0 0.0002": true,
		"sw0absoffer 1 27300 500000000 0 500":    true,
		"reloffer":                               true,
		"absoffer 0":                             true,
		"tr0reloffer 0 1 2 3 4":                  true,
		"xyzabsoffer":                            true,
		"cancel 0!sw0reloffer 0":                 true,
		"hp2 P00!tbond AA!swabsoffer":            true,
		"orderbook":                              false,
		"cancel 0":                               false,
		"cancel reloffer":                        false,
		"sw0reloffers 0":                         false,
		"offer 0":                                false,
		"RELOFFER 0":                             false,
		" sw0reloffer":                           false,
		"":                                       false,
		"!!":                                     false,
	} {
		if got := AnnouncesOffer([]byte(body)); got != want {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
}

func TestOrderbookRequestsAreCountedAsAnyClientReadsThem(t *testing.T) {
	for body, want := range map[string]int{
		"orderbook":                     1,
		"orderbook ":                    1,
		"orderbook x":                   1,
		" orderbook":                    1,
		"orderbook\t":                   1,
		"orderbook\n":                   1,
		"\u00a0orderbook":               1,
		"orderbook\u3000":               1,
		"\x1corderbook\x1f":             1,
		"!!orderbook":                   1,
		"cancel 0!orderbook":            1,
		"orderbook!orderbook":           2,
		"orderbook !\torderbook!cancel": 2,
		"orderbook" + strings.Repeat(" !orderbook", 3600): 3601,
		"orderbooks":         0,
		"orderbook\u00e9":    0,
		"orderbook\x00":      0,
		"cancel orderbook":   0,
		"Orderbook":          0,
		"sw0reloffer 0 1 2!": 0,
		"":                   0,
		"!!":                 0,
	} {
		if got := OrderbookRequests([]byte(body)); got != want {
			t.Errorf("%.40q: %d, want %d", body, got, want)
		}
	}
}

func FuzzSplitMessage(f *testing.F) {
	for _, r := range vectors.Load[vectors.Record](f, "messages.jsonl") {
		_, line := envelopeOf(f, r)
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := SplitMessage(line)
		parts := strings.SplitN(string(line), "!", 3)
		switch {
		case len(parts) < 3:
			if !errors.Is(err, ErrNoSeparators) {
				t.Fatalf("%q: %v", line, err)
			}
		case parts[2] == "":
			if !errors.Is(err, ErrNoBody) {
				t.Fatalf("%q: %v", line, err)
			}
		case err != nil || string(m.From) != parts[0] || string(m.To) != parts[1] || string(m.Body) != parts[2]:
			t.Fatalf("%q: %q %q %q, %v", line, m.From, m.To, m.Body, err)
		}
		offer := false
		for command := range strings.SplitSeq(string(m.Body), "!") {
			name, _, _ := strings.Cut(command, " ")
			offer = offer || strings.HasSuffix(name, "reloffer") || strings.HasSuffix(name, "absoffer")
		}
		if AnnouncesOffer(m.Body) != offer {
			t.Fatalf("%q: offer %v", m.Body, !offer)
		}
	})
}
