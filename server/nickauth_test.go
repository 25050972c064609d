package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
	"jm-directory-server/server/wire/vectors"
)

func TestPeerIsUnknownUntilItsNickIsProven(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		other := joinMem(t, s, testNick(1), wire.Location{})
		owner := testProver(1)
		p, challenge, handshake := challengeMem(t, s, owner, testLocation(1), wire.FeaturePing)
		time.Sleep(time.Second)
		other.send(wire.Pubmsg, other.nick+"!PUBLIC!orderbook")
		other.send(wire.Privmsg, other.nick+"!"+p.nick+"!fill 0")
		other.send(wire.GetPeerlist, "")
		other.wantLines(rawMessage{wire.Peerlist, ""})
		p.wantLines() // nothing comes between challenge and result (protocol.md 5.2)
		if st := s.Status(); st.Peers != 1 || st.Verified != 0 || st.Handshaking != 1 {
			t.Errorf("before the proof: %+v", st)
		}
		p.send(wire.NickProof, owner.proof(t, challenge, handshake))
		p.wantLines(resultLine(wire.ProofOK))
		other.wantLines() // joining is quiet
		line := rawMessage{wire.Privmsg, other.nick + "!" + p.nick + "!fill 0"}
		other.send(line.Type, line.Line)
		p.wantLines(line)
		if st := s.Status(); st.Peers != 2 || st.Verified != 1 || st.Handshaking != 0 || st.Handshakes != 2 {
			t.Errorf("after the proof: %+v", st)
		}
		if q := s.registry.get(p.nick); !q.verified || q.key != owner.pubKey() {
			t.Error("the proven key is not kept")
		}
		time.Sleep(2 * s.opt().ProofTimeout)
		p.wantConnected()
		p.m.closeClient()
		time.Sleep(2 * s.opt().DepartureDelay)
		other.wantLines(rawMessage{wire.Peerlist, entryOf(p.nick, testLocation(1)) + ";D"})
		if st := s.Status(); st.Verified != 0 {
			t.Errorf("after the leave: %+v", st)
		}
	})
}

func TestWhatFollowsTheProofInOneSegmentIsHandled(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		other := joinMem(t, s, testNick(1), wire.Location{})
		owner := testProver(1)
		p, challenge, handshake := challengeMem(t, s, owner, wire.Location{})
		b, _ := wire.AppendEnvelope(nil, wire.NickProof, []byte(owner.proof(t, challenge, handshake)))
		line := rawMessage{wire.Pubmsg, p.nick + "!PUBLIC!orderbook"}
		b, _ = wire.AppendEnvelope(b, line.Type, []byte(line.Line))
		b, _ = wire.AppendEnvelope(b, wire.Ping, nil)
		p.m.Write(b)
		p.wantLines(resultLine(wire.ProofOK), rawMessage{wire.Pong, ""})
		other.wantLines(line)
	})
}

func TestProofIsAskedForIfBothSidesAnnounceIt(t *testing.T) {
	owner := testProver(1)
	with := owner.handshake(wire.Location{})
	for _, c := range []struct {
		name      string
		change    func(*Options)
		handshake string
		announced bool
		asked     bool
	}{
		{"both", proving, with, true, true},
		{"id from the location", func(o *Options) { o.Location = testLocation(9) }, with, true, true},
		{"client does not", proving, handshakeOf(owner.nick, wire.Location{}), true, false},
		{"client says so in a string", proving, strings.Replace(with, `_auth": true`, `_auth": "true"`, 1), true, false},
		{"client says 1", proving, strings.Replace(with, `_auth": true`, `_auth": 1`, 1), true, false},
		{"no id", func(*Options) {}, with, false, false},
		{"disabled", func(o *Options) { proving(o); o.NickAuth = NickAuthDisabled }, with, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, c.change, func(t *testing.T, s *Server) {
				p := connectMem(t, s, 1<<20)
				p.send(wire.ClientHandshake, c.handshake)
				got := p.lines()
				if len(got) == 0 || !accepted(t, got[0]) || announces(got[0]) != c.announced || (len(got) == 2) != c.asked {
					t.Fatalf("got %v, want announced %v, challenge %v", got, c.announced, c.asked)
				}
				if (s.registry.get(owner.nick) == nil) != c.asked {
					t.Error("registered, and asked for a proof all the same; or neither")
				}
				if own := string(s.ownEntry(true)); s.location.Load() != nil && strings.Contains(own, wire.FeatureNickAuth) != c.announced {
					t.Errorf("own entry is %q", own)
				}
			})
		})
	}
}

