package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jm-directory-server/store"
)

// shown are the lines of the screen of a stopped server.
func shown(k *lastKnown, now time.Time) string {
	return strings.Join(layout{width: 79}.lines(k.rows(now)), "\n")
}

func TestStoppedServerShowsItsLastDay(t *testing.T) {
	dir := t.TempDir()
	if _, err := readLastKnown(dir, time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a store: %v", err)
	}
	path := filepath.Join(dir, store.FileName)
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Minute)
	for i := range 30 { // thirty minutes, an hour ago, and one the day before
		m := store.Sample{Start: now.Add(time.Duration(i-90) * time.Minute), Up: time.Minute, Ready: 54 * time.Second, Peers: 100, PeersMax: 150 + i}
		if i == 0 {
			m.Start, m.Peers, m.PeersMax = now.Add(-25*time.Hour), 9000, 9000
		}
		if i == 29 {
			m.Peers, m.Up = 400, 30*time.Second
		}
		if err := s.Append(m); err != nil {
			t.Fatal(err)
		}
	}
	for i, ends := range []time.Time{{}, now.Add(time.Hour), now.Add(-time.Hour)} {
		ban := store.Ban{ID: string(rune('a' + i)), Kind: store.BanNick, Created: now.Add(-2 * time.Hour), Expires: ends}
		if err := s.PutBan(ban); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readLastKnown(dir, now); !errors.Is(err, store.ErrInUse) {
		t.Errorf("while a server has it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k, err := readLastKnown(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	// 28.5 minutes of 1440, of which 54 seconds in 60 reachable; (28 * 100 + 0.5 * 400) / 28.5 peers.
	want := "jm-directory-server  stopped  last up " + now.Add(-61*time.Minute).Local().Format("2006-01-02 15:04") + ", 1h 1m ago\n" +
		"\nLast day  up 2.0 %  reachable 1.8 %  peers 105 on average, 179 at most\nStore     bans in force 2"
	if got := shown(k, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	k, err = readLastKnown(dir, now.Add(72*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(k, now.Add(72*time.Hour)); !strings.Contains(got, ", 3d 1h ago\n") || !strings.Contains(got, "Last day  not up\n") {
		t.Errorf("days later:\n%s", got)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, %v", err)
	}
}

func TestStoppedServerThatNeverRan(t *testing.T) {
	if got := shown(&lastKnown{ServerStatus: statusStopped}, time.Now()); !strings.Contains(got, "stopped  the store knows of no run\n") {
		t.Error(got)
	}
}

func TestSharesAreNotRoundedUpToAll(t *testing.T) {
	for share, want := range map[float64]string{1: "100 %", 0.9999: "99 %", 0.5: "50 %", 0.0955: "9.6 %", 0.0001: "below 0.1 %", 0: "0.0 %"} {
		if got := percent(share); got != want {
			t.Errorf("%v: %q, want %q", share, got, want)
		}
	}
}
