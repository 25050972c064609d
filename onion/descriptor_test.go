package onion

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// recorded is a descriptor that Tor 0.4.9.11 made on a private network, and the
// public key that its address is made of.
func recorded(t testing.TB) (text string, public [32]byte) {
	b, err := os.ReadFile("testdata/descriptor.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hex.Decode(public[:], []byte("66525e5be5405c18f8df57c90dc58fb106b36929b849b1ec927776804a043221")); err != nil {
		t.Fatal(err)
	}
	return string(b), public
}

func TestEffortIsReadFromADescriptorOfTor(t *testing.T) {
	text, public := recorded(t)
	want := powParams{on: true, effort: 0, expires: time.Date(2026, 11, 25, 1, 45, 3, 0, time.UTC)}
	for name, s := range map[string]string{"as it is": text, "as it goes over a line": strings.ReplaceAll(text, "\n", "\r\n")} {
		if p, err := parseDescriptor(s, public); err != nil || p != want {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	cut := func(from, to string) string { return strings.Replace(text, from, to, 1) }
	for name, s := range map[string]string{
		"empty":                      "",
		"no certificate":             cut("descriptor-signing-key-cert", "x"),
		"broken certificate":         cut("\nAQgA", "\nAQ=A"),
		"short certificate":          text[:strings.Index(text, "\nAQgA")+5] + "\n" + text[strings.Index(text, "-----END ED25519"):],
		"no revision":                cut("revision-counter ", "revision-counter x"),
		"another revision":           cut("revision-counter 2", "revision-counter 3"),
		"a byte of the ciphertext":   cut("Lg2rBMOv", "Lg2rBMOw"),
		"no ciphertext":              text[:strings.Index(text, "superencrypted")],
		"ciphertext without its end": text[:strings.Index(text, "superencrypted")+2000],
	} {
		if _, err := parseDescriptor(s, public); !errors.Is(err, errDescriptor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	public[0]++
	if _, err := parseDescriptor(text, public); !errors.Is(err, errDescriptor) || !strings.Contains(err.Error(), "MAC") {
		t.Errorf("of another service: %v", err)
	}
}

func TestPoWParams(t *testing.T) {
	const seed = "c2VlZHNlZWRzZWVkc2VlZHNlZWRzZWVkc2VlZHNlZWQ"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]struct {
		powParams
		fails bool
	}{
		"create2-formats 2\npow-params v1 " + seed + " 4294967295 2026-01-02T03:04:05\nintroduction-point x\n": {powParams{true, 1<<32 - 1, at}, false},
		"pow-params v2 what\npow-params v1 " + seed + " 12 2026-01-02T03:04:05":                                {powParams{true, 12, at}, false},
		"create2-formats 2\n":    {},
		"pow-params v2 what 1 2": {},
		"pow-params v1 " + seed:  {fails: true},
		"pow-params v1 " + seed + " 4294967296 2026-01-02T03:04:05": {fails: true},
		"pow-params v1 " + seed + " -1 2026-01-02T03:04:05":         {fails: true},
		"pow-params v1 " + seed + " 1 yesterday":                    {fails: true},
	} {
		if p, err := parsePoWParams(text); p != want.powParams || (err != nil) != want.fails {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
}

func FuzzDescriptor(f *testing.F) {
	text, public := recorded(f)
	f.Add(text, "pow-params v1 c2VlZA 12 2026-01-02T03:04:05")
	f.Add("descriptor-signing-key-cert\n-----BEGIN ED25519 CERT-----\n-----END ED25519 CERT-----\n", "pow-params v1")
	f.Fuzz(func(t *testing.T, outer, inner string) {
		if p, err := parseDescriptor(outer, public); err != nil && p != (powParams{}) {
			t.Errorf("%+v with %v", p, err)
		}
		if p, err := parsePoWParams(inner); p.effort < 0 || p.effort > 1<<32-1 || err != nil && p.on {
			t.Errorf("%+v with %v", p, err)
		}
	})
}