func TestFaultsOfAProofHaveTheirCodeAndReason(t *testing.T) {
	owner, other := testProver(1), testProver(2)
	for _, c := range []struct {
		name   string
		line   func(t *testing.T, challenge, handshake string) string // with its delimiter; "": none
		code   wire.ProofCode
		reason Reason
	}{
		{"another type", func(t *testing.T, ch, hs string) string {
			return envelope(t, wire.Pubmsg, owner.proof(t, ch, hs))
		}, wire.ProofMalformed, RefusedProofMalformed},
		{"a ping", func(t *testing.T, _, _ string) string { return envelope(t, wire.Ping, "") }, wire.ProofMalformed, RefusedProofMalformed},
		{"no envelope", func(*testing.T, string, string) string { return "garbage\r\n" }, wire.ProofMalformed, RefusedProofMalformed},
		{"duplicate in the envelope", func(t *testing.T, ch, hs string) string {
			return strings.Replace(envelope(t, wire.NickProof, owner.proof(t, ch, hs)), `{`, `{"x":1,"x":1,`, 1)
		}, wire.ProofMalformed, RefusedProofMalformed},
		{"no payload", func(t *testing.T, _, _ string) string { return envelope(t, wire.NickProof, "{}") }, wire.ProofMalformed, RefusedProofMalformed},
		{"too long", func(t *testing.T, ch, hs string) string {
			return strings.Replace(envelope(t, wire.NickProof, owner.proof(t, ch, hs)), `{`, `{`+strings.Repeat(" ", wire.MaxLine), 1)
		}, wire.ProofMalformed, RefusedProofMalformed},
		{"another key", func(t *testing.T, ch, hs string) string {
			return envelope(t, wire.NickProof, other.proof(t, ch, hs))
		}, wire.ProofInvalid, RefusedProofInvalid},
		{"another handshake", func(t *testing.T, ch, hs string) string {
			return envelope(t, wire.NickProof, owner.proof(t, ch, hs+" "))
		}, wire.ProofInvalid, RefusedProofInvalid},
		{"another challenge", func(t *testing.T, _, hs string) string {
			return envelope(t, wire.NickProof, owner.proof(t, string(wire.NewChallenge(testID).AppendLine(nil)), hs))
		}, wire.ProofInvalid, RefusedProofInvalid},
		{"another directory", func(t *testing.T, ch, hs string) string {
			return envelope(t, wire.NickProof, owner.proof(t, strings.Replace(ch, testID, testID+"2", 1), hs))
		}, wire.ProofInvalid, RefusedProofInvalid},
		{"nothing", nil, wire.ProofExpired, RefusedProofExpired},
		{"half of it", func(t *testing.T, ch, hs string) string {
			return envelope(t, wire.NickProof, owner.proof(t, ch, hs))[:100]
		}, wire.ProofExpired, RefusedProofExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, proving, func(t *testing.T, s *Server) {
				p, challenge, handshake := challengeMem(t, s, owner, testLocation(1))
				if c.line != nil {
					p.m.Write([]byte(c.line(t, challenge, handshake)))
				}
				if c.code == wire.ProofExpired {
					time.Sleep(s.opt().ProofTimeout - time.Millisecond)
					p.wantLines()
					time.Sleep(2 * time.Millisecond)
				}
				p.send(wire.NickProof, owner.proof(t, challenge, handshake)) // there is one attempt only
				wantUnproven(t, p, s, c.code, c.reason)
				time.Sleep(2 * lingerTimeout)
				if st := s.Status(); st.Peers != 0 || st.Handshaking != 0 || st.Reasons[c.reason] != 1 || len(st.Reasons) != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func envelope(t *testing.T, typ wire.Type, line string) string {
	t.Helper()
	b, err := wire.AppendEnvelope(nil, typ, []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExchangeEndsWhenTheConnectionDoes(t *testing.T) {
	owner := testProver(1)
	for _, c := range []struct {
		name   string
		do     func(s *Server, p *memPeer)
		reason Reason
	}{
		{"client leaves", func(_ *Server, p *memPeer) { p.m.closeClient() }, ClosedByPeer},
		{"pool is full", func(_ *Server, p *memPeer) { connectMem(p.t, p.c.s, 1<<20) }, EvictedPool},
		{"server stops", func(s *Server, _ *memPeer) { s.Shutdown(context.Background()) }, EvictedShutdown},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(o *Options) { proving(o); o.MaxHandshakes = 1 }, func(t *testing.T, s *Server) {
				p, _, _ := challengeMem(t, s, owner, testLocation(1))
				c.do(s, p)
				time.Sleep(2 * lingerTimeout)
				p.wantEnded(s, c.reason)
				p.wantLines() // and no result
			})
		})
	}
}

func TestProofsOutsideOfTheExchangeClose(t *testing.T) {
	for _, typ := range []wire.Type{wire.NickChallenge, wire.NickProof, wire.NickResult} {
		inBubble(t, proving, func(t *testing.T, s *Server) {
			p := joinMem(t, s, testNick(1), wire.Location{})
			proven := joinProvenMem(t, s, testProver(1), wire.Location{})
			early := connectMem(t, s, 1<<20)
			for _, q := range []*memPeer{p, proven, early} {
				q.send(typ, "{}")
				q.wantLines()
			}
			p.wantEnded(s, ClosedProof)
			proven.wantEnded(s, ClosedProof)
			time.Sleep(2 * lingerTimeout)
			early.wantEnded(s, RefusedNotHandshake)
		})
	}
}

// TestOwnershipTable is protocol.md 7.3, row by row.
func TestOwnershipTable(t *testing.T) {
	const takesOver = ReasonNone
	owner := testProver(1)
	for _, c := range []struct {
		name      string
		incumbent string
		newcomer  bool // proves
		silent    bool // the incumbent has long shown no life, and does not
		want      Reason
		code      wire.ProofCode // of a refused newcomer that proves
	}{
		{"unproven, nobody", "", false, false, takesOver, ""},
		{"unproven, unproven", "unproven", false, false, RefusedNickInUse, ""},
		{"unproven, unproven and dead", "unproven", false, true, takesOver, ""},
		{"unproven, proven", "proven", false, false, RefusedNickInUse, ""},
		{"unproven, proven and dead", "proven", false, true, RefusedNickInUse, ""},
		{"proven, nobody", "", true, false, takesOver, ""},
		{"proven, unproven", "unproven", true, false, takesOver, ""},
		{"proven, unproven and dead", "unproven", true, true, takesOver, ""},
		{"proven, proven with the same key", "proven", true, false, takesOver, ""},
		{"proven, proven with the same key and dead", "proven", true, true, takesOver, ""},
		{"proven, proven with another key", "other key", true, false, RefusedProofPolicy, wire.ProofPolicy},
		{"proven, proven with another key and dead", "other key", true, true, RefusedProofPolicy, wire.ProofPolicy},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, proving, func(t *testing.T, s *Server) {
				var old *memPeer
				switch c.incumbent {
				case "unproven":
					old = joinMem(t, s, owner.nick, testLocation(1), wire.FeaturePing)
				case "proven", "other key":
					old = joinProvenMem(t, s, owner, testLocation(1), wire.FeaturePing)
				}
				if c.incumbent == "other key" { // two keys of one nick cannot be found, so we say that it was another
					s.registry.mu.Lock()
					old.c.peer.key[0] ^= 1
					s.registry.mu.Unlock()
				}
				if c.silent {
					time.Sleep(s.opt().PingIdle / 2)
				}
				// An owner is asked for life only when an unproven newcomer asks for its unproven nick.
				probed := c.incumbent == "unproven" && !c.newcomer && c.silent
				var p *memPeer
				if c.newcomer {
					p = proveMem(t, s, owner, testLocation(2))
				} else {
					p = connectMem(t, s, 1<<20)
					p.hello(owner.nick, testLocation(2))
				}
				synctest.Wait()
				if probed {
					time.Sleep(s.opt().ConflictTimeout + time.Second)
					old.wantLines(rawMessage{wire.Ping, ""})
				} else if old != nil {
					old.wantLines()
				}
				owns := s.registry.get(owner.nick)
				switch {
				case c.want == takesOver && c.newcomer:
					p.wantLines(resultLine(wire.ProofOK))
				case c.want == takesOver:
					if got := p.lines(); len(got) != 1 || !accepted(t, got[0]) {
						t.Fatalf("got %v", got)
					}
				case c.newcomer:
					wantUnproven(t, p, s, c.code, c.want)
				default:
					wantRefused(t, p, s, c.want, "nick in use")
				}
				if c.want == takesOver {
					p.wantConnected()
					if owns.conn != p.c || owns.verified != c.newcomer {
						t.Error("the newcomer does not own the nick")
					}
					if old != nil {
						old.wantEnded(s, EvictedDisplaced)
					}
				} else {
					old.wantConnected()
					if owns.conn != old.c {
						t.Error("the owner has lost its nick")
					}
				}
				if err := s.consistent(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The registry itself holds the rule, whatever a connection believes that it may displace.
func TestRegistryNeverGivesAProvenNickToAnUnprovenNewcomer(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		old := joinProvenMem(t, s, owner, wire.Location{})
		c := s.newConn(newMemTransport(0), nil)
		c.peer = newPeer(c, wire.Handshake{Nick: owner.nick})
		last, err := newFrame(wire.DirectoryHandshake, nil, s.now())
		if err != nil {
			t.Fatal(err)
		}
		defer last.release()
		incumbent, reason := s.registry.join(c.peer, last, silence{of: old.c.peer, left: true})
		if incumbent != old.c.peer || reason != RefusedNickInUse {
			t.Errorf("%v, %v", incumbent, reason)
		}
		old.wantConnected()
	})
}

func TestProvenTakeOverTellsTheDepartureBeforeTheNewOwnerSpeaks(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		other := joinMem(t, s, testNick(1), wire.Location{})
		old := joinMem(t, s, owner.nick, testLocation(1), wire.FeaturePing)
		p, challenge, handshake := challengeMem(t, s, owner, testLocation(2))
		speak := rawMessage{wire.Pubmsg, owner.nick + "!PUBLIC!orderbook"}
		p.m.Write([]byte(envelope(t, wire.NickProof, owner.proof(t, challenge, handshake)) + envelope(t, speak.Type, speak.Line)))
		old.send(speak.Type, speak.Line) // speaks for the nick no more, or did so before
		got := other.lines()
		gone := slices.Index(got, rawMessage{wire.Peerlist, entryOf(owner.nick, testLocation(1)) + ";D"})
		if gone < 0 || len(got) < gone+2 || got[gone+1] != speak {
			t.Errorf("others got %v, want the departure, then the message", got)
		}
		old.wantLines()
		old.wantEnded(s, EvictedDisplaced)
		p.wantLines(resultLine(wire.ProofOK))
		time.Sleep(2 * s.opt().DepartureDelay)
		other.wantLines() // it was told once
	})
}

func TestUnprovenThatWaitsForAProbeLosesToAProvenOne(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner := testProver(1)
		dead := joinMem(t, s, owner.nick, wire.Location{}, wire.FeaturePing)
		time.Sleep(time.Minute)
		thief := connectMem(t, s, 1<<20)
		thief.hello(owner.nick, wire.Location{})
		dead.wantLines(rawMessage{wire.Ping, ""})
		p := joinProvenMem(t, s, owner, wire.Location{})
		time.Sleep(s.opt().ConflictTimeout)
		wantRefused(t, thief, s, RefusedNickInUse, "nick in use")
		dead.wantEnded(s, EvictedDisplaced)
		p.wantConnected()
	})
}

func TestBoundsOfTheDirectoryHoldForProvenNicks(t *testing.T) {
	inBubble(t, func(o *Options) { proving(o); o.MaxPeers, o.MaxNicksPerHost = 2, 1 }, func(t *testing.T, s *Server) {
		first, second, third := testProver(1), testProver(2), testProver(3)
		joinMem(t, s, first.nick, testLocation(1))
		host := proveMem(t, s, second, testLocation(1))
		wantUnproven(t, host, s, wire.ProofPolicy, RefusedHostFull)
		joinProvenMem(t, s, second, testLocation(2))
		full := proveMem(t, s, third, testLocation(3))
		wantUnproven(t, full, s, wire.ProofPolicy, RefusedFull)
		// Who is displaced counts as gone, for both bounds.
		joinProvenMem(t, s, first, testLocation(1))
		again := joinProvenMem(t, s, first, testLocation(1))
		again.wantConnected()
		if st := s.Status(); st.Peers != 2 || st.Verified != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestRequiredProofs(t *testing.T) {
	inBubble(t, func(o *Options) { o.NickAuth = NickAuthRequire }, func(t *testing.T, s *Server) {
		owner := testProver(1)
		for _, handshake := range []string{owner.handshake(wire.Location{}), handshakeOf(owner.nick, wire.Location{})} {
			early := connectMem(t, s, 1<<20)
			early.send(wire.ClientHandshake, handshake)
			wantRefused(t, early, s, RefusedProofNotReady, `"motd": "Rejected: nicks cannot be verified yet"`)
		}
		own := testLocation(9)
		s.SetLocation(own)
		legacy := connectMem(t, s, 1<<20)
		legacy.hello(owner.nick, wire.Location{})
		wantRefused(t, legacy, s, RefusedProofRequired, `"motd": "Rejected: verified nick authentication required"`)
		p, challenge, handshake := challengeMem(t, s, owner, wire.Location{})
		if c, err := wire.ParseChallenge([]byte(challenge)); err != nil || c.DirectoryID != own.String() {
			t.Errorf("challenge %+v, %v", c, err)
		}
		p.send(wire.NickProof, owner.proof(t, challenge, handshake))
		p.wantLines(resultLine(wire.ProofOK))
	})
}

func TestDirectoryIDOfTheOptionsGoesBeforeTheLocation(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		s.SetLocation(testLocation(9))
		if got := s.authID(); got != testID {
			t.Errorf("id %q, want %q", got, testID)
		}
	})
	inBubble(t, nil, func(t *testing.T, s *Server) {
		for _, c := range []struct {
			location wire.Location
			want     string
		}{{testLocation(1), testLocation(1).String()}, {testLocation(2), testLocation(2).String()}, {wire.Location{Host: "::1", Port: 1}, ""}, {wire.Location{}, ""}} {
			s.SetLocation(c.location)
			if got := s.authID(); got != c.want {
				t.Errorf("%v: id %q, want %q", c.location, got, c.want)
			}
		}
	})
}

func TestReloadOfNickAuth(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		owner, other := testProver(1), testProver(2)
		started, challenge, handshake := challengeMem(t, s, owner, wire.Location{})
		o := s.opt().Options
		o.NickAuth = NickAuthDisabled
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		// What was announced to it holds.
		started.send(wire.NickProof, owner.proof(t, challenge, handshake))
		started.wantLines(resultLine(wire.ProofOK))
		unasked := connectMem(t, s, 1<<20)
		unasked.send(wire.ClientHandshake, other.handshake(wire.Location{}))
		if got := unasked.lines(); len(got) != 1 || !accepted(t, got[0]) || announces(got[0]) {
			t.Errorf("disabled: %v", got)
		}
		o.NickAuth, o.ProofTimeout = NickAuthRequire, time.Second
		if err := s.Reload(o); err != nil {
			t.Fatal(err)
		}
		legacy := connectMem(t, s, 1<<20)
		legacy.hello(testNick(1), wire.Location{})
		wantRefused(t, legacy, s, RefusedProofRequired, "required")
		unasked.wantConnected() // who is here stays
		late, _, _ := challengeMem(t, s, owner, wire.Location{})
		time.Sleep(time.Second + time.Millisecond)
		wantUnproven(t, late, s, wire.ProofExpired, RefusedProofExpired)
	})
}

