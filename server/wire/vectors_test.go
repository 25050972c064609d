package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"jm-directory-server/server/wire/vectors"
)

// counted fails the test unless every record of the file was looked at, and there are as many as when this was
// written: a vector that is lost, or new and unseen, is noticed.
func counted(t *testing.T, file string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d records checked, want %d", file, got, want)
	}
}

// envelopeOf takes a record apart that holds exactly one legal line.
func envelopeOf(t testing.TB, r vectors.Record) (Type, []byte) {
	t.Helper()
	raw := r.Wire(t)
	line, n, err := CutLine(raw, 0)
	if err != nil || n != len(raw) {
		t.Fatalf("CutLine took %d of %d bytes, error %v", n, len(raw), err)
	}
	var p Parser
	env, err := p.Parse(line)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return env.Type, bytes.Clone(env.Line)
}

func TestVectorsEnvelopes(t *testing.T) {
	type record struct {
		vectors.Record
		Expect string  `json:"expect"`
		Type   uint32  `json:"type"`
		Line   *string `json:"line"`
	}
	var p Parser // one for all: what one line leaves behind must not show in the next
	n := 0
	for _, r := range vectors.Load[record](t, "envelopes.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			raw := r.Wire(t)
			line, used, err := CutLine(raw, 0)
			var env Envelope
			if err == nil {
				if used != len(raw) {
					t.Fatalf("CutLine took %d of %d bytes", used, len(raw))
				}
				env, err = p.Parse(line)
			}
			switch r.Expect {
			case "accept":
				if err != nil {
					t.Fatalf("refused: %v; %s", err, r.Reason)
				}
				if env.Type != Type(r.Type) {
					t.Errorf("type %d, want %d", env.Type, r.Type)
				}
				want := strings.Repeat("a", 39978) // the one record that does not spell its line out
				if r.Line != nil {
					want = *r.Line
				} else if r.Make == nil {
					t.Fatal("record has no line")
				}
				if string(env.Line) != want {
					t.Errorf("line %.60q, want %.60q", env.Line, want)
				}
			case "reject":
				if !errors.Is(err, ErrEnvelope) && !errors.Is(err, ErrTooLong) {
					t.Errorf("error %v, want a refusal; %s", err, r.Reason)
				}
			default:
				t.Fatalf("unknown expectation %q", r.Expect)
			}
		})
	}
	counted(t, "envelopes.jsonl", n, 41)
}

func TestVectorsHandshakes(t *testing.T) {
	type record struct {
		vectors.Record
		Network  string   `json:"network"`
		Expect   string   `json:"expect"`
		Role     string   `json:"role"`
		Features []string `json:"advertised_features"`
		Reply    string   `json:"reply"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "handshakes.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			rules := HandshakeRules{Networks: []string{r.Network}}
			h, outcome := Handshake{}, ""
			line, _, err := CutLine(r.Wire(t), 0)
			var env Envelope
			if err == nil {
				var p Parser
				env, err = p.Parse(line)
			}
			if err == nil && env.Type != ClientHandshake {
				err = ErrUndecodable
			}
			if err == nil {
				h, err = ParseHandshake(env.Line, rules)
			}
			var refusal *RefusalError
			switch {
			case err == nil:
				outcome = "accept"
			case errors.As(err, &refusal):
				outcome = "dn-handshake accepted=false"
				if refusal.Reason == "" || refusal.Text == "" || CheckMOTD(refusal.MOTD()) != nil {
					t.Errorf("refusal %q with motd %q", refusal.Reason, refusal.MOTD())
				}
			default:
				outcome = "close"
			}
			want := r.Expect
			if r.Expect == "reject" {
				want = r.Reply
			}
			if outcome != want {
				t.Fatalf("%s (%v), want %s; %s", outcome, err, want, r.Reason)
			}
			if err != nil {
				return
			}
			role := "not-serving"
			if h.Location.Serving() {
				role = "serving"
			}
			if role != r.Role || !slices.Equal(h.Features, r.Features) {
				t.Errorf("%s with %q, want %s with %q", role, h.Features, r.Role, r.Features)
			}
			if h.Network != r.Network || !ValidNick(h.Nick) {
				t.Errorf("network %q, nick %q", h.Network, h.Nick)
			}
		})
	}
	counted(t, "handshakes.jsonl", n, 54)
}

func TestVectorsDirectoryHandshakes(t *testing.T) {
	type record struct {
		vectors.Record
		Reference string `json:"reference_client"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "dn_handshakes.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			code, line := envelopeOf(t, r.Record)
			if code != DirectoryHandshake {
				t.Fatalf("type %v", code)
			}
			d, err := ParseDirectoryHello(line)
			outcome := "handshaked"
			switch {
			case errors.Is(err, ErrHelloSyntax), err == nil && d.Network != "mainnet":
				outcome = "ignored, stays unhandshaked"
			case errors.Is(err, ErrHelloMismatch), err == nil && !d.Accepted:
				outcome = "disconnects"
			case err != nil:
				t.Fatal(err)
			}
			if outcome != r.Reference {
				t.Errorf("%s (%v), want %s; %s", outcome, err, r.Reference, r.Reason)
			}
			if r.Name == "canonical" {
				if got := string(d.AppendLine(nil)); got != string(line) {
					t.Errorf("our form\n %s\nwant\n %s", got, line)
				}
			}
		})
	}
	counted(t, "dn_handshakes.jsonl", n, 16)
}

