package page

import (
	"strings"
	"testing"

	"jm-directory-server/server"
)

// TestEveryKindIsShown guards that no kind of reason is left out.
func TestEveryKindIsShown(t *testing.T) {
	of := make(map[string]bool)
	for _, k := range kinds {
		of[k.Name] = true
	}
	for _, r := range server.Reasons() {
		if !of[r.Kind()] {
			t.Errorf("%s is not a kind of the page", r.Kind())
		}
	}
}

// TestReasonsAreSorted guards the order: what happens most comes first in its kind, what did not happen is apart, and
// what is not known is still shown.
func TestReasonsAreSorted(t *testing.T) {
	happened, quiet := reasons(map[string]map[string]uint64{
		"dropped": {"to_self": 2, "malformed": 70, "too_long": 2, "rate_public": 0, "brand_new": 9},
		"closed":  {"by_peer": 1000},
	})
	var order []string
	for _, g := range happened {
		for _, r := range g.Reasons {
			order = append(order, g.Title+" "+r.Name+" "+r.Count)
		}
	}
	want := "Dropped malformed 70, Dropped brand_new 9, Dropped to_self 2, Dropped too_long 2, Closed by_peer 1" + thin + "000"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if happened[0].Total != "83" {
		t.Errorf("total %s", happened[0].Total)
	}
	n := 0
	for _, g := range quiet {
		n += len(g.Reasons)
	}
	if want := len(server.Reasons()) - 4; n != want {
		t.Errorf("%d did not happen, want %d", n, want)
	}
}
