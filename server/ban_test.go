package server

import (
	"errors"
	"runtime"
	"strings"
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

func TestBanKeepsOutWhoIsInItsProof(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		first := joinProvenMem(t, s, owner, wire.Location{})
		second, challenge, handshake := challengeMem(t, s, owner, wire.Location{})
		if _, err := s.Ban(Target{Nick: owner.nick}, time.Hour, "floods"); err != nil {
			t.Fatal(err)
		}
		first.wantEnded(s, EvictedBanned)
		second.send(wire.NickProof, owner.proof(t, challenge, handshake))
		wantUnproven(t, second, s, wire.ProofPolicy, RefusedBanned)
	})
}

// TestBanKeepsOutWhoWaitsForItsOwnOldConnection guards that the end of the old one, by the ban, does not let the new one in.
func TestBanKeepsOutWhoWaitsForItsOwnOldConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		old := joinMem(t, s, testNick(1), testLocation(1), wire.FeaturePing)
		time.Sleep(time.Minute)
		p := connectMem(t, s, 1<<20)
		p.hello(testNick(1), testLocation(1), wire.FeaturePing)
		p.wantLines() // the old one is being asked for a sign of life
		if _, err := s.Ban(Target{Nick: testNick(1)}, 0, "floods"); err != nil {
			t.Fatal(err)
		}
		old.wantEnded(s, EvictedBanned)
		time.Sleep(conflictPoll)
		wantRefused(t, p, s, RefusedBanned, "Rejected: banned: floods")
	})
}

// TestBanHitsWhoJoinsAtTheSameMoment has the ban come when the newcomer has been let through, and is not to be found yet.
func TestBanHitsWhoJoinsAtTheSameMoment(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		nick := testNick(1)
		s.registry.mu.RLock()
		p := connectMem(t, s, 1<<20)
		p.hello(nick, wire.Location{})
		for s.registry.mu.TryRLock() { // until the newcomer waits for the lock
			s.registry.mu.RUnlock()
			runtime.Gosched()
		}
		if _, err := s.bans.put(Ban{Kind: BanNick, Subject: s.bans.subject(nick), Created: time.Now()}); err != nil {
			t.Error(err)
		}
		s.registry.mu.RUnlock()
		p.wantEnded(s, EvictedBanned)
		if s.registry.get(nick) != nil {
			t.Error("it is here")
		}
	})
}

// TestBanThatWasNotKeptIsLiftedWithoutAWarning guards that nobody looks for a ban that comes back with a restart where none can.
func TestBanThatWasNotKeptIsLiftedWithoutAWarning(t *testing.T) {
	s := newServer(t, nil)
	j := &testJournal{bans: map[string]Ban{}, err: errors.New("disk full")}
	s.UseBans([32]byte{1}, nil, j)
	b, err := s.Ban(Target{Nick: testNick(1)}, 0, "")
	if err == nil {
		t.Fatal("it was kept on a full disk")
	}
	j.err = nil
	if err := s.Unban(b.ID); err != nil {
		t.Errorf("the ban was not kept: %v", err)
	}
	if _, err = s.Ban(Target{Nick: testNick(1)}, 0, ""); err != nil {
		t.Fatal(err)
	}
	j.err = errors.New("disk full")
	if err := s.Unban(s.Bans()[0].ID); err == nil || !strings.Contains(err.Error(), "comes back") {
		t.Errorf("the ban was kept, and is still: %v", err)
	}
}
