package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.etcd.io/bbolt"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
	"jm-directory-server/store"
)

// TestUnbanOfABanThatTheStoreDoesNotHaveIsNoFailure has a ban in force that the disk did not take.
func TestUnbanOfABanThatTheStoreDoesNotHaveIsNoFailure(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	a := openArchive(t.TempDir(), log)
	defer a.close()
	s, err := server.New(server.DefaultOptions(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	a.useBans(s)
	b, err := s.Ban(server.Target{Nick: "J511111111111111"}, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.store.DeleteBan(b.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Unban(b.ID); err != nil {
		t.Error(err)
	}
}

// TestSampleThatIsGivenUpIsAFailedWrite guards that a disk that hangs is seen in numbers, and logged once until it answers.
func TestSampleThatIsGivenUpIsAFailedWrite(t *testing.T) {
	log, hook := logtest.NewNullLogger()
	a := openArchive(t.TempDir(), log)
	defer a.close()
	a.lose()
	a.lose()
	if h := a.health(); h.Failed != 2 || len(hook.Entries) != 1 {
		t.Errorf("%d failed writes, %d lines in the log; want 2 and 1", h.Failed, len(hook.Entries))
	}
	a.keep(admin.Sample{Start: time.Now().UTC().Truncate(samplePeriod), Span: samplePeriod})
	if h := a.health(); h.Failed != 2 || hook.LastEntry().Message != "the store takes samples again" {
		t.Errorf("%d failed writes, logged last %q", h.Failed, hook.LastEntry().Message)
	}
}

// TestDamagedStoreIsInTheStatus guards that the operator hears of bans that are gone elsewhere than in the log, and is not
// told so where they are kept.
func TestDamagedStoreIsInTheStatus(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	dir := t.TempDir()
	open := func() admin.Report {
		t.Helper()
		a := openArchive(dir, log)
		defer a.close()
		return admin.Report{Store: a.health()}
	}
	if r := open(); r.Store.Damage != "" || len(advice(&r)) != 0 {
		t.Errorf("a new one: %+v", r.Store)
	}
	path := filepath.Join(dir, store.FileName)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("minutes")).Put([]byte("x"), []byte("y")) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r := open()
	if got := strings.Join(advice(&r), "\n"); !r.Store.OK || !strings.Contains(got, "bans are kept; what was there is in "+store.FileName+".corrupt-") {
		t.Errorf("a damaged history: %q, %+v", got, r.Store)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = open()
	if got := strings.Join(advice(&r), "\n"); !r.Store.OK || !strings.Contains(got, "bans and history begin anew; what was there is in ") {
		t.Errorf("a damaged store: %q, %+v", got, r.Store)
	}
	if r := open(); r.Store.Damage != "" {
		t.Errorf("the start after that: %+v", r.Store)
	}
}
