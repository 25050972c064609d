package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

const someNick = "J5xhBwYoYN9mD4Fq"

func TestActionsReachTheSource(t *testing.T) {
	tests := []struct {
		name    string
		request any
		want    call
	}{
		{"kick", KickRequest{someNick}, call{target: server.Target{Nick: someNick}}},
		{"kick", KickRequest{"conn:1f"}, call{target: server.Target{Conn: 31}}},
		{"ban", BanRequest{"circuit:26", "", ""}, call{target: server.Target{Circuit: 26}}},
		{"ban", BanRequest{someNick, "90m", "floods"}, call{target: server.Target{Nick: someNick}, duration: 90 * time.Minute, text: "floods"}},
		{"unban", UnbanRequest{"0badcafe"}, call{text: "0badcafe"}},
		{"drain", DrainRequest{true}, call{on: true}},
		{"drain", DrainRequest{false}, call{}},
		{"motd", MOTDRequest{"Welcome.\nBe kind."}, call{text: "Welcome.\nBe kind."}},
		{"motd", MOTDRequest{""}, call{}},
		{"log-level", LogLevelRequest{"debug"}, call{text: "debug"}},
	}
	for _, tt := range tests {
		src := &fakeSource{ban: server.Ban{ID: "1"}}
		body, err := json.Marshal(tt.request)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(t, newServer(src), "POST", "/actions/"+tt.name, string(body))
		if w.Code != http.StatusOK {
			t.Errorf("%s %s: %d %s", tt.name, body, w.Code, w.Body)
		}
		tt.want.action = tt.name
		if diff := cmp.Diff([]call{tt.want}, src.taken(), cmp.AllowUnexported(call{})); diff != "" {
			t.Errorf("%s %s:\n%s", tt.name, body, diff)
		}
	}
}

func TestBadRequestsAreAnsweredWithWhatIsWrong(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"kick", ``, "not JSON"},
		{"kick", `nonsense`, "not JSON"},
		{"kick", `[]`, "must be a JSON object"},
		{"kick", `"x"`, "must be a JSON object"},
		{"kick", `{}`, "target is missing"},
		{"kick", `{"target":"` + someNick + `"`, "not JSON"},
		{"kick", `{"target":"` + someNick + `"}}`, "something follows"},
		{"kick", `{"target":"` + someNick + `"} {}`, "something follows"},
		{"kick", `{"target":"` + someNick + `","target":"` + someNick + `"}`, `"target" is given more than once`},
		{"kick", `{"target":"` + someNick + `","x":"y"}`, `"x" is no member; allowed are target`},
		{"kick", `{"Target":"` + someNick + `"}`, `"Target" is no member; allowed are target`},
		{"kick", `{"target":7}`, "target must be a string"},
		{"kick", `{"target":null}`, "target must be a string"},
		{"kick", `{"target":{"nick":"x"}}`, "target must be a string"},
		{"kick", "{\"target\":\"J\xff\"}", "not JSON"},
		{"kick", `{"target":"nobody"}`, "target must be a nick, conn:HEX or circuit:NUMBER"},
		{"kick", `{"target":""}`, "target must be a nick"},
		{"kick", `{"` + strings.Repeat("x", 1000) + `":1}`, `xxxx"… is no member`},
		{"ban", `{"target":"conn:1","duration":"1 hour"}`, "duration must be a second or more, like 90m"},
		{"ban", `{"target":"conn:1","duration":"-1h"}`, "duration must be a second or more"},
		{"ban", `{"target":"conn:1","duration":"0"}`, "duration must be a second or more"},
		{"ban", `{"target":"conn:1","duration":3600}`, "duration must be a string"},
		{"ban", `{"target":"conn:1","durations":"1h"}`, "allowed are target, duration, reason"},
		{"ban", `{"target":"conn:1","reason":"` + strings.Repeat("x", server.MaxBanReason+1) + `"}`, "the reason has 201 bytes, at most 200"},
		{"ban", `{"target":"conn:1","reason":"schön"}`, "printable ASCII"},
		{"unban", `{"id":""}`, "id must be that of a ban"},
		{"unban", `{"id":"zz"}`, "id must be that of a ban"},
		{"drain", `{}`, "on is missing"},
		{"drain", `{"on":"true"}`, "on must be true or false"},
		{"drain", `{"on":1}`, "on must be true or false"},
		{"motd", `{"text":"` + strings.Repeat("x", wire.MaxMOTD+1) + `"}`, "at most"},
		{"motd", `{"text":"\u001b[31m"}`, "only printable ASCII"},
		{"log-level", `{"level":"trace"}`, "level must be one of debug, info, warn, error"},
	}
	for _, tt := range tests {
		src := &fakeSource{}
		w := ask(t, newServer(src), "POST", "/actions/"+tt.name, tt.body)
		var e Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != http.StatusBadRequest || !strings.Contains(e.Error, tt.want) {
			t.Errorf("%s %.60s: got %d %s, want 400 with %q", tt.name, tt.body, w.Code, w.Body, tt.want)
		}
		if calls := src.taken(); calls != nil {
			t.Errorf("%s %.60s: reached the source: %v", tt.name, tt.body, calls)
		}
	}
}

