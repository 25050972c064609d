package server

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

func TestBanWhoseTimeIsChangedKeepsItsReason(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		journal := &testJournal{bans: map[string]Ban{}}
		s.UseBans([32]byte{1}, nil, journal)
		for _, target := range []Target{{Nick: testNick(1)}, {Circuit: 7}} {
			for _, step := range []struct {
				d            time.Duration
				reason, want string
			}{{time.Hour, "floods", "floods"}, {0, "", "floods"}, {0, "spam", "spam"}, {time.Second, "", "spam"}} {
				b, err := s.Ban(target, step.d, step.reason)
				if err != nil || b.Reason != step.want || b.Kind == BanNick && journal.bans[b.ID] != b {
					t.Errorf("%+v: %+v, %v; kept %+v", step, b, err, journal.bans)
				}
			}
			time.Sleep(time.Second)
			if b, err := s.Ban(target, 0, ""); err != nil || b.Reason != "" {
				t.Errorf("a new one after its end: %+v, %v", b, err)
			}
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
		s.bans.put(Ban{Kind: BanNick, Subject: s.bans.subject(nick), Created: time.Now()})
		s.registry.mu.RUnlock()
		p.wantEnded(s, EvictedBanned)
		if s.registry.get(nick) != nil {
			t.Error("it is here")
		}
	})
}

// TestBanGoesByWhoHasTheNickWhenItIsMade has the nick proven while the ban is being made: whoever is ended for the ban is kept out by it.
func TestBanGoesByWhoHasTheNickWhenItIsMade(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		p, challenge, handshake := challengeMem(t, s, owner, wire.Location{})
		s.bans.mu.Lock()
		var b Ban
		var err error
		made := make(chan struct{})
		go func() {
			defer close(made)
			b, err = s.Ban(Target{Nick: owner.nick}, time.Hour, "floods")
		}()
		for range 1000 { // until it waits for the lock
			runtime.Gosched()
		}
		p.send(wire.NickProof, owner.proof(t, challenge, handshake))
		for s.registry.peers.Load() == 0 && s.registry.mu.TryRLock() { // until the newcomer is here, or waits for the ban
			s.registry.mu.RUnlock()
			runtime.Gosched()
		}
		s.bans.mu.Unlock()
		<-made
		synctest.Wait()
		if err != nil || p.m.isClosed() && b.Kind != BanKey {
			t.Errorf("a proven owner was ended for %+v, %v", b, err)
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

// A stuckJournal is one whose disk hangs until release is closed, and then works.
type stuckJournal struct {
	release chan struct{}
	testJournal
}

func (j *stuckJournal) PutBan(b Ban) error {
	<-j.release
	return j.testJournal.PutBan(b)
}

func (j *stuckJournal) DeleteBan(id string) error {
	<-j.release
	return j.testJournal.DeleteBan(id)
}

// TestBanWhileTheDiskHangsHoldsUpNobody guards that only who makes a ban waits for the disk, and that it is in force before.
func TestBanWhileTheDiskHangsHoldsUpNobody(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		j := &stuckJournal{make(chan struct{}), testJournal{bans: map[string]Ban{}}}
		s.UseBans([32]byte{1}, nil, j)
		p := joinMem(t, s, testNick(1), wire.Location{})
		made := make(chan error, 1)
		go func() {
			_, err := s.Ban(Target{Nick: testNick(1)}, 0, "")
			made <- err
		}()
		p.wantEnded(s, EvictedBanned)
		joinMem(t, s, testNick(2), wire.Location{})
		s.endCircuit(7)
		connectOnCircuit(t, s, 7).wantEnded(s, EvictedBanned)
		time.Sleep(2 * s.opt().SweepInterval)
		if n := len(s.Bans()); n != 2 {
			t.Errorf("%d bans are in force, want 2", n)
		}
		select {
		case err := <-made:
			t.Errorf("the ban was said to be kept: %v", err)
		default:
		}
		close(j.release)
		if err := <-made; err != nil || len(j.bans) != 1 {
			t.Errorf("%v, kept %v", err, j.bans)
		}
	})
}

// TestJournalEndsWithWhatIsInForce has a disk that hangs, and bans that are made, extended and taken back meanwhile.
func TestJournalEndsWithWhatIsInForce(t *testing.T) {
	s := newServer(t, nil)
	j := &stuckJournal{make(chan struct{}), testJournal{bans: map[string]Ban{}}}
	s.UseBans([32]byte{1}, nil, j)
	var calls sync.WaitGroup
	wait := func(n int, reason string) (id string) { // until n bans are in force, the last with that reason
		for {
			for _, b := range s.Bans() {
				if b.Reason == reason && len(s.Bans()) == n {
					return b.ID
				}
			}
			runtime.Gosched()
		}
	}
	ban := func(i, n int, reason string) string {
		calls.Go(func() {
			if _, err := s.Ban(Target{Nick: testNick(i)}, 0, reason); err != nil {
				t.Error(err)
			}
		})
		return wait(n, reason)
	}
	for i := range 20 {
		ban(i, i+1, "first "+strconv.Itoa(i))
	}
	for i := range 20 {
		id := ban(i, 20, "extended "+strconv.Itoa(i))
		if i%2 == 0 {
			continue
		}
		calls.Go(func() {
			if err := s.Unban(id); err != nil {
				t.Error(err)
			}
		})
		for len(s.Bans()) != 19 {
			runtime.Gosched()
		}
		ban(i, 20, "again "+strconv.Itoa(i))
	}
	close(j.release)
	calls.Wait()
	if len(j.bans) != 20 {
		t.Errorf("%d are kept", len(j.bans))
	}
	for _, b := range s.Bans() {
		if j.bans[b.ID] != b {
			t.Errorf("in force %+v, kept %+v", b, j.bans[b.ID])
		}
	}
}
