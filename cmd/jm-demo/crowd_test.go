package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCrowdComesAndTheDirectoryEndsInOrder runs a small crowd for a short time.
func TestCrowdComesAndTheDirectoryEndsInOrder(t *testing.T) {
	server, tor := built(t)
	temp, err := os.MkdirTemp("", "d") // short: sockets lie below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	t.Setenv("TMPDIR", temp)
	var out, errs bytes.Buffer
	if code := execute([]string{"--server", server, "--tor", tor, "--crowd", "6s", "--peers", "3", "-v"}, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	if !regexp.MustCompile(`msg=stopped .*handshakes=[1-9]`).MatchString(out.String()) || !strings.Contains(out.String(), "stops on SIGTERM, exit code 0") {
		t.Errorf("nobody came, or it did not end in order:\n%s", out.String())
	}
}
