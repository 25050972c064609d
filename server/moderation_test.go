package server

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// A testJournal is a store of bans that can be made to fail.
type testJournal struct {
	bans map[string]Ban
	err  error
}

func (j *testJournal) PutBan(b Ban) error {
	if j.err == nil {
		j.bans[b.ID] = b
	}
	return j.err
}

func (j *testJournal) DeleteBan(id string) error {
	if _, ok := j.bans[id]; !ok && j.err == nil {
		return ErrNoSuchBan
	}
	if j.err == nil {
		delete(j.bans, id)
	}
	return j.err
}

func TestBannedNickIsEndedToldWhyAndKeptOutUntilTheBanIsOver(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		p := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		b, err := s.Ban(Target{Nick: testNick(1)}, time.Hour, "floods")
		if err != nil || b.Kind != BanNick {
			t.Fatalf("ban: %+v, %v", b, err)
		}
		p.wantEnded(s, EvictedBanned)
		again := connectMem(t, s, 1<<20)
		again.hello(testNick(1), testLocation(1))
		wantRefused(t, again, s, RefusedBanned, "Rejected: banned until "+b.Expires.Format("2006-01-02 15:04")+" UTC: floods")
		other.wantConnected()
		time.Sleep(time.Hour + s.opt().SweepInterval)
		if n := s.bans.n.Load(); n != 0 {
			t.Errorf("%d bans are remembered after their time", n)
		}
		joinMem(t, s, testNick(1), testLocation(1))
		if bans := s.Bans(); len(bans) != 0 {
			t.Errorf("bans that are over are listed: %v", bans)
		}
	})
}

func TestBanIsLiftedByItsID(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		b, err := s.Ban(Target{Nick: testNick(1)}, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		p := connectMem(t, s, 1<<20)
		p.hello(testNick(1), wire.Location{})
		wantRefused(t, p, s, RefusedBanned, `"Rejected: banned"`)
		if err := s.Unban("00000000"); !errors.Is(err, ErrNoSuchBan) {
			t.Errorf("unban of an id that is none: %v", err)
		}
		if err := s.Unban(b.ID); err != nil {
			t.Fatal(err)
		}
		joinMem(t, s, testNick(1), wire.Location{})
	})
}

func TestUnprovenBanDoesNotKeepOutAnOwnerWhoProves(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		if b, err := s.Ban(Target{Nick: owner.nick}, 0, ""); err != nil || b.Kind != BanNick {
			t.Fatalf("%+v, %v", b, err)
		}
		p := connectMem(t, s, 1<<20)
		p.hello(owner.nick, wire.Location{})
		wantRefused(t, p, s, RefusedBanned, "banned")
		proven := joinProvenMem(t, s, owner, wire.Location{})

		// What a proven owner does is its own doing: its ban holds whether it proves again or not.
		if b, err := s.Ban(Target{Nick: owner.nick}, 0, ""); err != nil || b.Kind != BanKey {
			t.Fatalf("%+v, %v", b, err)
		}
		proven.wantEnded(s, EvictedBanned)
		for _, features := range [][]string{nil, {wire.FeatureNickAuth}} {
			again := connectMem(t, s, 1<<20)
			again.hello(owner.nick, wire.Location{}, features...)
			wantRefused(t, again, s, RefusedBanned, "banned")
		}
	})
}

func TestBansOutliveARestartAndHoldNoNick(t *testing.T) {
	secret := [32]byte{1, 2, 3}
	journal := &testJournal{bans: map[string]Ban{}}
	first := newServer(t, nil)
	first.UseBans(secret, nil, journal)
	kept, err := first.Ban(Target{Nick: testNick(1)}, 0, "kept")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Ban(Target{Circuit: 7}, 0, ""); err != nil {
		t.Fatal(err)
	}
	if len(journal.bans) != 1 {
		t.Fatalf("the journal has %d bans, want only that of the nick: circuits end with Tor", len(journal.bans))
	}
	if strings.Contains(string(kept.Subject[:]), testNick(1)[2:6]) {
		t.Error("the subject shows the nick")
	}
	var bans []Ban
	for _, b := range journal.bans {
		bans = append(bans, b)
	}
	bans = append(bans, Ban{ID: "old", Kind: BanNick, Subject: [32]byte{9}, Expires: time.Now().Add(-time.Second)})
	second := newServer(t, nil)
	second.UseBans(secret, bans, journal)
	if b, banned := second.bans.nick(testNick(1), false); !banned || b.ID != kept.ID {
		t.Error("the ban is forgotten")
	}
	if got := second.Bans(); len(got) != 1 {
		t.Errorf("%d bans are in force, want 1: %v", len(got), got)
	}
	third := newServer(t, nil)
	third.UseBans([32]byte{4}, bans, journal)
	if _, banned := third.bans.nick(testNick(1), false); banned {
		t.Error("the subject does not depend on the secret")
	}
}

