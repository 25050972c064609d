package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"jm-directory-server/onion"
)

// TestEveryOptionOfTheOnionServiceCanBeSet guards that no exported field of onion.Config is forgotten.
func TestEveryOptionOfTheOnionServiceCanBeSet(t *testing.T) {
	c := DefaultConfig()
	c.StateDir, c.RuntimeDir, c.Log.Format = "/s", "/r", "json"
	c.Tor.Path, c.Tor.Control, c.Tor.ControlPassword, c.Tor.Ephemeral, c.Tor.Torrc = "/tor", "unix:/c", "p", true, []string{"A 1"}
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, credentialName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	v := reflect.ValueOf(c.onion(nil, func(onion.Progress) {}))
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && v.Field(i).IsZero() {
			t.Errorf("nothing sets onion.Config.%s", f.Name)
		}
	}
}

func TestTorsNoticesAreForDebugging(t *testing.T) {
	for _, tt := range []struct{ level, want string }{
		{"err", "level=error"}, {"warn", "level=warning"}, {"notice", ""}, {"info", ""},
	} {
		var b bytes.Buffer
		log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &b, false, true)
		if err != nil {
			t.Fatal(err)
		}
		logTor(log, tt.level, "words")
		if tt.want == "" && b.Len() > 0 || !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s: got %q", tt.level, b.String())
		}
	}
}

func TestWhatAdviceSaysIsNotRepeatedForEveryConnection(t *testing.T) {
	var b bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &b, false, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []string{
		"Problem bootstrapping. Stuck at 14% (handshake): Handshaking with a relay. (DONE; DONE; count 11; recommendation warn; host X at 192.0.2.1:9001)",
		"11 connections have failed:",
		" 11 connections died in state handshaking (Tor, v3 handshake) with SSL state SSL negotiation finished successfully in CLOSED",
	} {
		logTor(log, "warn", msg)
	}
	if b.Len() > 0 {
		t.Errorf("got %q", b.String())
	}
}
