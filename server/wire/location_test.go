package wire

import (
	"errors"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"

	"pgregory.net/rapid"
)

const goodOnion = "reqhvbnduoqs5gqhb7wpawpd62elyuo37hxgepvw3epai5kzte6k7bad.onion"

func TestClearnetLocationsNeedTheTestSwitch(t *testing.T) {
	for _, c := range []struct {
		in, want string // want "": refused with the switch, too
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080"},
		{"192.0.2.7:1", "192.0.2.7:1"},
		{"[::1]:5222", "[::1]:5222"},
		{"[2001:DB8:0::1]:5222", "[2001:db8::1]:5222"},
		{"localhost:5222", "localhost:5222"},
		{"Maker_1.Example:65535", "maker_1.example:65535"},
		{"::1:5222", ""},
		{"[::1%lo]:5222", ""},
		{"[127.0.0.1]:5222", ""},
		{"[::1:5222", ""},
		{"127.0.0.256:5222", ""},
		{"1.2.3:5222", ""},
		{"localhost:05222", ""},
		{"localhost:0", ""},
		{"localhost:65536", ""},
		{"localhost:", ""},
		{":5222", ""},
		{"a.:5222", ""},
		{"a b:5222", ""},
		{"a,b:5222", ""},
		{"a;D:5222", ""},
		{"a!b:5222", ""},
		{"a\n:5222", ""},
		{"a\x00:5222", ""},
		{"käse.example:5222", ""},
		{"other.onion:5222", ""},
		{"NOT-SERVING-ONION:5222", ""},
		{strings.Repeat("a", 80) + ":5222", ""},
	} {
		if l, err := ParseLocation(c.in, false); !errors.Is(err, ErrLocation) || l.Serving() {
			t.Errorf("%q without the switch: %v, %v", c.in, l, err)
		}
		l, err := ParseLocation(c.in, true)
		switch {
		case c.want == "" && (!errors.Is(err, ErrLocation) || l.Serving()):
			t.Errorf("%q: %v, %v, want a refusal", c.in, l, err)
		case c.want != "" && (err != nil || l.String() != c.want):
			t.Errorf("%q: %v, %v, want %q", c.in, l, err, c.want)
		}
	}
}

func TestOnlyASCIILettersAreLowered(t *testing.T) {
	kelvin := "\u212a" // lower-cases to k in Unicode
	for _, s := range []string{strings.Replace(goodOnion, "k", kelvin, 1), strings.Replace(goodOnion, "kzt", kelvin, 1)} {
		if got, err := ParseOnion(s); err == nil {
			t.Errorf("%q became %q", s, got)
		}
	}
	h := Handshake{Nick: "J5AV9EuXzUNHRiJL", Network: "mainnet"}.AppendLine(nil)
	line := strings.Replace(string(h), "joinmarket", "joinmar"+kelvin+"et", 1)
	var refusal *RefusalError
	if _, err := ParseHandshake([]byte(line), mainnet); !errors.As(err, &refusal) || refusal.Reason != RefusalAppName {
		t.Errorf("%v", err)
	}
}

func TestAnyOtherCharacterInAnOnionIsRefused(t *testing.T) {
	for i := range len(goodOnion) {
		for c := range 256 {
			b := []byte(goodOnion)
			if b[i] == byte(c) {
				continue
			}
			same := asciiLower(string(rune(b[i]))) == asciiLower(string([]byte{byte(c)}))
			b[i] = byte(c)
			got, err := ParseOnion(string(b))
			if (err == nil) != same || err == nil && got != goodOnion {
				t.Fatalf("%q: %q, %v", b, got, err)
			}
		}
	}
}

// anyLocation draws canonical locations.
var anyLocation = rapid.Custom(func(t *rapid.T) Location {
	if rapid.Bool().Draw(t, "not serving") {
		return Location{}
	}
	key := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
	sum := onionChecksum(key)
	host := onionBase32.EncodeToString(append(append(key[:], sum[:]...), onionVersion)) + onionSuffix
	return Location{Host: host, Port: rapid.Uint16Min(1).Draw(t, "port")}
})

func TestCanonicalLocationsParseBackInAnyCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyLocation.Draw(t, "location")
		s := want.String()
		if want.Serving() && rapid.Bool().Draw(t, "upper") {
			s = strings.ToUpper(s)
		}
		for _, clearnet := range []bool{false, true} {
			if got, err := ParseLocation(s, clearnet); got != want || err != nil {
				t.Fatalf("%q: %v, %v", s, got, err)
			}
		}
	})
}

func FuzzLocation(f *testing.F) {
	type record struct {
		Location string `json:"location"`
		Host     string `json:"host"`
	}
	for _, r := range vectors.Load[record](f, "locations.jsonl") {
		f.Add(r.Location)
	}
	for _, r := range vectors.Load[record](f, "onions.jsonl") {
		f.Add(r.Host + ":5222")
	}
	for _, s := range []string{"127.0.0.1:1", "[::1]:65535", "a.b:80", "[::ffff:1.2.3.4]:1", "A:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		strict, err := ParseLocation(s, false)
		loose, errLoose := ParseLocation(s, true)
		if err == nil && (errLoose != nil || strict != loose) {
			t.Fatalf("%q: %v without the switch, %v, %v with it", s, strict, loose, errLoose)
		}
		if err != nil && !errors.Is(err, ErrLocation) || errLoose != nil && !errors.Is(errLoose, ErrLocation) {
			t.Fatalf("%q: %v, %v", s, err, errLoose)
		}
		if strict.Serving() && (len(strict.Host) != 62 || strict.Port == 0 || !strings.EqualFold(s, strict.String())) {
			t.Fatalf("%q: %+v", s, strict)
		}
		if errLoose != nil {
			return
		}
		out := loose.String()
		if len(out) > maxLocation || strings.ContainsAny(out, ";,!\" \\") || CheckMOTD(out) != nil || strings.Contains(out, "\n") {
			t.Fatalf("%q: %q cannot stand in a peer list", s, out)
		}
		if again, err := ParseLocation(out, true); again != loose || err != nil {
			t.Fatalf("%q: %q parses as %v, %v", s, out, again, err)
		}
	})
}