func TestErrorsOfTheSourceHaveTheirStatus(t *testing.T) {
	tests := []struct {
		name, body string
		ban        server.Ban
		err        error
		code       int
		want       string
	}{
		{"kick", `{"target":"conn:1"}`, server.Ban{}, server.ErrNobody, 404, "nobody here is that"},
		{"ban", `{"target":"conn:1"}`, server.Ban{}, fmt.Errorf("ban: %w", server.ErrNobody), 404, "nobody here is that"},
		{"ban", `{"target":"conn:1"}`, server.Ban{ID: "7", Kind: server.BanKey}, errors.New("disk full"), 200, `"warning":"disk full"`},
		{"unban", `{"id":"1"}`, server.Ban{}, server.ErrNoSuchBan, 404, "no such ban"},
		{"unban", `{"id":"1"}`, server.Ban{}, errors.New("disk full"), 200, `"warning":"disk full"`},
		{"motd", `{"text":""}`, server.Ban{}, errors.New("impossible"), 400, "impossible"},
		{"log-level", `{"level":"info"}`, server.Ban{}, errors.New("impossible"), 400, "impossible"},
	}
	for _, tt := range tests {
		w := ask(t, newServer(&fakeSource{err: tt.err, ban: tt.ban}), "POST", "/actions/"+tt.name, tt.body)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s, %v: got %d %s, want %d with %s", tt.name, tt.err, w.Code, w.Body, tt.code, tt.want)
		}
	}
}

func TestBansAreShownWithoutWhomTheyAreOf(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	src := &fakeSource{banned: []server.Ban{
		{ID: "1", Kind: server.BanNick, Subject: [32]byte{1, 2, 3}, Reason: "floods", Created: created, Expires: created.Add(time.Hour)},
		{ID: "2", Kind: server.BanCircuit, Created: created},
	}}
	want := `{"bans":[{"id":"1","kind":"nick","reason":"floods","created":"2026-01-02T03:04:05Z","expires":"2026-01-02T04:04:05Z"},` +
		`{"id":"2","kind":"circuit","reason":"","created":"2026-01-02T03:04:05Z"}]}` + "\n"
	if got := ask(t, newServer(src), "GET", "/bans", "").Body.String(); got != want {
		t.Errorf("got %s", got)
	}
	src.banned = nil
	if got := ask(t, newServer(src), "GET", "/bans", "").Body.String(); got != "{\"bans\":[]}\n" {
		t.Errorf("got %s", got)
	}
}

func TestActionsAreLoggedAndNameNobody(t *testing.T) {
	log, hook := logtest.NewNullLogger()
	s := New(&fakeSource{ban: server.Ban{ID: "1"}}, Options{}, log)
	bodies := map[string]string{
		"kick": `{"target":"` + someNick + `"}`, "ban": `{"target":"` + someNick + `","reason":"secret words"}`,
		"unban": `{"id":"1"}`, "drain": `{"on":true}`, "motd": `{"text":"secret words"}`, "log-level": `{"level":"error"}`,
	}
	if len(bodies) != len(s.actions()) {
		t.Fatalf("%d actions are tried of %d", len(bodies), len(s.actions()))
	}
	for name, body := range bodies {
		hook.Reset()
		if w := ask(t, s, "POST", "/actions/"+name, body); w.Code != http.StatusOK {
			t.Errorf("%s: %d", name, w.Code)
		}
		entries := hook.AllEntries()
		if len(entries) != 1 || entries[0].Level != logrus.InfoLevel || entries[0].Data["action"] != name {
			t.Errorf("%s is logged as %v", name, entries)
			continue
		}
		line, err := entries[0].String()
		if err != nil || strings.Contains(line, someNick) || strings.Contains(line, "secret") || strings.Contains(line, "fields.") {
			t.Errorf("%s: %v %s", name, err, line)
		}
	}
}

