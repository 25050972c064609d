package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// built returns the executables that the demo needs, and skips the test without them, unless JM_REQUIRE_TOR
// says that they must be there.
func built(t *testing.T) (server, tor string) {
	t.Helper()
	server, tor = os.Getenv("JM_TEST_BINARY"), os.Getenv("JM_TEST_TOR")
	for _, path := range []string{server, tor} {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if os.Getenv("JM_REQUIRE_TOR") == "1" {
			t.Fatalf("JM_TEST_BINARY=%q and JM_TEST_TOR=%q must name executables", server, tor)
		}
		t.Skip("needs JM_TEST_BINARY and JM_TEST_TOR")
	}
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	return server, tor
}

func TestDemoThatRunsOutOfTimeBlamesTheMachine(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	var out bytes.Buffer
	o := options{server: standIn(t, untilStopped), tor: standIn(t, untilStopped)}
	if err := show(ctx, o, newReport(&out)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if want := "failed: not done after 3m0s: this machine is too slow or too busy now"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

// TestDemoShowsTheWholeStory runs the demo as "make demo" does.
func TestDemoShowsTheWholeStory(t *testing.T) {
	server, tor := built(t)
	temp, err := os.MkdirTemp("", "d") // short: sockets lie below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	t.Setenv("TMPDIR", temp)
	var out, errs bytes.Buffer
	if code := execute([]string{"--server", server, "--tor", tor}, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	rest := out.String()
	for _, step := range []string{
		"directory is up: ",
		"handshake: J5",
		"accepted, by J5",
		"motd: " + motd,
		"motd: jm-directory-server version: ",
		"maker 1 → all " + offer1, "reached maker 2 and taker",
		"maker 2 → all " + offer2, "reached maker 1 and taker",
		"taker → all orderbook",
		"maker 1 → taker " + offer1, "maker 1 serves at",
		"maker 2 → taker " + offer2, "maker 2 serves at",
		"taker → maker 1 fill 0 20000000 ",
		"maker 1 → taker pubkey ",
		"taker → directory getpeerlist",
		"directory → maker 2 pong",
		"maker 2 is gone",
		"exit code 0",
		"done: ",
	} {
		flat := strings.Join(strings.Fields(rest), " ")
		_, after, found := strings.Cut(flat, step)
		if !found {
			t.Fatalf("no %q, or not in its place, in\n%s", step, out.String())
		}
		rest = after
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
