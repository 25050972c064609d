package wire

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"

	"pgregory.net/rapid"
)

func TestEntryFormIsTheReceiversAndDeparturesArePlain(t *testing.T) {
	serving := Location{Host: goodOnion, Port: 5222}
	features := []string{"neutrino_compat", "ping"}
	for _, c := range []struct {
		e    Entry
		rich bool
		want string
	}{
		{Entry{Nick: "n", Location: serving, Features: features}, true, "n;" + goodOnion + ":5222;F:neutrino_compat+ping"},
		{Entry{Nick: "n", Location: serving, Features: features}, false, "n;" + goodOnion + ":5222"},
		{Entry{Nick: "n", Location: serving}, true, "n;" + goodOnion + ":5222"},
		{Entry{Nick: "n", Features: features}, true, "n;NOT-SERVING-ONION;F:neutrino_compat+ping"},
		{Entry{Nick: "n", Location: serving, Features: features, Gone: true}, true, "n;" + goodOnion + ":5222;D"},
		{Entry{Nick: "n", Gone: true, Features: features}, true, "n;NOT-SERVING-ONION;D"},
		{Entry{Nick: "n", Location: Location{Host: "::1", Port: 1}}, true, "n;[::1]:1"},
	} {
		if got := AppendEntry([]byte("x,"), c.e, c.rich); string(got) != "x,"+c.want {
			t.Errorf("%+v: %q, want %q", c.e, got, c.want)
		}
	}
}

func TestPeerlistReaderIsLenient(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string // as we would send it
	}{
		{"", ""},
		{",,;,", ";NOT-SERVING-ONION"},
		{"n;nonsense;D", "n;NOT-SERVING-ONION;D"},
		{"n;127.0.0.1:1;X;F:;F:b+a;;F:+c", "n;127.0.0.1:1;F:b+a+c"},
		{"n;127.0.0.1:1;d;f:x;D ", "n;127.0.0.1:1"},
	} {
		var got []string
		for _, e := range ParsePeerlist([]byte(c.in)) {
			got = append(got, string(AppendEntry(nil, e, true)))
		}
		if s := strings.Join(got, ","); s != c.want {
			t.Errorf("%q: %q, want %q", c.in, s, c.want)
		}
	}
}

func TestPeerlistParsesBackToTheSame(t *testing.T) {
	entry := rapid.Custom(func(t *rapid.T) Entry {
		e := Entry{Nick: anyNick.Draw(t, "nick"), Location: anyLocation.Draw(t, "location"), Gone: rapid.Bool().Draw(t, "gone")}
		if !e.Gone {
			e.Features = anyFeatures.Draw(t, "features")
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(entry, 0, 5).Draw(t, "entries")
		rich := rapid.Bool().Draw(t, "rich")
		var line []byte
		for i, e := range entries {
			if i > 0 {
				line = append(line, ',')
			}
			line = AppendEntry(line, e, rich)
		}
		got := ParsePeerlist(line)
		if len(got) != len(entries) {
			t.Fatalf("%d entries, want %d", len(got), len(entries))
		}
		for i, e := range entries {
			if !rich {
				e.Features = nil
			}
			if got[i].Nick != e.Nick || got[i].Location != e.Location || got[i].Gone != e.Gone || !slices.Equal(got[i].Features, e.Features) {
				t.Fatalf("%+v comes back as %+v", e, got[i])
			}
		}
	})
}

func FuzzPeerlist(f *testing.F) {
	for _, r := range vectors.Load[vectors.Record](f, "peerlists.jsonl") {
		_, line := envelopeOf(f, r)
		f.Add(line)
	}
	f.Add([]byte("a;[::1]:1,b;1.2.3.4:5222"))
	f.Add([]byte(strings.Repeat("a;x;D,b;;DD,c;y;F:e+f+g,", 50)))
	f.Fuzz(func(t *testing.T, line []byte) {
		entries := ParsePeerlist(line)
		if want := splitPeerlist(string(line)); !reflect.DeepEqual(entries, want) {
			t.Fatalf("%q: %+v, second opinion %+v", line, entries, want)
		}
		for _, e := range entries {
			if e.Gone {
				e.Features = nil
			}
			again := ParsePeerlist(AppendEntry(nil, e, true))
			if len(again) != 1 || again[0].Nick != e.Nick || again[0].Location != e.Location || again[0].Gone != e.Gone ||
				!slices.Equal(again[0].Features, e.Features) {
				t.Fatalf("%+v comes back as %+v", e, again)
			}
		}
	})
}

// splitPeerlist is ParsePeerlist by splitting everything.
func splitPeerlist(line string) (entries []Entry) {
	for _, item := range strings.Split(line, ",") {
		fields := strings.Split(item, ";")
		if len(fields) < 2 {
			continue
		}
		e := Entry{Nick: fields[0], Gone: slices.Contains(fields[2:], "D")}
		e.Location, _ = ParseLocation(fields[1], true)
		for _, field := range fields[2:] {
			if strings.HasPrefix(field, "F:") {
				e.Features = append(e.Features, strings.FieldsFunc(field[2:], func(r rune) bool { return r == '+' })...)
			}
		}
		entries = append(entries, e)
	}
	return entries
}
