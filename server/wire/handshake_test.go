package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"

	"pgregory.net/rapid"
)

var mainnet = HandshakeRules{Networks: []string{"mainnet"}}

// base is a handshake with all members, for the tables to change.
const base = `{"app-name":"joinmarket","directory":false,"location-string":"NOT-SERVING-ONION","proto-ver":5,"features":{},"nick":"J5AV9EuXzUNHRiJL","network":"mainnet"}`

func swap(t *testing.T, old, new string) string {
	t.Helper()
	if strings.Count(base, old) != 1 {
		t.Fatalf("%q is not once in the handshake", old)
	}
	return strings.Replace(base, old, new, 1)
}

func TestHandshakeRefusalsSayWhichRule(t *testing.T) {
	features := func(n int) string {
		var b strings.Builder
		b.WriteString(`"features":{`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"f%d":true`, i)
		}
		return b.String() + "}"
	}
	for _, c := range []struct {
		old, new string
		want     Refusal // "": accepted
	}{
		{`"joinmarket"`, `"JOINMARKET"`, ""},
		{`"joinmarket"`, `"joinmarket "`, RefusalAppName},
		{`"joinmarket"`, `null`, RefusalAppName},
		{`"joinmarket"`, `["joinmarket"]`, RefusalAppName},
		{`"app-name"`, `"App-Name"`, RefusalAppName},
		{`"directory":false,`, ``, ""},
		{`"directory":false`, `"directory":true`, RefusalDirectory},
		{`"directory":false`, `"directory":null`, RefusalDirectory},
		{`"directory":false`, `"directory":0`, RefusalDirectory},
		{`"directory":false`, `"directory":""`, RefusalDirectory},
		{`"directory":false`, `"directory":{}`, RefusalDirectory},
		{`"proto-ver":5`, `"proto-ver":50`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver":-5`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver":"5"`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver":[5]`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver":5e0`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver":5.00`, RefusalProtoVer},
		{`"proto-ver":5`, `"proto-ver-min":5`, RefusalProtoVer},
		{`"mainnet"`, `"MainNet"`, ""},
		{`"mainnet"`, `"mainnet "`, RefusalNetwork},
		{`"mainnet"`, `"main"`, RefusalNetwork},
		{`"mainnet"`, `5`, RefusalNetwork},
		{`"J5AV9EuXzUNHRiJL"`, `["J5AV9EuXzUNHRiJL"]`, RefusalNick},
		{`"J5AV9EuXzUNHRiJL"`, `"J5AV9EuXzUNHRiJL\n"`, RefusalNick},
		{`"NOT-SERVING-ONION"`, `null`, ""},
		{`"NOT-SERVING-ONION"`, `{}`, RefusalLocation},
		{`"NOT-SERVING-ONION"`, `false`, RefusalLocation},
		{`"NOT-SERVING-ONION"`, `"NOT-SERVING-ONION;D"`, RefusalLocation},
		{`"NOT-SERVING-ONION"`, `"127.0.0.1:8080"`, RefusalLocation},
		{`"features":{}`, `"features":true`, RefusalFeatures},
		{`"features":{}`, features(32), ""},
		{`"features":{}`, features(33), RefusalFeatures},
		{`"features":{}`, `"features":{"` + strings.Repeat("a", 64) + `":true}`, ""},
		{`"features":{}`, `"features":{"` + strings.Repeat("a", 65) + `":false}`, RefusalFeatures},
		{`"features":{}`, `"features":{"` + strings.Repeat("é", 33) + `":true}`, RefusalFeatures},
		{`"features":{}`, `"features":{"":true,"x":[[]],"y":{"z":true}}`, ""},
	} {
		_, err := ParseHandshake([]byte(swap(t, c.old, c.new)), mainnet)
		var refusal *RefusalError
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.As(err, &refusal) || refusal.Reason != c.want):
			t.Errorf("%.80s: %v, want %q", c.new, err, c.want)
		case err != nil && err.Error() != "handshake refused: "+string(c.want)+": "+refusal.Text:
			t.Errorf("%.80s: %v", c.new, err)
		case err != nil && errors.Is(err, ErrUndecodable):
			t.Errorf("%.80s: refused and undecodable at once", c.new)
		}
	}
}

