package server

import (
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

func TestBanOfAKeyThatIsExtendedStaysOne(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		journal := &testJournal{bans: map[string]Ban{}}
		s.UseBans([32]byte{1}, nil, journal)
		owner := testProver(1)
		p := joinProvenMem(t, s, owner, wire.Location{})
		first, err := s.Ban(Target{Nick: owner.nick}, time.Hour, "floods")
		if err != nil {
			t.Fatal(err)
		}
		p.wantEnded(s, EvictedBanned)
		b, err := s.Ban(Target{Nick: owner.nick}, 0, "for ever") // its owner is away now
		if err != nil || b.Kind != BanKey || b.ID != first.ID || journal.bans[b.ID] != b {
			t.Errorf("extended: %+v, %v; kept: %+v", b, err, journal.bans)
		}
		again := connectMem(t, s, 1<<20)
		again.hello(owner.nick, wire.Location{}, wire.FeatureNickAuth)
		wantRefused(t, again, s, RefusedBanned, "for ever")

		// One that is over says nothing about who comes with the nick later.
		if _, err := s.Ban(Target{Nick: owner.nick}, time.Second, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if b, err := s.Ban(Target{Nick: owner.nick}, 0, ""); err != nil || b.Kind != BanNick {
			t.Errorf("after its end: %+v, %v", b, err)
		}
	})
}
