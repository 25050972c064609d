package wire

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"jm-directory-server/server/wire/vectors"

	"pgregory.net/rapid"
)

// nickForm is the form as protocol.md 4.1 writes it.
var nickForm = regexp.MustCompile(`^J5[1-9A-HJ-NP-Za-km-z]{1,14}O{0,13}$`)

func nickByForm(s string) bool { return len(s) == 16 && nickForm.MatchString(s) }

func TestEveryCharacterOfANickIsChecked(t *testing.T) {
	for _, nick := range []string{"J5AV9EuXzUNHRiJL", "J5observer1111OO", "J51OOOOOOOOOOOOO"} {
		for i := range len(nick) {
			for c := range 256 {
				b := []byte(nick)
				b[i] = byte(c)
				if got, want := ValidNick(b), nickByForm(string(b)); got != want || ValidNick(string(b)) != want {
					t.Fatalf("%q: %v, want %v", b, got, want)
				}
			}
		}
	}
}

func TestDerivedNicksAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := append([]byte{rapid.SampledFrom([]byte{2, 3}).Draw(t, "parity")}, rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "x")...)
		nick, err := NickFromPubKey(key)
		if err != nil || !ValidNick(nick) {
			t.Fatalf("%x: %q, %v", key, nick, err)
		}
	})
}

func TestNickNeedsACompressedKey(t *testing.T) {
	for _, key := range [][]byte{nil, bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{2}, 34), bytes.Repeat([]byte{4}, 33), make([]byte, 33), bytes.Repeat([]byte{4}, 65)} {
		if nick, err := NickFromPubKey(key); !errors.Is(err, ErrPubKey) || nick != "" {
			t.Errorf("%x: %q, %v", key, nick, err)
		}
	}
}

func FuzzNick(f *testing.F) {
	type record struct {
		Nick string `json:"nick"`
	}
	for _, r := range vectors.Load[record](f, "nicks.jsonl") {
		f.Add(r.Nick)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := ValidNick(s), nickByForm(s); got != want || ValidNick([]byte(s)) != want {
			t.Fatalf("%q: %v, want %v", s, got, want)
		}
	})
}