// TestSubjectIsHMACSHA256 pins the function: another one would make all bans that were kept void. The value is that of another
// implementation.
func TestSubjectIsHMACSHA256(t *testing.T) {
	l := &banList{}
	for i := range l.secret {
		l.secret[i] = byte(i)
	}
	subject := l.subject("J5Ckon1LuuapPSBM")
	if got := hex.EncodeToString(subject[:]); got != "5717baf5bdc4b9cee736a6659bbe168c181c4ed51b1f24f30ab053028bdcb5b7" {
		t.Error(got)
	}
}

func TestBanIsInForceAlsoWhenItCannotBeKept(t *testing.T) {
	s := newServer(t, nil)
	s.UseBans([32]byte{1}, nil, &testJournal{err: errors.New("disk full")})
	if _, err := s.Ban(Target{Nick: testNick(1)}, 0, ""); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v, want the journal's error", err)
	}
	if _, banned := s.bans.nick(testNick(1), false); !banned {
		t.Error("the ban is not in force")
	}
}

func TestBannedCircuitIsClosedUnheard(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		if _, err := s.Ban(Target{Circuit: 26}, 0, ""); err != nil {
			t.Fatal(err)
		}
		p := connectOnCircuit(t, s, 26)
		p.wantEnded(s, EvictedBanned)
		free := connectOnCircuit(t, s, 27)
		free.wantConnected()
	})
}

// testCircuit is a connection of Tor as far as the server asks.
type testCircuit uint64

func (c testCircuit) CircuitID() (uint64, bool) { return uint64(c), true }

// connectOnCircuit is connectMem for a connection that came on a circuit.
func connectOnCircuit(t *testing.T, s *Server, id uint64) *memPeer {
	p := &memPeer{t: t, m: newMemTransport(1 << 20)}
	p.c = s.newConn(p.m, testCircuit(id))
	s.start(p.c)
	return p
}

func TestBanWithAnImpossibleReasonOrDurationIsRefused(t *testing.T) {
	s := newServer(t, nil)
	for _, c := range []struct {
		d      time.Duration
		reason string
	}{{-1, ""}, {0, "two\nlines"}, {0, strings.Repeat("x", MaxBanReason+1)}, {0, "ä"}} {
		if _, err := s.Ban(Target{Nick: testNick(1)}, c.d, c.reason); err == nil {
			t.Errorf("a ban for %v with reason %q is taken", c.d, c.reason)
		}
	}
	if n := len(s.Bans()); n != 0 {
		t.Errorf("%d bans are in force", n)
	}
}

func TestKickEndsWhomItNames(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		byNick := joinMem(t, s, testNick(1), testLocation(1))
		byConn := joinMem(t, s, testNick(2), testLocation(2))
		onCircuit := connectOnCircuit(t, s, 5)
		stays := joinMem(t, s, testNick(3), testLocation(3))
		for _, target := range []Target{{Nick: testNick(1)}, {Conn: byConn.c.id}, {Circuit: 5}} {
			if n, err := s.Kick(target); n != 1 || err != nil {
				t.Errorf("kick of %+v: %d, %v", target, n, err)
			}
		}
		for _, p := range []*memPeer{byNick, byConn, onCircuit} {
			p.wantEnded(s, EvictedKicked)
		}
		stays.wantConnected()
		if _, err := s.Kick(Target{Nick: testNick(9)}); !errors.Is(err, ErrNobody) {
			t.Errorf("kick of nobody: %v", err)
		}
		time.Sleep(s.opt().DepartureDelay)
		joinMem(t, s, testNick(1), testLocation(1)) // a kick is no ban
	})
}

func TestDrainingRefusesNewcomersAndServesWhoIsHere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		a, b := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), wire.Location{})
		s.SetDraining(true)
		p := connectMem(t, s, 1<<20)
		p.hello(testNick(3), wire.Location{})
		wantRefused(t, p, s, RefusedDraining, "about to stop")
		a.send(wire.Privmsg, a.nick+"!"+b.nick+"!fill 0")
		b.wantLines(rawMessage{wire.Privmsg, a.nick + "!" + b.nick + "!fill 0"})
		s.SetDraining(false)
		joinMem(t, s, testNick(3), wire.Location{})
	})
}

func TestMOTDIsForThoseWhoComeAndIsChecked(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		if err := s.SetMOTD("back at noon"); err != nil {
			t.Fatal(err)
		}
		p := connectMem(t, s, 1<<20)
		p.hello(testNick(1), wire.Location{})
		if got := p.lines(); len(got) != 1 || !strings.Contains(got[0].Line, "back at noon") {
			t.Errorf("got %v", got)
		}
		if err := s.SetMOTD("\x1b[2J"); err == nil {
			t.Error("a motd that steers terminals is taken")
		}
	})
}

