package onion

import (
	"slices"
	"strings"
	"testing"
)

const (
	ourID    = "5utw2mnac7uowpvfh267cqyg23wi2czieskl5fe3yam723xtbxmuzwyd"
	anotherS = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid"
)

var circuitLines = []string{
	`2 BUILT $A~r0 BUILD_FLAGS=IS_INTERNAL PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY=` + ourID + ` TIME_CREATED=x`,
	`3 LAUNCHED BUILD_FLAGS=IS_INTERNAL PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_CONNECTING REND_QUERY=` + ourID,
	`x BUILT PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY=` + ourID,
	`4 BUILT $A~r0,$B~r1 PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED REND_QUERY=` + ourID,
	`5 BUILT $A~r0 PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED REND_QUERY=` + ourID + ` HS_POW=v1,700`,
	`6 EXTENDED $A~r0 PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_CONNECTING REND_QUERY=` + ourID + ` HS_POW=v1,9`,
	`7 BUILT PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED HS_POW=v2,9 REND_QUERY=` + ourID,
	`7 BUILT PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED HS_POW=v1,4294967296 REND_QUERY=` + ourID,
	`8 BUILT PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_OTHER HS_POW=v1,9999 REND_QUERY=` + ourID,
	`9 BUILT PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED REND_QUERY=` + anotherS,
	`10 BUILT PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY=` + anotherS,
	`11 BUILT PURPOSE=HS_CLIENT_REND HS_STATE=HSCR_JOINED REND_QUERY=` + ourID + ` SOCKS_USERNAME="a REND_QUERY=x"`,
	`12 BUILT PURPOSE=GENERAL`,
	``,
}

func TestCircuitsOfOurServiceAreCounted(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		n := parseCircuits(strings.Join(circuitLines, end), ourID)
		if n.joined != 4 || n.joining != 1 || n.intro != 1 || n.paid != 2 || n.topEffort != 700 || !slices.Equal(n.introIDs, []string{"2", "3"}) {
			t.Errorf("%+v", n)
		}
	}
	if n := parseCircuits("", ourID); n.joined != 0 || n.introIDs != nil {
		t.Errorf("none: %+v", n)
	}
	if n := parseCircuits("1 BUILT PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED", ""); n.joined != 0 {
		t.Errorf("of no service: %+v", n)
	}
}

func FuzzCircuits(f *testing.F) {
	f.Add(strings.Join(circuitLines, "\n"))
	f.Add(`1 BUILT REND_QUERY="` + ourID)
	f.Fuzz(func(t *testing.T, text string) {
		n := parseCircuits(text, ourID)
		if lines := strings.Count(text, "\n") + 1; n.joined+n.joining+len(n.introIDs) > lines || n.intro > len(n.introIDs) || n.paid > n.joined+n.joining || (n.paid > 0) != (n.topEffort > 0) {
			t.Errorf("%+v of %d lines", n, lines)
		}
		for _, id := range n.introIDs { // goes into a request
			if strings.Trim(id, "0123456789") != "" {
				t.Errorf("circuit %q", id)
			}
		}
	})
}
