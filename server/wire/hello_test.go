package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"

	"pgregory.net/rapid"
)

func TestDirectoryHelloOfAnyTextParsesBackToTheSame(t *testing.T) {
	var p Parser
	rapid.Check(t, func(t *rapid.T) {
		d := DirectoryHello{
			Accepted: rapid.Bool().Draw(t, "accepted"), Nick: anyNick.Draw(t, "nick"), Network: rapid.String().Draw(t, "network"),
			MOTD: string(anyLine.Draw(t, "motd")), Features: anyFeatures.Draw(t, "features"),
		}
		raw, err := AppendEnvelope(nil, DirectoryHandshake, d.AppendLine(nil))
		if err != nil {
			t.Fatal(err)
		}
		checkFrame(t, raw)
		env, err := p.Parse(raw[:len(raw)-2])
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDirectoryHello(env.Line)
		if err != nil || got.Accepted != d.Accepted || got.Nick != d.Nick || got.Network != d.Network || got.MOTD != d.MOTD ||
			!slices.Equal(got.Features, d.Features) {
			t.Fatalf("%+v comes back as %+v, %v", d, got, err)
		}
	})
}

func TestDirectoryHelloFaultsAreToldApart(t *testing.T) {
	good := string(DirectoryHello{Accepted: true, Nick: "J58oiJZ2mDxeEg3Z", Network: "mainnet", MOTD: "Welcome"}.AppendLine(nil))
	for _, c := range []struct {
		old, new string
		want     error
	}{
		{`"Welcome"`, `5`, nil},
		{`"motd"`, `"location-string": null, "more"`, nil},
		{`"joinmarket"`, `5`, ErrHelloSyntax},
		{`"joinmarket"`, `"JoinMarket"`, ErrHelloMismatch},
		{`"directory": true`, `"directory": "true"`, ErrHelloSyntax},
		{`"directory": true`, `"directory": false`, ErrHelloMismatch},
		{`"proto-ver-max": 5`, `"proto-ver-max": 4`, ErrHelloMismatch},
		{`"proto-ver-max": 5`, `"proto-ver-max": "5"`, ErrHelloSyntax},
		{`"proto-ver-min": 5`, `"proto-ver-min": [5]`, ErrHelloSyntax},
		{`"features": {}`, `"features": null`, ErrHelloSyntax},
		{`"accepted": true`, `"accepted": 1`, ErrHelloSyntax},
		{`"nick"`, `"Nick"`, ErrHelloSyntax},
		{`"network"`, `"networks"`, ErrHelloSyntax},
		{`"network"`, `"nick"`, ErrDuplicate},
		{`}`, ``, ErrHelloSyntax},
		// Syntax goes before mismatch: a client that cannot read the whole does not compare.
		{`"joinmarket", "directory": true`, `"x", "directory": 1`, ErrHelloSyntax},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("%q is not in %s", c.old, good)
		}
		d, err := ParseDirectoryHello([]byte(strings.ReplaceAll(good, c.old, c.new)))
		if !errors.Is(err, c.want) || c.want == nil && (err != nil || !d.Accepted) {
			t.Errorf("%s: %v, want %v", c.new, err, c.want)
		}
		if errors.Is(err, ErrHelloSyntax) && errors.Is(err, ErrHelloMismatch) {
			t.Errorf("%s: both at once: %v", c.new, err)
		}
	}
}

func TestMOTDIsPrintableASCIIAndBounded(t *testing.T) {
	for _, s := range []string{"", "Welcome", "a\nb\n", " ~!\"\\", strings.Repeat("x", MaxMOTD)} {
		if err := CheckMOTD(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		strings.Repeat("x", MaxMOTD+1): "513 bytes",
		"ab\ncd\te":                    "0x09 in line 2, column 3",
		"\r\n":                         "0x0d in line 1, column 1",
		"x\x7f":                        "0x7f in line 1, column 2",
		"caf\u00e9":                    "0xc3 in line 1, column 4",
		"\x1b[2J":                      "0x1b in line 1, column 1",
		"\x00":                         "0x00",
	} {
		if err := CheckMOTD(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q in it", s, err, want)
		}
	}
}

func FuzzDirectoryHello(f *testing.F) {
	for _, r := range vectors.Load[vectors.Record](f, "dn_handshakes.jsonl") {
		_, line := envelopeOf(f, r)
		f.Add(line)
	}
	f.Add([]byte(`{"features":{"":true}}`))
	f.Add(DirectoryHello{MOTD: strings.Repeat("x", MaxMOTD)}.AppendLine(nil))
	f.Add([]byte(`{"x":` + strings.Repeat("[", MaxDepth+1)))
	f.Fuzz(func(t *testing.T, line []byte) {
		d, err := ParseDirectoryHello(line)
		members, oracleErr := oracleObject(line)
		want, wantErr := oracleHello(members)
		if errors.Is(err, ErrUndecodable) != (oracleErr != nil) || !errors.Is(err, wantErr) || !reflect.DeepEqual(d, want) {
			t.Fatalf("%q: %+v, %v, second opinion %+v, %v, %v", line, d, err, want, oracleErr, wantErr)
		}
		if err != nil {
			return
		}
		again, err := ParseDirectoryHello(d.AppendLine(nil))
		if err != nil || again.Accepted != d.Accepted || again.Nick != d.Nick || again.Network != d.Network || again.MOTD != d.MOTD ||
			!slices.Equal(again.Features, d.Features) {
			t.Fatalf("%+v comes back as %+v, %v", d, again, err)
		}
	})
}

// oracleHello is ParseDirectoryHello by the table of protocol.md 5.2.
func oracleHello(members map[string]json.RawMessage) (d DirectoryHello, err error) {
	app, okApp := oracleValue[string](members["app-name"])
	directory, okDirectory := oracleValue[bool](members["directory"])
	least, okLeast := oracleValue[int64](members["proto-ver-min"])
	most, okMost := oracleValue[int64](members["proto-ver-max"])
	var ok [4]bool
	d.Features, _, _, ok[0] = oracleFeatures(members["features"])
	d.Accepted, ok[1] = oracleValue[bool](members["accepted"])
	d.Nick, ok[2] = oracleValue[string](members["nick"])
	d.Network, ok[3] = oracleValue[string](members["network"])
	d.MOTD, _ = oracleValue[string](members["motd"])
	switch {
	case !okApp || !okDirectory || !okLeast || !okMost || ok != [4]bool{true, true, true, true}:
		return DirectoryHello{}, ErrHelloSyntax
	case app != "joinmarket" || !directory || least > 5 || most < 5:
		return DirectoryHello{}, ErrHelloMismatch
	}
	return d, nil
}