func TestNickAuthOptions(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		field  string // that is refused, "": none
	}{
		{func(o *Options) { o.NickAuth = "" }, "NickAuth"},
		{func(o *Options) { o.NickAuth = "Disabled" }, "NickAuth"},
		{func(o *Options) { o.NickAuth = NickAuthRequire }, ""}, // the location may come later
		{func(o *Options) { o.NickAuth, o.DirectoryID = NickAuthRequire, "test:1" }, ""},
		{func(o *Options) { o.NickAuth, o.Location = NickAuthRequire, testLocation(1) }, ""},
		{func(o *Options) { o.NickAuth, o.Location = NickAuthRequire, wire.Location{Host: "::1", Port: 1} }, "DirectoryID"},
		{func(o *Options) { o.NickAuth, o.Location = NickAuthPrefer, wire.Location{Host: "::1", Port: 1} }, ""},
		{func(o *Options) { o.DirectoryID = "Test" }, "DirectoryID"},
		{func(o *Options) { o.DirectoryID = "a|b" }, "DirectoryID"},
		{func(o *Options) { o.ProofTimeout = 30*time.Second + 1 }, "ProofTimeout"},
		{func(o *Options) { o.ProofTimeout = 0 }, "ProofTimeout"},
	} {
		o := DefaultOptions()
		c.change(&o)
		err := o.Check()
		var bad *OptionError
		if (err == nil) != (c.field == "") || err != nil && (!errors.As(err, &bad) || bad.Field != c.field) {
			t.Errorf("%q %q %v: %v, want a fault of %q", o.NickAuth, o.DirectoryID, o.Location, err, c.field)
		}
	}
}

