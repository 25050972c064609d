package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jm-directory-server/cmd/terminal/helptest"
)

// plainServer builds the server without Tor.
func plainServer(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the server")
	}
	binary := filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", binary, "jm-directory-server/cmd/jm-directory-server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// briefly are attacks of each kind that take no time beside their own; the others are for make attack.
const briefly = "nick-hijack-proof,proof-flood,forged-departure,injected-names,forged-sender,orderbook-circuits,public-one,peerlist,garbage,non-ascii,half-open-circuits,churn"

// TestHonestPeersNoticeNothingOfAttacks runs some attacks, each of them for a moment.
func TestHonestPeersNoticeNothingOfAttacks(t *testing.T) {
	document := filepath.Join(t.TempDir(), "d.md")
	if err := os.WriteFile(document, []byte("before\n<!-- make attack -->\nold\n<!-- end of make attack -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	code := execute(t.Context(), []string{"--server", plainServer(t), "--quick", "--duration", "300ms", "--only", briefly, "--document", document}, &out, &stderr)
	if code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, &out, &stderr)
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split(briefly, ",") {
		if !strings.Contains(string(b), "\n| `"+name+"` | ") {
			t.Errorf("%s is not in the document", name)
		}
	}
	if !bytes.HasPrefix(b, []byte("before\n")) || !bytes.HasSuffix(b, []byte("\nafter\n")) || bytes.Contains(b, []byte("old")) {
		t.Errorf("the document is\n%s", b)
	}
}

// TestHarmIsSeen guards the yardstick: without the limits, attacks do harm, and that is told.
func TestHarmIsSeen(t *testing.T) {
	server := plainServer(t)
	wrapper := filepath.Join(t.TempDir(), "unlimited")
	script := "#!/bin/sh\ncase $1 in run) shift; exec " + server + " run --unlimited \"$@\";; *) exec " + server + " \"$@\";; esac\n"
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	code := execute(t.Context(), []string{"--server", wrapper, "--quick", "--duration", "2s", "--only", "private-victim"}, &out, &stderr)
	if code != exitFailed || !regexp.MustCompile(`HURT: \d+ messages? lost; 1 honest peer ended`).Match(out.Bytes()) {
		t.Errorf("exit code %d, want %d and the harm\n%s%s", code, exitFailed, &out, &stderr)
	}
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", "needs --server"},
		{"--server x y", "needs --server"},
		{"--server x --only none,nothing", `there is no attack "nothing"`},
		{"--server x --duration 1h", "--duration must be"},
		{"--server x --circuits 5000", "--circuits must be"},
	} {
		var out, stderr bytes.Buffer
		if code := execute(t.Context(), strings.Fields(tt.args), &out, &stderr); code != exitUsage || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: exit code %d, %s", tt.args, code, &stderr)
		}
	}
}

func TestVerdictCountsInWords(t *testing.T) {
	r := &row{}
	r.lost, r.ended = 1, 1
	r.wrong = map[string]int{"forged departure": 1}
	r.arrivals.refusals = map[string]int{"full": 1}
	r.judge(nil)
	if want := "1 message lost; 1 honest peer ended; 1 time a forged departure; 1 newcomer: full"; r.hurt != want {
		t.Errorf("judged %q, want %q", r.hurt, want)
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	var out, errs bytes.Buffer
	execute(t.Context(), []string{"--help"}, &out, &errs)
	helptest.Lines(t, out.String()+errs.String())
}
