package onion

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestListenersOfARunningTor(t *testing.T) {
	for list, want := range map[string][]socksPort{
		``:                 nil,
		`"127.0.0.1:9050"`: {{"tcp", "127.0.0.1:9050"}},
		`"192.0.2.1:9050" "127.0.0.1:9150" "unix:/run/tor/so cks" "[::1]:9050"`: {{"unix", "/run/tor/so cks"}, {"tcp", "127.0.0.1:9150"}, {"tcp", "[::1]:9050"}},
		`"0.0.0.0:9050" "localhost:9050" "unspec" "unix:relative"`:              nil,
		`"unix:/a\"b"`:  {{"unix", `/a"b`}},
		`"127.0.0.1:90`: {{"tcp", "127.0.0.1:90"}},
	} {
		if got := parseListeners(list); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", list, got, want)
		}
	}
}

func FuzzListeners(f *testing.F) {
	f.Add(`"192.0.2.1:9050" "127.0.0.1:9150" "unix:/run/tor/socks"`)
	f.Fuzz(func(t *testing.T, list string) {
		for _, p := range parseListeners(list) {
			if !(p.Network == "unix" && p.Address[0] == '/') && !(p.Network == "tcp" && (strings.HasPrefix(p.Address, "127.") || strings.HasPrefix(p.Address, "[::"))) {
				t.Errorf("%v is not on this host", p)
			}
		}
	})
}

func TestDialTakesOnionAddressesOnly(t *testing.T) {
	s := &Service{config: Config{Mode: Embedded}, socks: "/nonexistent"}
	for _, host := range []string{"", "example.org", "127.0.0.1", "::1", "localhost", "a.onion", ourID, ourID + ".onion.", "www." + ourID + ".onion", ourID + ".onion.example.org", ourID + ".exit", strings.Replace(ourID, "5", "1", 1) + ".onion"} {
		if c, err := s.Dial(t.Context(), host, 80, ""); !errors.Is(err, ErrNotOnion) {
			t.Errorf("%q: %v, %v", host, c, err)
		}
	}
	_, err := s.Dial(t.Context(), strings.ToUpper(ourID)+".onion", 80, "")
	if err == nil || errors.Is(err, ErrNotOnion) || strings.Contains(err.Error(), ourID) {
		t.Errorf("err %v, want that of the socket, without the address", err)
	}
	s.socks = ""
	if _, err := s.Dial(t.Context(), ourID+".onion", 80, ""); !errors.Is(err, ErrNoDial) {
		t.Errorf("without a SOCKS port: %v", err)
	}
}
