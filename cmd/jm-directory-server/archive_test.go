package main

import (
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"jm-directory-server/server"
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