func TestProofsWaitForTheirTurnAndNobodyElseWaits(t *testing.T) {
	inBubble(t, proving, func(t *testing.T, s *Server) {
		for range cap(s.checks) {
			s.checks <- struct{}{} // that many are being checked
		}
		a, b := joinMem(t, s, testNick(1), wire.Location{}), joinMem(t, s, testNick(2), wire.Location{})
		var waiting []*memPeer
		for i := range 20 {
			waiting = append(waiting, proveMem(t, s, testProver(i), wire.Location{}))
		}
		waiting[0].c.evict(EvictedPool)
		time.Sleep(2 * s.opt().ProofTimeout) // theirs came in time
		line := rawMessage{wire.Privmsg, a.nick + "!" + b.nick + "!fill 0"}
		a.send(line.Type, line.Line)
		b.wantLines(line)
		for _, p := range waiting[1:] {
			p.wantLines()
			p.wantConnected()
		}
		for range cap(s.checks) {
			<-s.checks
		}
		waiting[0].wantEnded(s, EvictedPool)
		for _, p := range waiting[1:] {
			p.wantLines(resultLine(wire.ProofOK))
		}
		if len(s.checks) != 0 {
			t.Errorf("%d checks have not ended", len(s.checks))
		}
	})
}

// exchange is a record of nick_auth.jsonl.
type exchange struct {
	vectors.Record
	Challenge     string         `json:"challenge"`
	DirectoryID   string         `json:"directory_id"`
	HandshakeLine string         `json:"handshake_line"`
	Nick          string         `json:"nick"`
	Challenged    string         `json:"challenge_bytes"`
	Proof         string         `json:"proof_bytes"`
	Result        string         `json:"result_bytes"`
	Expect        wire.ProofCode `json:"expect"`
}