func TestUndecodableHandshakes(t *testing.T) {
	for _, c := range []struct {
		line string
		want error
	}{
		{``, ErrSyntax},
		{base + `x`, ErrSyntax},
		{base + "\x00", ErrSyntax},
		{"\ufeff" + base, ErrSyntax},
		{base + base, ErrSyntax},
		{base[:len(base)-1], ErrSyntax},
		{`[` + base + `]`, ErrMember},
		{`"` + `x` + `"`, ErrMember},
		{`null`, ErrMember},
		{swap(t, `"mainnet"`, `"main\ud800"`), ErrSyntax},
		{swap(t, `"mainnet"`, "\"main\xff\""), ErrUTF8},
		{swap(t, `"features":{}`, `"features":{"x":true,"\u0078":true}`), ErrDuplicate},
		{swap(t, `"features":{}`, `"features":{},"features":{}`), ErrDuplicate},
		{swap(t, `"features":{}`, `"features":{},"nick":"J5AV9EuXzUNHRiJL"`), ErrDuplicate},
		{swap(t, `"features":{}`, `"other":{"a":1,"a":1}`), ErrDuplicate},
		{swap(t, `"features":{}`, `"other":`+strings.Repeat("[", 11)+strings.Repeat("]", 11)), ErrDepth},
		{swap(t, `"features":{}`, `"features":`+strings.Repeat("[", 30_000)), ErrDepth},
		{swap(t, `"features":{}`, `"features":{"x":`+strings.Repeat("[", 30_000)), ErrDepth},
		{swap(t, `"features":{}`, `"nick":`+strings.Repeat(`{"a":`, 5_000)), ErrDepth},
	} {
		_, err := ParseHandshake([]byte(c.line), mainnet)
		var refusal *RefusalError
		if !errors.Is(err, ErrUndecodable) || !errors.Is(err, c.want) || errors.As(err, &refusal) {
			t.Errorf("%.60q: %v, want %v", c.line, err, c.want)
		}
	}
}