func TestParseTargetTakesOnlyWhatNamesSomebody(t *testing.T) {
	for text, want := range map[string]Target{
		testNick(1):    {Nick: testNick(1)},
		"conn:1f":      {Conn: 31},
		"circuit:26":   {Circuit: 26},
		"":             {},
		"conn:":        {},
		"conn:0":       {},
		"conn:xyz":     {},
		"circuit:26.0": {},
		// Above 64 bits is no other number.
		"conn:1000000000000001f":       {},
		"circuit:18446744073709551642": {},
		"circuit:-1":                   {},
		"circuit:1f":                   {},
		"J5short":                      {},
		"circuit:26 ;":                 {},
	} {
		got, err := ParseTarget(text)
		if got != want || (err == nil) != (want != Target{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// TestBanGoesByTheClockOfTheWall: one set back keeps it in force, one set on ends it, and neither makes it last for ever.
func TestBanGoesByTheClockOfTheWall(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ban := Ban{Expires: now.Add(30 * time.Minute)}
	for step, over := range map[time.Duration]bool{-time.Hour: false, 0: false, time.Hour: true} {
		if ban.expired(now.Add(step)) != over {
			t.Errorf("clock set by %v: over %v, want %v", step, !over, over)
		}
	}
	if (&Ban{}).expired(now.AddDate(1000, 0, 0)) {
		t.Error("a ban for ever is over")
	}
}

// TestWhoIsEndedWhileHeldSaysNothingMore: who floods is held back most of the time, and what was read of it by then must not go out
// after the operator has ended it.
func TestWhoIsEndedWhileHeldSaysNothingMore(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"rate":   func(o *Options) { o.Rates.Public, o.Rates.Private = Rate{0.3, 1}, Rate{0.3, 1} },
		"bytes":  func(o *Options) { o.Rates.Bytes = Rate{8 << 10, minByteBurst} },
		"budget": func(o *Options) { o.Deliveries = Rate{0.3, 1} },
	} {
		for _, typ := range []wire.Type{wire.Pubmsg, wire.Privmsg} {
			if name == "budget" && typ == wire.Privmsg {
				continue // they have none
			}
			t.Run(name+"/"+typ.String(), func(t *testing.T) {
				inBubble(t, change, func(t *testing.T, s *Server) {
					flooder := joinMem(t, s, testNick(1), wire.Location{})
					other := joinMem(t, s, testNick(2), wire.Location{})
					to := wire.Public
					if typ == wire.Privmsg {
						to = other.nick
					}
					for range 3 {
						flooder.send(typ, flooder.nick+"!"+to+"!"+strings.Repeat("9", 30_000))
					}
					synctest.Wait()
					if !flooder.c.held.Load() {
						t.Fatal("it is not held back")
					}
					other.lines()
					if _, err := s.Ban(Target{Nick: flooder.nick}, time.Hour, ""); err != nil {
						t.Fatal(err)
					}
					time.Sleep(s.opt().Patience + 2*s.opt().DepartureDelay)
					other.wantLines(rawMessage{wire.Peerlist, flooder.nick + ";" + wire.Location{}.String() + ";D"})
				})
			})
		}
	}
}

// TestWhoIsEndedWhileHeldIsGoneAtOnce: the nick is free, and the others hear of it, not only after the wait.
func TestWhoIsEndedWhileHeldIsGoneAtOnce(t *testing.T) {
	inBubble(t, func(o *Options) { o.Deliveries = Rate{1, 1} }, func(t *testing.T, s *Server) {
		flooder := joinMem(t, s, testNick(1), testLocation(1))
		other := joinMem(t, s, testNick(2), wire.Location{})
		s.budgets[scarceDeliveries].take(new(flow), 1000, 1)
		flooder.send(wire.Pubmsg, flooder.nick+"!PUBLIC!hello")
		synctest.Wait()
		if n, err := s.Kick(Target{Conn: flooder.c.id}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n := s.Status().Peers; n != 1 {
			t.Errorf("%d peers are left", n)
		}
		time.Sleep(s.opt().DepartureDelay)
		other.wantLines(rawMessage{wire.Peerlist, flooder.nick + ";" + testLocation(1).String() + ";D"})
		again := joinMem(t, s, flooder.nick, testLocation(1))
		time.Sleep(2 * s.opt().Patience) // the former connection's reader ends
		again.wantConnected()
		if p := s.registry.get(again.nick); p == nil || p.conn != again.c {
			t.Error("the end of the former connection has taken the nick from its next owner")
		}
		other.wantLines()
	})
}