func TestNickAuthVectorsOverASocket(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		for _, r := range allOf[exchange](t, "nick_auth.jsonl", 25) {
			for _, mode := range []string{NickAuthPrefer, NickAuthRequire} {
				t.Run(r.Name+"/"+mode, func(t *testing.T) {
					t.Parallel()
					s := newServer(t, func(o *Options) { o.DirectoryID, o.NickAuth = r.DirectoryID, mode })
					s.newChallenge = func(id string) wire.Challenge { return wire.Challenge{Nonce: r.Challenge, DirectoryID: id} }
					c := dial(t, start(t, s))
					c.send(wire.ClientHandshake, r.HandshakeLine)
					hello, err := wire.ParseDirectoryHello([]byte(c.expect(wire.DirectoryHandshake)))
					if err != nil || !hello.Accepted || !slices.Contains(hello.Features, wire.FeatureNickAuth) {
						t.Fatalf("answer %+v, %v", hello, err)
					}
					c.expectLine(wire.NickChallenge, payloadOf(t, r.Challenged))
					c.raw(r.Proof)
					c.expectLine(wire.NickResult, payloadOf(t, r.Result))
					if !r.Expect.Verified() {
						c.closed()
						return
					}
					c.send(wire.Ping, "")
					c.expectLine(wire.Pong, "")
					if p := s.registry.get(r.Nick); p == nil || !p.verified {
						t.Error("not registered as verified")
					}
				})
			}
		}
	})
}

