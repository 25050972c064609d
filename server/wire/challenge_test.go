package wire

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire/vectors"
)

const (
	someNonce = "ac32f650fe3528143e1d45d7f584ccb92fa144e3983c691f0b55a5196fa0bb52"
	someID    = "pv7ueb6r56ug6kl7itr6sks54pjn6oh2skfwtukjbc7cczushihlq7qd.onion:5222"
)

func TestDirectoryIDGrammar(t *testing.T) {
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9.:_-]*\z`)
	for _, id := range []string{"", "a", "0", "test:1", someID, "A", "a b", "-a", ".a", ":a", "_a", "a.", "a|b", "a\n", "é", "[::1]:5222", "a;b", "a,b", "a!b"} {
		if got, want := ValidDirectoryID(id), form.MatchString(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
	for n, want := range map[int]bool{MaxDirectoryID: true, MaxDirectoryID + 1: false} {
		if got := ValidDirectoryID(strings.Repeat("a", n)); got != want {
			t.Errorf("%d bytes: %v, want %v", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		if got, want := ValidDirectoryID(id), len(id) <= MaxDirectoryID && form.MatchString(id); got != want {
			t.Fatalf("%q: %v, want %v", id, got, want)
		}
	})
}

func TestChallengesAreFreshAndParseBackToTheSame(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		c := NewChallenge(someID)
		got, err := ParseChallenge(c.AppendLine(nil))
		if err != nil || got != c {
			t.Fatalf("%+v comes back as %+v, %v", c, got, err)
		}
		if seen[c.Nonce] {
			t.Fatal("the same challenge twice")
		}
		seen[c.Nonce] = true
	}
}

func TestChallengeIsParsedStrictly(t *testing.T) {
	good := string(Challenge{someNonce, someID}.AppendLine(nil))
	for _, c := range []struct {
		old, new string
		want     error // beside ErrChallenge; nil: none
	}{
		{`{`, `[`, ErrMember},
		{`}`, ``, ErrSyntax},
		{`}`, `}x`, ErrSyntax},
		{`}`, `,"more":1}`, ErrMember},
		{`}`, `,"challenge":"x"}`, ErrDuplicate},
		{`"challenge":"` + someNonce + `",`, ``, ErrMember},
		{`"` + someID + `"`, `5`, nil},
		{`"` + someID + `"`, `["` + someID + `"]`, ErrMember},
		{someID, strings.ToUpper(someID), nil},
		{someID, ``, nil},
		{someNonce, strings.ToUpper(someNonce), nil},
		{someNonce, someNonce[1:], nil},
		{someNonce, someNonce + "0", nil},
		{someNonce, "\xff", ErrUTF8},
		{`challenge`, `Challenge`, ErrMember},
	} {
		line := strings.Replace(good, c.old, c.new, 1)
		got, err := ParseChallenge([]byte(line))
		if line == good || !errors.Is(err, ErrChallenge) || c.want != nil && !errors.Is(err, c.want) || got != (Challenge{}) {
			t.Errorf("%s: %+v, %v, want %v", line, got, err, c.want)
		}
	}
	blanks := strings.NewReplacer(`:`, ` : `, `{`, "{\t", `}`, "\r\n }").Replace(`{"challenge":"` + someNonce + `","directory-id":"test"}`)
	if got, err := ParseChallenge([]byte(blanks)); err != nil || got != (Challenge{someNonce, "test"}) {
		t.Errorf("blanks: %+v, %v", got, err)
	}
}

func TestProofResultsAreParsedStrictly(t *testing.T) {
	for _, code := range []ProofCode{ProofOK, ProofMalformed, ProofExpired, ProofInvalid, ProofPolicy} {
		line := code.AppendLine(nil)
		if got, err := ParseProofResult(line); err != nil || got != code {
			t.Errorf("%s: %q, %v", line, got, err)
		}
		lie := strings.NewReplacer("true", "false", "false", "true").Replace(string(line))
		for _, bad := range []string{lie, lie[1:], strings.Replace(string(line), string(code), "OK", 1), string(line) + "{}",
			strings.Replace(string(line), `"verified"`, `"code"`, 1), strings.Replace(string(line), `,`, `,"x":0,`, 1),
			strings.NewReplacer("true", `"true"`, "false", "0").Replace(string(line))} {
			if got, err := ParseProofResult([]byte(bad)); !errors.Is(err, ErrProofResult) || got != "" {
				t.Errorf("%s: %q, %v", bad, got, err)
			}
		}
	}
}

func FuzzChallenge(f *testing.F) {
	for _, r := range vectors.Load[ownership](f, "nick_auth.jsonl") {
		f.Add(r.line(f, r.ChallengeBytes))
	}
	f.Add(Challenge{someNonce, ""}.AppendLine(nil))
	f.Add(Challenge{strings.ToUpper(someNonce), someID}.AppendLine(nil))
	f.Add([]byte(`{"challenge":"","directory-id":1}`))
	f.Add([]byte(`{"challenge":"","challenge":""}`))
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9.:_-]*\z`)
	nonce := regexp.MustCompile(`^[0-9a-f]{64}\z`)
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := ParseChallenge(line)
		members, oracleErr := oracleObject(line)
		c, okNonce := oracleValue[string](members["challenge"])
		id, okID := oracleValue[string](members["directory-id"])
		want := oracleErr == nil && len(members) == 2 && okNonce && okID &&
			nonce.MatchString(c) && len(id) <= MaxDirectoryID && form.MatchString(id)
		if want != (err == nil) || err != nil && !errors.Is(err, ErrChallenge) {
			t.Fatalf("%q: %v, second opinion %v", line, err, want)
		}
		if err == nil && got != (Challenge{c, id}) {
			t.Fatalf("%q: %+v", line, got)
		}
	})
}

func FuzzProofResult(f *testing.F) {
	for _, r := range vectors.Load[ownership](f, "nick_auth.jsonl") {
		f.Add(r.line(f, r.ResultBytes))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := ParseProofResult(line)
		members, oracleErr := oracleObject(line)
		code, okCode := oracleValue[string](members["code"])
		verified, okVerified := oracleValue[bool](members["verified"])
		known := slices.Contains([]string{"ok", "malformed", "expired", "invalid", "policy"}, code)
		want := oracleErr == nil && len(members) == 2 && okCode && known && okVerified && verified == (code == "ok")
		if want != (err == nil) || err != nil && !errors.Is(err, ErrProofResult) || want && string(got) != code {
			t.Fatalf("%q: %q, %v, second opinion %v", line, got, err, want)
		}
	})
}
