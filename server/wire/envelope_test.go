package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"jm-directory-server/server/wire/vectors"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestParseNamesWhatIsWrong(t *testing.T) {
	deep := func(n int) string {
		return `{"type":1,"line":"","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for _, c := range []struct {
		raw  string
		want error
	}{
		{``, ErrSyntax},
		{` `, ErrSyntax},
		{`{`, ErrSyntax},
		{`{"type":1,"line":""`, ErrSyntax},
		{`{"type":1,"line":""}}`, ErrSyntax},
		{`{"type":1,"line":""}x`, ErrSyntax},
		{`{"type":1,"line":""}` + "\x00", ErrSyntax},
		{"\x00" + `{"type":1,"line":""}`, ErrSyntax},
		{"\ufeff" + `{"type":1,"line":""}`, ErrSyntax},
		{"{\x00" + `"type":1,"line":""}`, ErrSyntax},
		{`{"type":1,"line":"",}`, ErrSyntax},
		{`{"type":1,,"line":""}`, ErrSyntax},
		{`{"type":01,"line":""}`, ErrSyntax},
		{`{"type":+1,"line":""}`, ErrSyntax},
		{`{"type":0x1,"line":""}`, ErrSyntax},
		{`{'type':1,"line":""}`, ErrSyntax},
		{`{type:1,"line":""}`, ErrSyntax},
		{`{1:1,"type":1,"line":""}`, ErrSyntax},
		{`{["type"]:1,"line":""}`, ErrSyntax},
		{`{"type":1,"line":"","x":Infinity}`, ErrSyntax},
		{`{"type":1,"line":"","x":1.}`, ErrSyntax},
		{`{"type":1,"line":"","x":"\x"}`, ErrSyntax},
		{`{"type":1,"line":"","x":"\ud800"}`, ErrSyntax},
		{`{"type":1,"line":"","x":"\udc00\ud800"}`, ErrSyntax},
		{`{"type":1,"line":"","\ud800":1}`, ErrSyntax},
		{`{"type":1,"line":"","x":{"y":"\ud83d"}}`, ErrSyntax},
		{`{"type":1,"line":"","x":[1,]}`, ErrSyntax},
		{`{"type":1,"line":"","x":[}`, ErrSyntax},
		{"{\"type\":1,\"line\":\"\x7f\x1f\"}", ErrSyntax},
		{"{\"type\":1,\"line\":\"a\nb\"}", ErrSyntax},

		{"{\"type\":1,\"line\":\"\",\"x\":\"\xff\"}", ErrUTF8},
		{"{\"type\":1,\"line\":\"\",\"\xff\":1}", ErrUTF8},
		{"{\"type\":1,\"line\":\"\",\"x\":[\"\xc0\x80\"]}", ErrUTF8},
		{"{\"type\":1,\"line\":\"\xed\xa0\x80\"}", ErrUTF8},
		{"{\"type\":1,\"line\":\"\"}\xff", ErrUTF8},
		{"\xff\xfe{\x00\"\x00", ErrUTF8},

		{`{"type":1,"line":"","type":1}`, ErrDuplicate},
		{`{"type":1,"line":"","line":""}`, ErrDuplicate},
		{`{"type":1,"line":"","\u0074ype":1}`, ErrDuplicate},
		{`{"type":1,"line":"","x":1,"x":1}`, ErrDuplicate},
		{`{"type":1,"line":"","x":1,"\u0078":1}`, ErrDuplicate},
		{`{"type":1,"line":"","x":[{"y":1,"y":1}]}`, ErrDuplicate},
		{`{"type":1,"line":"","":1,"":1}`, ErrDuplicate},

		{deep(MaxDepth + 1), ErrDepth},
		{`{"x":` + strings.Repeat("[", MaxLine-5), ErrDepth},
		{`{"x":` + strings.Repeat(`{"x":`, 7000), ErrDepth},

		{`null`, ErrMember},
		{`"x"`, ErrMember},
		{`1`, ErrMember},
		{`[]`, ErrMember},
		{strings.Repeat("[", MaxLine), ErrMember},
		{`{}`, ErrMember},
		{`{"line":""}`, ErrMember},
		{`{"type":1}`, ErrMember},
		{`{"Type":1,"line":""}`, ErrMember},
		{`{"type ":1,"line":""}`, ErrMember},
		{`{"type":1e0,"line":""}`, ErrMember},
		{`{"type":-0,"line":""}`, ErrMember},
		{`{"type":1.0,"line":""}`, ErrMember},
		{`{"type":4294967296,"line":""}`, ErrMember},
		{`{"type":18446744073709551617,"line":""}`, ErrMember},
		{`{"type":[1],"line":""}`, ErrMember},
		{`{"type":` + strings.Repeat("[", 30_000), ErrMember},
		{`{"line":` + strings.Repeat(`{"x":`, 6_000), ErrMember},
		{`{` + strings.Repeat("[", 30_000), ErrSyntax},
		{`{"type":{},"line":""}`, ErrMember},
		{`{"type":1,"line":[""]}`, ErrMember},
		{`{"type":1,"line":true}`, ErrMember},
	} {
		var p Parser
		env, err := p.Parse([]byte(c.raw))
		if !errors.Is(err, c.want) || !errors.Is(err, ErrEnvelope) || env.Line != nil || env.Type != 0 {
			t.Errorf("%.60q: %v, want %v", c.raw, err, c.want)
		}
	}
}

func TestParseAcceptsWhatIsStrictAndUnusual(t *testing.T) {
	nest := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for _, c := range []struct {
		raw  string
		code Type
		line string
	}{
		{`{"type":4294967295,"line":""}`, 4294967295, ""},
		{"\t {\"type\" :\r1 , \"line\":\"\"} \r", 1, ""},
		{`{"\u0074ype":1,"lin\u0065":"\u0000\/\"\\\b\f\n\r\t"}`, 1, "\x00/\"\\\b\f\n\r\t"},
		{`{"type":1,"line":"","Type":2,"LINE":3,"TYPE":[]}`, 1, ""},
		{`{"x":{"type":9,"line":9},"type":1,"line":"a","y":[{"type":8}]}`, 1, "a"},
		{`{"type":1,"line":"","x":` + nest + `,"y":` + nest + `}`, 1, ""},
		{`{"type":1,"line":"","x":1e999,"y":-0.0,"z":null}`, 1, ""},
		{"{\"type\":1,\"line\":\"\u2028\ufeff\x7f\U0010ffff\ufffd\"}", 1, "\u2028\ufeff\x7f\U0010ffff\ufffd"},
		{`{"type":1,"line":"","` + strings.Repeat("n", 5000) + `":1}`, 1, ""},
	} {
		var p Parser
		env, err := p.Parse([]byte(c.raw))
		if err != nil || env.Type != c.code || string(env.Line) != c.line {
			t.Errorf("%.80q: %v %q, %v", c.raw, env.Type, env.Line, err)
		}
	}
}

// An odd line must not be a way to make a pooled parser hold memory.
func TestParserGivesUpMemoryOfOddLines(t *testing.T) {
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, `,"name%d":1`, i)
	}
	for name, raw := range map[string]string{
		"refused": `{"type":1,"line":"","x":1,"x":2}`,
		"nested":  `{"type":1,"line":"","x":{"y":[` + strings.Repeat("1,", 10_000) + `1]}}`,
		"names":   `{"type":1,"line":""` + many.String() + `}`,
	} {
		var p Parser
		_, _ = p.Parse([]byte(raw))
		if !reflect.ValueOf(p.reader.dec).IsZero() {
			t.Errorf("%s: decoder is kept", name)
		}
	}
	var p Parser
	if _, err := p.Parse([]byte(`{"type":1,"line":"` + strings.Repeat(`\n`, 19_000) + `"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse(extraRaw); err != nil || cap(p.unescaped) > keepUnescaped {
		t.Errorf("%d bytes kept, %v", cap(p.unescaped), err)
	}
}

func TestParseErrorsCarryNoBytesOfThePeer(t *testing.T) {
	for _, raw := range []string{
		`{"evilname":1,"evilname":2}`, `{"evilname":"\ud800"}`, "{\"evilname\":\"\xff\"}", `evilname`, `{"type":evilname}`,
		`{"evilname":` + strings.Repeat("[", 20) + `}`,
	} {
		_, err := new(Parser).Parse([]byte(raw))
		_, err2 := ParseHandshake([]byte(raw), HandshakeRules{})
		if err == nil || err2 == nil || strings.Contains(err.Error()+err2.Error(), "evil") {
			t.Errorf("%q: %v; %v", raw, err, err2)
		}
	}
}

func TestAppendEnvelopeRefusesAndLeavesDstAlone(t *testing.T) {
	long := bytes.Repeat([]byte("a"), MaxLine)
	for _, c := range []struct {
		name string
		line []byte
		want error
	}{
		{"longest", long[:MaxLine-22], nil},
		{"one more", long[:MaxLine-21], ErrTooLong},
		{"escapes make it too long", bytes.Repeat([]byte("\n"), MaxLine/2), ErrTooLong},
		{"control characters make it too long", bytes.Repeat([]byte("\x01"), MaxLine/6), ErrTooLong},
		{"control characters fit", bytes.Repeat([]byte("\x01"), MaxLine/6-4), nil},
		{"invalid utf-8", []byte("a\xff"), ErrUTF8},
		{"surrogate", []byte("\xed\xa0\x80"), ErrUTF8},
	} {
		dst, err := AppendEnvelope([]byte("before"), Pubmsg, c.line)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if !bytes.HasPrefix(dst, []byte("before")) || err != nil && len(dst) != len("before") {
			t.Errorf("%s: dst is %.20q", c.name, dst)
		}
		if err == nil && len(dst) > len("before")+MaxLine+2 {
			t.Errorf("%s: %d bytes", c.name, len(dst))
		}
	}
}

func TestAppendEnvelopeIsCompactAndUnescaped(t *testing.T) {
	got, err := AppendEnvelope(nil, Pubmsg, []byte("<a>&é\u2028/\"\\\r\n\x00\x7f"))
	want := "{\"type\":687,\"line\":\"<a>&é\u2028/\\\"\\\\\\r\\n\\u0000\x7f\"}\r\n"
	if string(got) != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// anyLine draws strings with the characters that encoders disagree about.
var anyLine = rapid.Custom(func(t *rapid.T) []byte {
	unit := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"a", "\r", "\n", "\"", "\\", "\x00", "\x1f", "\x7f", "é", "\u2028", "\ufeff", "\ufffd", "😀", "</script>", "J5AV9EuXzUNHRiJL!PUBLIC!",
	}))
	return []byte(strings.Join(rapid.SliceOfN(unit, 0, 20).Draw(t, "units"), ""))
})

func TestAppendedEnvelopeParsesBackToTheSame(t *testing.T) {
	var p Parser
	rapid.Check(t, func(t *rapid.T) {
		code, line := Type(rapid.Uint32().Draw(t, "type")), anyLine.Draw(t, "line")
		raw, err := AppendEnvelope(nil, code, line)
		if err != nil {
			t.Fatal(err)
		}
		checkFrame(t, raw)
		cut, n, err := CutLine(raw, 0)
		if err != nil || n != len(raw) {
			t.Fatal(n, err)
		}
		if len(cut) != len(fmt.Sprint(uint32(code)))+len(`{"type":,"line":}`)+quotedLen(line) {
			t.Fatalf("%q is not as long as foreseen", cut)
		}
		env, err := p.Parse(cut)
		if err != nil || env.Type != code || !bytes.Equal(env.Line, line) {
			t.Fatalf("%q: %v %q, %v", raw, env.Type, env.Line, err)
		}
	})
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkFrame checks what goes out: one line that no client can take for two.
func checkFrame(t failer, raw []byte) {
	t.Helper()
	body, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok || bytes.ContainsAny(body, "\r\n") || len(body) > MaxLine || !utf8.Valid(body) {
		t.Fatalf("not a line: %.100q", raw)
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, file := range []string{"envelopes.jsonl", "messages.jsonl", "handshakes.jsonl", "peerlists.jsonl"} {
		for _, r := range vectors.Load[vectors.Record](f, file) {
			f.Add(bytes.TrimRight(r.Wire(f), "\r\n"))
		}
	}
	f.Add([]byte(`{"type":1,"line":"` + strings.Repeat("a", MaxLine-19) + `"}`)) // one byte too long
	f.Add([]byte(`{"type":1,"line":"","x":[{"y":1,"\u0079":"\ud83d\ude00"}]}`))
	var p Parser
	f.Fuzz(func(t *testing.T, raw []byte) {
		env, err := p.Parse(raw)
		if errors.Is(err, ErrTooLong) != (len(raw) > MaxLine) {
			t.Fatalf("%d bytes: %v", len(raw), err)
		}
		if len(raw) > MaxLine {
			return
		}
		if err != nil && !errors.Is(err, ErrEnvelope) {
			t.Fatalf("untyped error %v", err)
		}
		want, wantErr := oracleEnvelope(raw)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, second opinion %v", raw, err, wantErr)
		}
		if err != nil {
			return
		}
		if env.Type != want.Type || !bytes.Equal(env.Line, want.Line) {
			t.Fatalf("%q: %v %q, second opinion %v %q", raw, env.Type, env.Line, want.Type, want.Line)
		}
		out, err := AppendEnvelope(nil, env.Type, env.Line)
		if err != nil {
			t.Fatalf("accepted and cannot be forwarded: %v", err)
		}
		checkFrame(t, out)
		if len(out)-2 > len(raw) {
			t.Fatalf("%d bytes became %d", len(raw), len(out)-2)
		}
		line := bytes.Clone(env.Line)
		again, err := p.Parse(out[:len(out)-2])
		if err != nil || again.Type != env.Type || !bytes.Equal(again.Line, line) {
			t.Fatalf("%q comes back as %q, %v", out, again.Line, err)
		}
	})
}

func TestPlainLineIsItsOwnQuotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := []byte(rapid.StringMatching(`[ -~]{0,40}`).Draw(t, "line"))
		if rapid.Bool().Draw(t, "changed") && len(line) > 0 {
			line[rapid.IntRange(0, len(line)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		quoted, err := jsontext.AppendQuote(nil, line)
		same := err == nil && string(quoted) == `"`+string(line)+`"`
		if !utf8.Valid(line) || bytes.ContainsFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) {
			same = false // left to the library
		}
		if got := isPlain(line); got != same {
			t.Fatalf("isPlain(%q) is %v", line, got)
		}
	})
}