// payloadOf is the line inside a recorded envelope.
func payloadOf(t *testing.T, raw string) string {
	t.Helper()
	env, err := new(wire.Parser).Parse([]byte(strings.TrimSuffix(raw, "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return string(env.Line)
}

// TestReconnectWithAProofIsImmediate: the lock-out of protocol.md 10.11 does not happen to who can prove its nick.
func TestReconnectWithAProofIsImmediate(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		s := newServer(t, requiring)
		addr := start(t, s)
		owner := testProver(1)
		watcher := joinProven(t, addr, testProver(2), wire.Location{})
		var last *client
		for i := range 10 {
			c := joinProven(t, addr, owner, testLocation(1))
			if last != nil {
				last.closed()
				watcher.expectLine(wire.Peerlist, entryOf(owner.nick, testLocation(1))+";D")
			}
			c.public(fmt.Sprintf("cancel %d", i))
			watcher.expectLine(wire.Pubmsg, owner.nick+fmt.Sprintf("!PUBLIC!cancel %d", i))
			last = c
		}
		if st := s.Status(); st.Peers != 2 || st.Verified != 2 {
			t.Errorf("%+v", st)
		}
		// Clients see the end of a connection before it is counted.
		eventually(t, "all are counted as displaced", func() bool { return s.Status().Reasons[EvictedDisplaced] == 9 })
	})
}

// joinProven connects and completes the handshake with a proof.
func joinProven(tb testing.TB, addr net.Addr, o prover, l wire.Location, features ...string) *client {
	tb.Helper()
	c := dial(tb, addr)
	c.nick = o.nick
	handshake := o.handshake(l, features...)
	c.send(wire.ClientHandshake, handshake)
	hello, err := wire.ParseDirectoryHello([]byte(c.expect(wire.DirectoryHandshake)))
	if err != nil || !hello.Accepted {
		tb.Fatalf("answer %+v, %v", hello, err)
	}
	c.dn = hello
	c.send(wire.NickProof, o.proof(tb, c.expect(wire.NickChallenge), handshake))
	c.expectLine(wire.NickResult, string(wire.ProofOK.AppendLine(nil)))
	return c
}

// TestTakeOversOfANickArePaidForLikeMessagesToAll: each makes a line to all at once, so together they stay within what is
// there for deliveries.
func TestTakeOversOfANickArePaidForLikeMessagesToAll(t *testing.T) {
	inBubble(t, func(o *Options) { proving(o); o.Deliveries, o.Patience = Rate{1, 10}, time.Second }, func(t *testing.T, s *Server) {
		stay := joinMem(t, s, testNick(0), wire.Location{})
		owner := testProver(1)
		refused := 0
		for range 40 {
			p, challenge, handshake := challengeMem(t, s, owner, testLocation(1))
			p.send(wire.NickProof, owner.proof(t, challenge, handshake))
			time.Sleep(2 * s.opt().Patience)
			if got := p.lines(); len(got) != 1 {
				t.Fatalf("the owner of the nick got %v", got)
			} else if got[0] != resultLine(wire.ProofOK) {
				refused++
				p.wantEnded(s, RefusedRate)
			}
		}
		if n := len(stay.lines()); n < 20 || n+refused > 39 {
			t.Errorf("%d take-overs, and %d refused", n, refused)
		}
		spent := float64(s.opt().Deliveries.Burst) - s.budgets[scarceDeliveries].tokens
		if spent <= 0 {
			t.Errorf("they cost nothing: %v", spent)
		}
	})
}

// TestTakeOverThatCannotBePaidForIsAnswered: its client is told that it was refused, and does not just lose the connection (protocol.md 5.1).
func TestTakeOverThatCannotBePaidForIsAnswered(t *testing.T) {
	change := func(o *Options) { proving(o); o.Deliveries = Rate{1, 10} }
	t.Run("proven", func(t *testing.T) {
		inBubble(t, change, func(t *testing.T, s *Server) {
			owner := testProver(1)
			joinProvenMem(t, s, owner, testLocation(1))
			newcomer, challenge, handshake := challengeMem(t, s, owner, testLocation(1))
			s.budgets[scarceDeliveries].take(new(flow), 1000, 1)
			newcomer.send(wire.NickProof, owner.proof(t, challenge, handshake))
			time.Sleep(s.opt().Patience + time.Second)
			wantUnproven(t, newcomer, s, wire.ProofPolicy, RefusedRate)
		})
	})
	t.Run("unproven", func(t *testing.T) {
		inBubble(t, change, func(t *testing.T, s *Server) {
			joinMem(t, s, testNick(1), testLocation(1)) // dead, which is noticed later than this
			time.Sleep(time.Minute)
			s.budgets[scarceDeliveries].take(new(flow), 1000, 1)
			newcomer := connectMem(t, s, 1<<20)
			newcomer.hello(testNick(1), testLocation(1))
			time.Sleep(s.opt().ConflictTimeout + s.opt().Patience + time.Second)
			wantRefused(t, newcomer, s, RefusedRate, "try again later")
		})
	})
}