// FuzzAction holds that no request ends a handler or reaches the source with what it may not be given.
func FuzzAction(f *testing.F) {
	paths := make([]string, 0, 6)
	for name := range newServer(&fakeSource{}).actions() {
		paths = append(paths, name)
	}
	slices.Sort(paths)
	for i := range paths {
		for _, body := range []string{
			`{"target":"` + someNick + `","duration":"1h","reason":"x"}`, `{"target":"conn:1f"}`, `{"target":"circuit:26","duration":""}`,
			`{"id":"0badcafe"}`, `{"on":true}`, `{"text":"a\nb"}`, `{"level":"warn"}`, `{"a":{"b":[1]}}`, `{"on":true,"on":false}`, "", "\xff",
			`{"target":"conn:0"}`, `{"target":"circuit:x"}`, `{"target":"J5OOOOOOOOOOOOOO"}`, `{"id":"x"}`, `{"level":""}`, `{"text":"\u0001"}`,
			`{"target":"conn:1","reason":"\n"}`, `{"target":"conn:1","reason":"` + strings.Repeat("x", server.MaxBanReason+1) + `"}`,
			`{"text":"` + strings.Repeat("x", wire.MaxMOTD+1) + `"}`,
			`{"target":"conn:1","duration":"8760h","reason":" x "}`, `{"target":"conn:1","reason":null}`, `{"target":"conn:10000000000000001"}`,
			`{"level":"WARN"}`, `{"id":"` + strings.Repeat("0", 65) + `"}`, "{\"on\":true}\x00",
		} {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		name := paths[int(which)%len(paths)]
		src := &fakeSource{ban: server.Ban{ID: "1"}}
		w := ask(t, newServer(src), "POST", "/actions/"+name, string(body))
		calls := src.taken()
		switch w.Code {
		case http.StatusOK:
			if len(calls) != 1 {
				t.Fatalf("%s: done, with %d calls", name, len(calls))
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			if len(calls) != 0 {
				t.Fatalf("%s: refused, with %d calls", name, len(calls))
			}
			var e Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" || len(e.Error) > 300 {
				t.Fatalf("%s: %v: answer %q", name, err, w.Body)
			}
			return
		default:
			t.Fatalf("%s: %d", name, w.Code)
		}
		// A second opinion on what was asked for: exactly that was done.
		var asked map[string]any
		if err := json.Unmarshal(body, &asked); err != nil {
			t.Fatalf("%s: %q was done: %v", name, body, err)
		}
		ok := true
		text := func(member string) string { // "" if it is not there
			value, given := asked[member]
			s, is := value.(string)
			ok = ok && is == given
			delete(asked, member)
			return s
		}
		c := calls[0]
		want := call{action: name}
		switch name {
		case "ban":
			if d := text("duration"); d != "" {
				var err error
				want.duration, err = time.ParseDuration(d)
				ok = ok && err == nil && want.duration >= time.Second
			}
			want.text = text("reason")
			ok = ok && server.CheckBanReason(want.text) == nil
			fallthrough
		case "kick":
			want.target = c.target
			ok = namesTarget(text("target"), want.target) && ok
		case "unban":
			want.text = text("id")
			ok = ok && regexp.MustCompile(`^[0-9a-f]{1,64}\z`).MatchString(want.text)
		case "drain":
			want.on, ok = asked["on"].(bool)
			delete(asked, "on")
		case "motd":
			_, given := asked["text"]
			want.text = text("text")
			ok = ok && given && wire.CheckMOTD(want.text) == nil
		case "log-level":
			want.text = text("level")
			ok = ok && slices.Contains(LogLevels, want.text)
		}
		if !ok || len(asked) > 0 || c != want {
			t.Fatalf("%s: %q became %+v, want %+v; %v beside that", name, body, c, want, asked)
		}
	})
}

// namesTarget says whether text is that target.
func namesTarget(text string, t server.Target) bool {
	number := regexp.MustCompile(`^(?:conn:0*([0-9a-fA-F]+)|circuit:0*([0-9]+))\z`)
	m := number.FindStringSubmatch(text)
	switch {
	case m == nil:
		return wire.ValidNick(text) && t == server.Target{Nick: text}
	case m[1] != "":
		return strconv.FormatUint(t.Conn, 16) == strings.ToLower(m[1]) && t == server.Target{Conn: t.Conn}
	default:
		return strconv.FormatUint(t.Circuit, 10) == m[2] && t == server.Target{Circuit: t.Circuit}
	}
}
