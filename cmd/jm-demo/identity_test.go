package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire"
	"jm-directory-server/server/wire/vectors"
)

type message struct {
	vectors.Record
	Expect string `json:"expect"`
}

// TestMessagesOfRealClientsAreOpened guards the grammar and the signature: the vectors carry messages that
// real clients made.
func TestMessagesOfRealClientsAreOpened(t *testing.T) {
	opened := 0
	for _, m := range vectors.Load[message](t, "messages.jsonl") {
		if m.Expect != "relay" || m.Text == nil {
			continue
		}
		var parser wire.Parser
		env, err := parser.Parse([]byte(strings.TrimSuffix(*m.Text, "\r\n")))
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		parts, err := wire.SplitMessage(env.Line)
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		_, _, err = openPrivate(env.Line, string(parts.From), string(parts.To))
		if unsigned := m.Name == "priv-unsigned"; (err != nil) != unsigned {
			t.Errorf("%s: %v", m.Name, err)
		}
		if err == nil {
			opened++
		}
	}
	if opened < 3 {
		t.Errorf("only %d vectors were opened", opened)
	}
}

func TestDigestIsThatOfABitcoinSignedMessage(t *testing.T) {
	type proof struct {
		vectors.Record
		Transcript string `json:"transcript"`
		Hash       string `json:"message_hash"`
	}
	compared := 0
	for _, v := range vectors.Load[proof](t, "nick_auth.jsonl") {
		if v.Hash == "" {
			continue
		}
		compared++
		if got := hex.EncodeToString(signedDigest(v.Transcript)); got != v.Hash {
			t.Errorf("%s: %s, want %s", v.Name, got, v.Hash)
		}
	}
	if compared == 0 {
		t.Error("no vector has a hash")
	}
}

func TestWhatIsSealedOpensAndNothingElseDoes(t *testing.T) {
	a, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if !wire.ValidNick(a.nick) || a.nick == b.nick {
		t.Fatalf("nicks %s and %s", a.nick, b.nick)
	}
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.StringMatching(`[ -~]{1,700}`).Draw(t, "data")
		line := a.private(b.nick, "fill", data)
		command, got, err := openPrivate(line, a.nick, b.nick)
		if err != nil || command != "fill" || got != data {
			t.Fatalf("got %q %q, %v", command, got, err)
		}
		if _, _, err := openPrivate(line, b.nick, a.nick); err == nil {
			t.Fatal("opened for others")
		}
		// The same under another's name: the key is not the one of that nick.
		forged := append([]byte(b.nick), line[len(a.nick):]...)
		if _, _, err := openPrivate(forged, b.nick, b.nick); err == nil {
			t.Fatal("opened under another's nick")
		}
		// One letter of the data changed: the signature is not good.
		at := len(a.nick+"!"+b.nick+"!fill ") + rapid.IntRange(0, len(data)-1).Draw(t, "at")
		line[at] ^= 1
		if _, _, err := openPrivate(line, a.nick, b.nick); err == nil {
			t.Fatalf("opened although %q was changed", line)
		}
	})
}

func FuzzPrivateMessageOpens(f *testing.F) {
	id, err := newIdentity()
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range vectors.Load[message](f, "messages.jsonl") {
		var parser wire.Parser
		env, err := parser.Parse(bytes.TrimSuffix(m.Wire(f), []byte("\r\n")))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(env.Line))
	}
	f.Add(id.private(id.nick, "pubkey", "ab"))
	f.Add([]byte("J5!J5!fill a b c d"))
	f.Add([]byte("J5!J5!fill  00 ="))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := wire.SplitMessage(line)
		if err != nil {
			return
		}
		if command, data, err := openPrivate(line, string(m.From), string(m.To)); err == nil {
			if !strings.HasPrefix(string(m.Body), command+" "+data+" ") {
				t.Errorf("%q %q out of %q", command, data, m.Body)
			}
		}
	})
}

func TestLocationIsOneThatADirectoryAccepts(t *testing.T) {
	l, err := newLocation()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := wire.ParseLocation(l.String(), false); err != nil || again != l || !l.Serving() {
		t.Errorf("%v becomes %v, %v", l, again, err)
	}
}
