package wire

import (
	"slices"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"
)

func TestOffersAndCancellationsOfABody(t *testing.T) {
	for body, want := range map[string][]Offer{
		"sw0reloffer 0 27300 500000000 0 0.0002":     {{Type: OfferSW0Rel}},
		"sw0absoffer 12 27300 500000000 0 500":       {{Type: OfferSW0Abs, ID: 12}},
		"swreloffer 1!swabsoffer 2":                  {{Type: OfferSWRel, ID: 1}, {Type: OfferSWAbs, ID: 2}},
		"reloffer 1!absoffer 2":                      {{Type: OfferRel, ID: 1}, {Type: OfferAbs, ID: 2}},
		"tr0reloffer 1!tr0absoffer 2":                {{Type: OfferTR0Rel, ID: 1}, {Type: OfferTR0Abs, ID: 2}},
		"xyzreloffer 3":                              {{Type: OfferOther, ID: 3}},
		"cancel 4!hp2 P00!sw0reloffer 999999999 1":   {{ID: 4, Cancelled: true}, {ID: 999999999}},
		"cancel 0!cancel 1":                          {{ID: 0, Cancelled: true}, {ID: 1, Cancelled: true}},
		"reloffer":                                   {{Type: OfferRel, ID: NoOfferID}},
		"reloffer x!reloffer -1!reloffer 1000000000": {{Type: OfferRel, ID: NoOfferID}, {Type: OfferRel, ID: NoOfferID}, {Type: OfferRel, ID: NoOfferID}},
		"cancel":                   {{ID: NoOfferID, Cancelled: true}},
		"orderbook":                nil,
		"cancels 0!sw0reloffers 0": nil,
		"":                         nil,
	} {
		var got []Offer
		for rest := []byte(body); ; {
			o, more, ok := NextOffer(rest)
			if !ok {
				break
			}
			got, rest = append(got, o), more
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
}

func TestOfferTypesAreMetricLabels(t *testing.T) {
	seen := make(map[string]bool)
	for kind := range NumOfferTypes {
		name := kind.String()
		if seen[name] || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%d: %q", kind, name)
		}
		seen[name] = true
		if kind != OfferOther && offerType([]byte(name)) != kind {
			t.Errorf("%s is taken for %v", name, offerType([]byte(name)))
		}
	}
	if got := NumOfferTypes.String(); got != "unknown" {
		t.Error(got)
	}
}

func FuzzNextOffer(f *testing.F) {
	for _, r := range vectors.Load[vectors.Record](f, "messages.jsonl") {
		_, line := envelopeOf(f, r)
		if m, err := SplitMessage(line); err == nil {
			f.Add(m.Body)
		}
	}
	f.Add([]byte("cancel 0!sw0reloffer 1 27300 500000000 0 0.0002"))
	f.Add([]byte("!cancel!xyzabsoffer 18446744073709551616"))
	f.Fuzz(func(t *testing.T, body []byte) {
		announced, n := false, 0
		for rest := body; ; n++ {
			o, more, ok := NextOffer(rest)
			if !ok {
				break
			}
			if len(rest) > 0 && len(more) >= len(rest) {
				t.Fatalf("%q: no progress", rest)
			}
			if o.Type >= NumOfferTypes || o.ID > 999_999_999 && o.ID != NoOfferID {
				t.Fatalf("%q: %+v", rest, o)
			}
			announced = announced || !o.Cancelled
			rest = more
		}
		if announced != AnnouncesOffer(body) {
			t.Fatalf("%q: offers %v, and AnnouncesOffer says %v", body, announced, !announced)
		}
		if n > 1+strings.Count(string(body), "!") {
			t.Fatalf("%q: %d offers", body, n)
		}
	})
}