func TestHandshakeRulesOfTheServer(t *testing.T) {
	rules := HandshakeRules{Networks: []string{"regtest", "testnet"}, Clearnet: true}
	line := strings.Replace(swap(t, `"mainnet"`, `"TestNet"`), NotServing, "127.0.0.1:8080", 1)
	h, err := ParseHandshake([]byte(line), rules)
	if err != nil || h.Network != "testnet" || h.Location != (Location{"127.0.0.1", 8080}) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestFeaturesAreSortedAndOnlyLiteralTrueCounts(t *testing.T) {
	line := swap(t, `"features":{}`, `"features":{"ping":true,"b":1,"a":"true","zz":null,"c":[true],"X":true,"a_1":true,"x y":true}`)
	h, err := ParseHandshake([]byte(line), mainnet)
	if err != nil || !slices.Equal(h.Features, []string{"a_1", "ping"}) {
		t.Fatalf("%q, %v", h.Features, err)
	}
	for f, want := range map[string]bool{FeaturePing: true, "a_1": true, "a": false, "b": false, FeaturePeerlist: false, "": false} {
		if h.Has(f) != want {
			t.Errorf("Has(%q) = %v", f, !want)
		}
	}
}

func TestOurHandshakeIsWhatExistingClientsSend(t *testing.T) {
	const want = `{"app-name": "joinmarket", "directory": false, "location-string": "NOT-SERVING-ONION", "proto-ver": 5, "features": {}, "nick": "J58g3zmKyFpTLdeA", "network": "mainnet"}`
	if got := (Handshake{Nick: "J58g3zmKyFpTLdeA", Network: "mainnet"}).AppendLine([]byte("x")); string(got) != "x"+want {
		t.Errorf("got\n %s\nwant\n %s", got, want)
	}
}

var (
	anyNick = rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringMatching(`J5[1-9A-HJ-NP-Za-km-z]{1,14}`).Draw(t, "hash")
		return s + strings.Repeat("O", NickLen-len(s))
	})
	anyFeatures = rapid.Custom(func(t *rapid.T) []string {
		f := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9_]{1,64}`), 0, MaxFeatures, rapid.ID[string]).Draw(t, "features")
		slices.Sort(f)
		return f
	})
)

func TestHandshakeParsesBackToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Handshake{Nick: anyNick.Draw(t, "nick"), Location: anyLocation.Draw(t, "location"), Network: "mainnet", Features: anyFeatures.Draw(t, "features")}
		got, err := ParseHandshake(h.AppendLine(nil), mainnet)
		if err != nil || got.Nick != h.Nick || got.Location != h.Location || !slices.Equal(got.Features, h.Features) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	for _, r := range vectors.Load[vectors.Record](f, "handshakes.jsonl") {
		line, _, err := CutLine(r.Wire(f), 0)
		if err != nil {
			continue
		}
		if env, err := new(Parser).Parse(line); err == nil {
			f.Add(bytes.Clone(env.Line))
		}
	}
	features := make([]string, MaxFeatures+1)
	for i := range features {
		features[i] = fmt.Sprintf("f%d", i)
	}
	f.Add(Handshake{Nick: "J5zzzzzzzzzzzzzz", Network: "mainnet", Features: features}.AppendLine(nil))
	f.Add([]byte(`{"x":` + strings.Repeat("[", MaxDepth+1)))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, err := ParseHandshake(line, mainnet)
		members, oracleErr := oracleObject(line)
		if errors.Is(err, ErrUndecodable) != (oracleErr != nil) {
			t.Fatalf("%q: %v, second opinion %v", line, err, oracleErr)
		}
		if oracleErr != nil {
			return
		}
		want, ok := oracleHandshake(members)
		var refusal *RefusalError
		if ok != (err == nil) || err != nil && (!errors.As(err, &refusal) || CheckMOTD(refusal.MOTD()) != nil) {
			t.Fatalf("%q: %v, second opinion %v", line, err, ok)
		}
		if err != nil {
			return
		}
		if !reflect.DeepEqual(h, want) {
			t.Fatalf("%q: %+v, second opinion %+v", line, h, want)
		}
		// What is kept is enough to say the same again.
		again, err := ParseHandshake(h.AppendLine(nil), mainnet)
		if err != nil || again.Nick != h.Nick || again.Location != h.Location || !slices.Equal(again.Features, h.Features) {
			t.Fatalf("%+v comes back as %+v, %v", h, again, err)
		}
		// And as an entry it is one entry, for a reader that checks nothing.
		entry := Entry{Nick: h.Nick, Location: h.Location, Features: h.Features}
		if got := ParsePeerlist(AppendEntry(nil, entry, true)); len(got) != 1 || got[0].Nick != h.Nick || got[0].Gone || got[0].Location != h.Location {
			t.Fatalf("%+v is listed as %+v", entry, got)
		}
	})
}

// oracleHandshake is ParseHandshake for mainnet by the table of protocol.md 5.1, but for the location.
func oracleHandshake(members map[string]json.RawMessage) (h Handshake, ok bool) {
	// By their length, because there are letters beyond ASCII that equal some of it without their case.
	is := func(name, want string) bool {
		s, ok := oracleValue[string](members[name])
		return ok && len(s) == len(want) && strings.EqualFold(s, want)
	}
	h.Network = "mainnet"
	if !is("app-name", "joinmarket") || !is("network", h.Network) || string(members["proto-ver"]) != "5" {
		return h, false
	}
	if raw, there := members["directory"]; there && string(raw) != "false" {
		return h, false
	}
	if h.Nick, ok = oracleValue[string](members["nick"]); !ok || !nickByForm(h.Nick) {
		return h, false
	}
	if raw, there := members["location-string"]; there && string(raw) != "null" {
		s, ok := oracleValue[string](raw)
		var err error
		if h.Location, err = ParseLocation(s, false); !ok || err != nil {
			return h, false
		}
	}
	var all, longest int
	raw, there := members["features"]
	h.Features, all, longest, ok = oracleFeatures(raw)
	return h, (ok || !there) && all <= 32 && longest <= 64
}
