package page

import (
	"slices"
	"testing"
	"time"

	"jm-directory-server/server/admin"
)

// TestFactsArePointedOut guards what is marked for the operator to look at, and that nothing is while all is well.
func TestFactsArePointedOut(t *testing.T) {
	marked := func(r admin.Report) (names []string) {
		n := present(&fake{report: func() admin.Report { return r }})
		for _, f := range slices.Concat(n.Reach, n.Here, n.Traffic, n.Waiting, n.Tor, n.Machine, n.Since) {
			if f.Level != "" {
				names = append(names, f.Name+" "+f.Level)
			}
		}
		return names
	}
	for name, test := range map[string]struct {
		change func(r *admin.Report)
		want   []string
	}{
		"all is well":          {func(*admin.Report) {}, nil},
		"nearly full":          {func(r *admin.Report) { r.ConnectedPeers.Total = 9100 }, []string{"Peers warn"}},
		"full":                 {func(r *admin.Report) { r.ConnectedPeers.Total = 10000 }, []string{"Peers bad"}},
		"many handshakes":      {func(r *admin.Report) { r.Outbox.Handshaking = 600 }, []string{"In handshake warn"}},
		"old messages":         {func(r *admin.Report) { r.Outbox.OldestSeconds = 70 }, []string{"Oldest warn"}},
		"few files left":       {func(r *admin.Report) { r.Process.FDs = 120_000 }, []string{"Open files warn"}},
		"store":                {func(r *admin.Report) { r.Store.OK = false }, []string{"Store bad"}},
		"writes":               {func(r *admin.Report) { r.Store.Failed = 1 }, []string{"Failed writes warn"}},
		"failed check":         {func(r *admin.Report) { r.Check.OK = false }, []string{"Self-check bad"}},
		"checks hang":          {func(r *admin.Report) { r.Check.At = r.Time.Add(-time.Hour) }, []string{"Self-check warn"}},
		"old descriptor":       {func(r *admin.Report) { r.Tor.LastUpload = r.Time.Add(-4 * time.Hour) }, []string{"Descriptor warn"}},
		"no descriptor":        {func(r *admin.Report) { r.Tor.Published = false }, []string{"Descriptor bad"}},
		"Tor connects":         {func(r *admin.Report) { r.Tor.Bootstrap, r.Tor.PoW = 30, false }, []string{"Tor warn"}},
		"no defences":          {func(r *admin.Report) { r.Tor.PoW, r.Tor.IntroDoS = false, false }, []string{"Proof of work warn", "Intro defence warn"}},
		"circuits not known":   {func(r *admin.Report) { r.Tor.Circuits, r.Tor.Effort = -1, -1 }, nil},
		"without anything set": {func(r *admin.Report) { r.MaxPeers, r.Outbox, r.Process = 0, admin.Outbox{}, admin.Process{} }, nil},
	} {
		r := running(noon)
		test.change(&r)
		if got := marked(r); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q is marked, want %q", name, got, test.want)
		}
	}
}

// TestAdviceIsSaidOnce guards that Tor's advice is shown, and not twice when the report has it too.
func TestAdviceIsSaidOnce(t *testing.T) {
	r := running(noon)
	r.Advice = []string{"Set the clock.", "", "Free some space."}
	r.Tor.Advice = "Set the clock."
	n := present(&fake{report: func() admin.Report { return r }, ready: []string{"Free some space."}})
	if want := []string{"Set the clock."}; !slices.Equal(n.Advice, want) {
		t.Errorf("advice %q, want %q", n.Advice, want)
	}
	if want := []string{"Free some space."}; !slices.Equal(n.Problems, want) {
		t.Errorf("problems %q, want %q", n.Problems, want)
	}
}

// TestOffersAndLocationsAreShown guards that each type of which there is an offer has its number, and that locations have one
// while they are checked.
func TestOffersAndLocationsAreShown(t *testing.T) {
	shown := func(r admin.Report) (lines []string) {
		n := present(&fake{report: func() admin.Report { return r }})
		for _, f := range append(n.Offers, n.Here...) {
			if f.Name != "Peers" && f.Name != "Makers" && f.Name != "Takers" && f.Name != "Verified" && f.Name != "In handshake" {
				lines = append(lines, f.Name+" "+f.Value)
			}
		}
		return lines
	}
	r := running(noon)
	if got, want := shown(r), []string{"All 141", "sw0reloffer 117", "sw0absoffer 22", "tr0reloffer 2", "Reachable 84"}; !slices.Equal(got, want) {
		t.Errorf("%q is shown, want %q", got, want)
	}
	r.Offers, r.Located = admin.Offers{}, admin.Located{}
	if got, want := shown(r), []string{"All 0"}; !slices.Equal(got, want) {
		t.Errorf("%q is shown, want %q", got, want)
	}
}