func TestVectorsPeerlists(t *testing.T) {
	type entry struct {
		Nick         string   `json:"nick"`
		Location     string   `json:"location"`
		Disconnected bool     `json:"disconnected"`
		Features     []string `json:"features"`
	}
	type record struct {
		vectors.Record
		Entries   []entry `json:"entries"`
		Reference string  `json:"reference_client"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "peerlists.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			code, line := envelopeOf(t, r.Record)
			if code != Peerlist {
				t.Fatalf("type %v", code)
			}
			got := ParsePeerlist(line)
			if len(got) != len(r.Entries) {
				t.Fatalf("%d entries, want %d", len(got), len(r.Entries))
			}
			var legacy, rich [][]byte
			for i, want := range r.Entries {
				e := got[i]
				if e.Nick != want.Nick || e.Location.String() != want.Location || e.Gone != want.Disconnected ||
					!slices.Equal(e.Features, want.Features) {
					t.Errorf("entry %d: %+v, want %+v", i, e, want)
				}
				legacy = append(legacy, AppendEntry(nil, e, false))
				rich = append(rich, AppendEntry(nil, e, true))
			}
			// What we would send for the same peers is the same line, wherever every receiver understands it.
			ours := bytes.Join(rich, []byte(","))
			switch r.Name {
			case "leave-features", "unknown-field", "trailing-comma", "no-separator":
				if len(line) > 0 && bytes.Equal(ours, line) {
					t.Errorf("we would send %q", line)
				}
			default:
				if !bytes.Equal(ours, line) {
					t.Errorf("we would send %q, want %q", ours, line)
				}
			}
			if plain := bytes.Join(legacy, []byte(",")); bytes.Contains(plain, []byte(";F:")) {
				t.Errorf("features for a client that cannot read them: %q", plain)
			}
		})
	}
	counted(t, "peerlists.jsonl", n, 14)
}

// The lines that make an existing client drop the directory and that no function of this package can emit. The two others
// are those types that the server must not choose: 801, and 799 but as an answer; and messages, which are checked by
// SplitMessage before they are forwarded.
func TestVectorsReferenceClientReactions(t *testing.T) {
	type record struct {
		vectors.Record
		Reference string `json:"reference_client"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "reference_client_reactions.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			raw := r.Wire(t)
			var p Parser
			line, used, err := CutLine(raw, 0)
			var env Envelope
			if err == nil {
				env, err = p.Parse(line)
			}
			switch r.Name {
			case "line-40001":
				if !errors.Is(err, ErrTooLong) {
					t.Errorf("in: %v, want ErrTooLong", err)
				}
				if _, err := AppendEnvelope(nil, Pubmsg, bytes.Repeat([]byte("a"), r.Make.Count)); !errors.Is(err, ErrTooLong) {
					t.Errorf("out: %v, want ErrTooLong", err)
				}
			case "lf-only":
				if err != nil {
					t.Fatalf("in: %v", err)
				}
				out, err := AppendEnvelope(nil, env.Type, env.Line)
				if err != nil || !bytes.HasSuffix(out, []byte("}\r\n")) || used != len(line)+1 {
					t.Errorf("out: %q, %v: want CRLF whatever came in", out, err)
				}
			case "empty-line", "not-json":
				if !errors.Is(err, ErrEnvelope) {
					t.Errorf("in: %v, want ErrEnvelope", err)
				}
			case "pubmsg-without-prefix", "pubmsg-empty":
				if _, err := SplitMessage(env.Line); !errors.Is(err, ErrNoSeparators) {
					t.Errorf("SplitMessage: %v, want ErrNoSeparators", err)
				}
			case "pong", "disconnect":
				if err != nil || env.Type != Pong && env.Type != Disconnect {
					t.Errorf("%v, %v", env.Type, err)
				}
			default:
				if r.Reference != "stays" {
					t.Fatalf("a reaction that this test does not know: %s", r.Reference)
				}
				out, err := AppendEnvelope(nil, env.Type, env.Line)
				if err != nil || len(out) > len(raw) {
					t.Errorf("out: %q, %v", out, err)
				}
			}
		})
	}
	counted(t, "reference_client_reactions.jsonl", n, 14)
}

