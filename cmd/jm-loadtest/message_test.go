package main

import (
	"encoding/json"
	"strings"
	"testing"

	"jm-directory-server/server/wire"
)

const (
	testNick  = "J5Ckon1LuuapPSBM"
	otherNick = "J58g3zmKyFpTLdeA"
)

func TestMessageHasItsSizeAndItsStamp(t *testing.T) {
	s := stamp{1, 2, 3, 4, 5}
	for _, test := range []struct {
		t        wire.Type
		to, body string
		at       int
	}{
		{wire.Pubmsg, wire.Public, commitment, publicStamp},
		{wire.Privmsg, otherNick, commitment, privateStamp},
		{wire.Privmsg, otherNick, offer, offerStamp},
	} {
		for _, size := range []int{minSize + len(offer), 400, 650, maxSize} {
			tpl, err := newTemplate(test.t, testNick, test.to, test.body, size)
			if err != nil {
				t.Fatal(err)
			}
			line := tpl.appendMessage([]byte("before"), s)[len("before"):]
			if len(line) != size || !strings.HasSuffix(string(line), "\r\n") {
				t.Errorf("%s of %d bytes for %d", test.t, len(line), size)
			}
			var p wire.Parser
			env, err := p.Parse(line[:len(line)-2])
			if err != nil || env.Type != test.t || len(env.Line) != tpl.text {
				t.Fatalf("%s: %v, %+v", line, err, env)
			}
			if got, ok := parseStamp(env.Line[test.at:]); !ok || got != s {
				t.Errorf("%s: stamp is %+v", line, got)
			}
			if m, err := wire.SplitMessage(env.Line); err != nil || string(m.From) != testNick || string(m.To) != test.to {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// TestFormIsLearnt guards that envelopes are understood as each directory writes them (protocol.md 2).
func TestFormIsLearnt(t *testing.T) {
	text := testNick + "!PUBLIC!hp2 P" + strings.Repeat("0", stampLen)
	other := strings.ReplaceAll(text, "0", "1")
	for _, form := range []string{`{"type":687,"line":"%"}`, `{"type": 687, "line": "%"}`, `{"line": "%", "type": 687}`, `{ "type":687, "line":"%","more":{} }`} {
		f, ok := learnForm([]byte(strings.Replace(form, "%", text, 1)), []byte(text))
		if !ok {
			t.Fatalf("%s is not learnt", form)
		}
		if got, ok := f.text([]byte(strings.Replace(form, "%", other, 1))); !ok || string(got) != other {
			t.Errorf("%s: %q", form, got)
		}
		for _, no := range []string{"", "{}", strings.Replace(form, "%", text, 1)[1:], strings.Replace(strings.Replace(form, "7", "5", 1), "%", text, 1)} {
			if got, ok := f.text([]byte(no)); ok {
				t.Errorf("%s fits %s: %q", form, no, got)
			}
		}
	}
	escaped, err := json.Marshal(text + "é\n")
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := learnForm(escaped, []byte(text+"é\n")); ok {
		t.Errorf("a form was learnt of an escaped text: %q", f)
	}
}

func TestIdentitiesAreValidAndFollowFromTheSeed(t *testing.T) {
	a, b, c := newIdentities(7), newIdentities(7), newIdentities(8)
	seen := map[string]bool{}
	for range 100 {
		nick, location := a.nick(), a.location()
		if !wire.ValidNick(nick) || seen[nick] {
			t.Errorf("nick %q", nick)
		}
		seen[nick] = true
		if got, err := wire.ParseLocation(location.String(), false); err != nil || got != location {
			t.Errorf("location %s: %v", location, err)
		}
		if again := b.nick(); again != nick || b.location() != location {
			t.Errorf("seed 7 gives %s and %s", nick, again)
		}
		if other := c.nick(); other == nick || c.location() == location {
			t.Errorf("seed 8 gives what 7 does: %s", other)
		}
	}
}