func TestVectorsMessages(t *testing.T) {
	type record struct {
		vectors.Record
		Sender string `json:"sender"`
		Expect string `json:"expect"`
		To     string `json:"to"`
		Order  *struct {
			Type string `json:"type"`
		} `json:"order"`
	}
	n, offers := 0, 0
	for _, r := range vectors.Load[record](t, "messages.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			code, line := envelopeOf(t, r.Record)
			if out, err := AppendEnvelope(nil, code, line); err != nil || len(out) > len(r.Wire(t)) {
				t.Errorf("our encoding has %d bytes of %d, error %v", len(out), len(r.Wire(t)), err)
			}
			if code != Pubmsg && code != Privmsg {
				if r.Expect == "broadcast" || r.Expect == "relay" {
					t.Errorf("%v is expected to be forwarded", code)
				}
				return
			}
			m, err := SplitMessage(line)
			switch r.Expect {
			case "broadcast":
				if err != nil || string(m.From) != r.Sender || string(m.To) != Public {
					t.Errorf("%q to %q, error %v", m.From, m.To, err)
				}
			case "relay":
				if err != nil || string(m.From) != r.Sender || string(m.To) != r.To || !ValidNick(m.To) {
					t.Errorf("%q to %q, error %v", m.From, m.To, err)
				}
			case "consume":
				if err != nil || !ValidNick(m.To) {
					t.Errorf("to %q, error %v", m.To, err)
				}
			case "drop":
				// Refused here, or for a reason that the router sees: spoofed, wrong addressee, unknown or own nick.
				routed := err != nil || string(m.From) != r.Sender || string(m.To) == r.Sender ||
					(string(m.To) == Public) != (code == Pubmsg) || r.Name == "priv-unknown-target"
				if !routed {
					t.Errorf("nothing is wrong with %q", line)
				}
			default:
				t.Fatalf("unknown expectation %q", r.Expect)
			}
			if r.Order != nil {
				offers++
				if !AnnouncesOffer(m.Body) {
					t.Errorf("%s is not seen as an offer", r.Order.Type)
				}
			}
		})
	}
	counted(t, "messages.jsonl", n, 38)
	if offers != 2 {
		t.Errorf("%d offers among the messages, want 2", offers)
	}
}

func TestVectorsNicks(t *testing.T) {
	type record struct {
		vectors.Record
		Kind   string `json:"kind"`
		PubKey string `json:"pubkey"`
		Nick   string `json:"nick"`
		Valid  bool   `json:"valid"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "nicks.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			valid := r.Valid
			switch r.Kind {
			case "derive":
				key, err := hex.DecodeString(r.PubKey)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := NickFromPubKey(key); err != nil || got != r.Nick {
					t.Errorf("%q, %v, want %q", got, err, r.Nick)
				}
				valid = true
			case "format":
			default:
				t.Fatalf("unknown kind %q", r.Kind)
			}
			if ValidNick(r.Nick) != valid || ValidNick([]byte(r.Nick)) != valid {
				t.Errorf("ValidNick(%q) = %v, want %v; %s", r.Nick, !valid, valid, r.Reason)
			}
		})
	}
	counted(t, "nicks.jsonl", n, 25)
}

func TestVectorsOnions(t *testing.T) {
	type record struct {
		vectors.Record
		Host      string `json:"host"`
		Valid     bool   `json:"valid"`
		Canonical string `json:"canonical"`
		PubKey    string `json:"pubkey"`
		Checksum  string `json:"checksum"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "onions.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			want := r.Canonical
			if r.Valid && want == "" {
				want = r.Host
			}
			got, err := ParseOnion(r.Host)
			if got != want || r.Valid != (err == nil) || err != nil && !errors.Is(err, ErrOnion) {
				t.Errorf("%q, %v, want %q; %s", got, err, want, r.Reason)
			}
			if r.PubKey != "" {
				key, err := hex.DecodeString(r.PubKey)
				if err != nil || len(key) != 32 {
					t.Fatalf("pubkey: %v", err)
				}
				if sum := onionChecksum([32]byte(key)); hex.EncodeToString(sum[:]) != r.Checksum {
					t.Errorf("checksum %x, want %s", sum, r.Checksum)
				}
			}
		})
	}
	counted(t, "onions.jsonl", n, 21)
}

func TestVectorsLocations(t *testing.T) {
	type record struct {
		vectors.Record
		Location  *string `json:"location"`
		Expect    string  `json:"expect"`
		Canonical string  `json:"canonical"`
	}
	n := 0
	for _, r := range vectors.Load[record](t, "locations.jsonl") {
		n++
		t.Run(r.Name, func(t *testing.T) {
			var l Location
			var err error
			if r.Location != nil {
				l, err = ParseLocation(*r.Location, false)
			} else {
				// null occurs as a member of a handshake only.
				h := Handshake{Nick: "J5AV9EuXzUNHRiJL", Network: "mainnet"}
				line := strings.Replace(string(h.AppendLine(nil)), `"`+NotServing+`"`, "null", 1)
				if !strings.Contains(line, "null") {
					t.Fatal(line)
				}
				h, err = ParseHandshake([]byte(line), HandshakeRules{Networks: []string{"mainnet"}})
				l = h.Location
			}
			outcome := "not-serving"
			switch {
			case errors.Is(err, ErrLocation):
				outcome = "reject"
			case err != nil:
				t.Fatal(err)
			case l.Serving():
				outcome = "serving"
			}
			if outcome != r.Expect || err == nil && l.String() != r.Canonical {
				t.Errorf("%s %q (%v), want %s %q; %s", outcome, l, err, r.Expect, r.Canonical, r.Reason)
			}
		})
	}
	counted(t, "locations.jsonl", n, 20)
}
