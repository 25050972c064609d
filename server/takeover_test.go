package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// scarceTakeOvers leaves so little for deliveries that a take-over waits to be paid for once spendDeliveries has used that up.
func scarceTakeOvers(o *Options) { proving(o); o.Deliveries = Rate{1, 10} }

// spendDeliveries leaves nothing for whoever asks before a quarter of an hour is over, or freeDeliveries.
func spendDeliveries(s *Server) { s.budgets[scarceDeliveries].take(new(flow), 1000, 1) }

// freeDeliveries serves all who wait.
func freeDeliveries(s *Server) { s.budgets[scarceDeliveries].setRate(Rate{}) }

// wantAccepted wants the newcomer to have heard that it is in, and nothing else.
func wantAccepted(t *testing.T, p *memPeer) {
	t.Helper()
	if got := p.lines(); len(got) != 1 || !accepted(t, got[0]) {
		t.Fatalf("%s got %v, want to be accepted", p.nick, got)
	}
}

// unpaidTakeOver has a newcomer wait until the take-over of an owner's nick is paid for, which has given no sign of life.
func unpaidTakeOver(t *testing.T, s *Server, l wire.Location, features ...string) (owner, newcomer *memPeer) {
	t.Helper()
	owner = joinMem(t, s, testNick(1), l, features...)
	other := joinMem(t, s, testNick(2), wire.Location{})
	owner.send(wire.Privmsg, owner.nick+"!"+other.nick+"!fill 0") // others know of it
	synctest.Wait()
	if l.Serving() || len(features) > 0 {
		time.Sleep(time.Minute)
	} else {
		time.Sleep(s.opt().ConflictSilence)
	}
	spendDeliveries(s)
	newcomer = connectMem(t, s, 1<<20)
	newcomer.hello(owner.nick, wire.Location{})
	time.Sleep(s.opt().ConflictTimeout + time.Second)
	newcomer.wantLines()
	if n := s.budgets[scarceDeliveries].waiting(); n != 1 {
		t.Fatalf("%d wait for deliveries, want the newcomer alone", n)
	}
	owner.lines()
	return owner, newcomer
}

// TestOwnerThatShowsLifeWhileATakeOverIsPaidForKeepsItsNick: it is late, and it is here (protocol.md 6.4).
func TestOwnerThatShowsLifeWhileATakeOverIsPaidForKeepsItsNick(t *testing.T) {
	serving := testLocation(1)
	for name, test := range map[string]struct {
		location wire.Location
		features []string
		life     func(s *Server, owner *memPeer)
	}{
		"answers the ping":  {features: []string{wire.FeaturePing}, life: func(_ *Server, o *memPeer) { o.send(wire.Pong, "") }},
		"answers the probe": {location: serving, life: func(s *Server, o *memPeer) { o.send(wire.Privmsg, o.nick+"!"+s.Nick()+"!sw0reloffer 0") }},
		"cannot be probed":  {life: func(_ *Server, o *memPeer) { o.send(wire.GetPeerlist, "") }},
		"is held back":      {location: serving, life: func(_ *Server, o *memPeer) { o.public("sw0reloffer 0") }},
	} {
		for when, served := range map[string]bool{"then": false, "when it is paid for": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
					owner, newcomer := unpaidTakeOver(t, s, test.location, test.features...)
					test.life(s, owner)
					if served {
						synctest.Wait()
						freeDeliveries(s)
					}
					time.Sleep(2 * conflictPoll)
					wantRefused(t, newcomer, s, RefusedNickInUse, "nick in use")
					owner.wantConnected()
					if p := s.registry.get(owner.nick); p == nil || p.conn != owner.c {
						t.Error("the owner has lost its nick")
					}
					if err := s.consistent(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestOwnerThatShowsLifeWhileATakeOverIsPaidForIsNotAskedAgain: however short the time for a sign of life is, that was one.
func TestOwnerThatShowsLifeWhileATakeOverIsPaidForIsNotAskedAgain(t *testing.T) {
	change := func(o *Options) { scarceTakeOvers(o); o.ConflictTimeout = 2 * conflictPoll }
	inBubble(t, change, func(t *testing.T, s *Server) {
		owner, newcomer := unpaidTakeOver(t, s, wire.Location{}, wire.FeaturePing)
		time.Sleep(conflictPoll / 2) // it is not seen before ConflictTimeout/freshShare
		owner.send(wire.Pong, "")
		time.Sleep(conflictPoll)
		owner.wantLines()
		wantRefused(t, newcomer, s, RefusedNickInUse, "nick in use")
	})
}

// TestOwnerThatStaysSilentWhileATakeOverIsPaidForIsReplaced: the wait alone is no reason to keep it.
func TestOwnerThatStaysSilentWhileATakeOverIsPaidForIsReplaced(t *testing.T) {
	inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
		owner, newcomer := unpaidTakeOver(t, s, wire.Location{}, wire.FeaturePing)
		time.Sleep(s.opt().Patience / 2) // less than an owner has to answer a ping
		freeDeliveries(s)
		wantAccepted(t, newcomer)
		owner.wantEnded(s, EvictedDisplaced)
	})
}

// TestProofTakesANickAlsoFromAnOwnerThatShowsLife: whether it does makes no difference to who has proven the nick (protocol.md 7.3).
func TestProofTakesANickAlsoFromAnOwnerThatShowsLife(t *testing.T) {
	inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
		prover := testProver(1)
		owner := joinMem(t, s, prover.nick, testLocation(1), wire.FeaturePing)
		spendDeliveries(s)
		newcomer := proveMem(t, s, prover, wire.Location{})
		time.Sleep(time.Second)
		newcomer.wantLines()
		owner.send(wire.Ping, "")
		owner.wantLines(rawMessage{wire.Pong, ""})
		freeDeliveries(s)
		newcomer.wantLines(resultLine(wire.ProofOK))
		owner.wantEnded(s, EvictedDisplaced)
	})
}

// TestNickIsFreeWhenItsOwnerLeavesWhileATakeOverIsPaidFor: then there is nothing to be paid for, and nobody is refused for that.
func TestNickIsFreeWhenItsOwnerLeavesWhileATakeOverIsPaidFor(t *testing.T) {
	t.Run("unproven", func(t *testing.T) {
		inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
			owner, newcomer := unpaidTakeOver(t, s, testLocation(1))
			owner.m.closeClient()
			newcomer.wantLines() // its departure is to be announced first
			time.Sleep(s.opt().DepartureDelay + 2*conflictPoll)
			wantAccepted(t, newcomer)
		})
	})
	t.Run("proven", func(t *testing.T) {
		inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
			prover := testProver(1)
			owner := joinMem(t, s, prover.nick, testLocation(1))
			spendDeliveries(s)
			newcomer := proveMem(t, s, prover, wire.Location{})
			time.Sleep(time.Second)
			owner.m.closeClient()
			time.Sleep(s.opt().Patience)
			newcomer.wantLines(resultLine(wire.ProofOK))
		})
	})
}

// TestWhatAnOwnerSaysWhileATakeOverIsPaidForIsSaid: it is back, speaks and hangs up. All of that comes before the departure.
func TestWhatAnOwnerSaysWhileATakeOverIsPaidForIsSaid(t *testing.T) {
	inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
		watcher := joinMem(t, s, testNick(9), wire.Location{})
		owner, newcomer := unpaidTakeOver(t, s, testLocation(1))
		owner.public("sw0reloffer 0")
		owner.m.closeClient()
		time.Sleep(time.Second)
		newcomer.wantLines()
		watcher.wantLines()
		freeDeliveries(s)
		time.Sleep(s.opt().DepartureDelay + 2*conflictPoll)
		wantAccepted(t, newcomer)
		watcher.wantLines(
			rawMessage{wire.Pubmsg, owner.nick + "!PUBLIC!sw0reloffer 0"},
			rawMessage{wire.Peerlist, entryOf(owner.nick, testLocation(1)) + ";D"},
		)
	})
}

// TestStopLetsNobodyInWhoWaitsForAnAnnouncement: there are none any more, before anybody knows why.
func TestStopLetsNobodyInWhoWaitsForAnAnnouncement(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		watcher := joinMem(t, s, testNick(9), wire.Location{})
		joinMem(t, s, testNick(1), testLocation(1)).m.closeClient()
		synctest.Wait()
		newcomer := connectMem(t, s, 1<<20)
		newcomer.hello(testNick(1), wire.Location{})
		newcomer.wantLines()
		s.registry.close() // as Shutdown does before it tells anybody
		time.Sleep(2 * s.opt().DepartureDelay)
		wantWaiting(t, newcomer)
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		wantRefused(t, newcomer, s, EvictedShutdown, "this directory is about to stop")
		watcher.wantLines()
	})
}

// TestStopEndsThoseWhoWaitForANickForTheStop: it is no fault of theirs, nor of a proof, and who can be told so is.
func TestStopEndsThoseWhoWaitForANickForTheStop(t *testing.T) {
	for name, wait := range map[string]func(t *testing.T, s *Server, owner *memPeer){
		"a sign of life": func(_ *testing.T, s *Server, owner *memPeer) { time.Sleep(time.Minute) },
		"the announcement": func(_ *testing.T, _ *Server, owner *memPeer) {
			owner.m.closeClient()
			synctest.Wait()
		},
		"the price": func(_ *testing.T, s *Server, owner *memPeer) {
			time.Sleep(s.opt().ConflictSilence)
			spendDeliveries(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, scarceTakeOvers, func(t *testing.T, s *Server) {
				prover := testProver(1)
				location, features := testLocation(1), []string{wire.FeaturePing}
				if name == "the price" {
					features = nil
				}
				owner := joinMem(t, s, prover.nick, location, features...)
				wait(t, s, owner)
				unproven := connectMem(t, s, 1<<20)
				unproven.hello(prover.nick, location)
				if name == "the price" {
					time.Sleep(s.opt().ConflictTimeout + time.Second)
				}
				unproven.wantLines()
				var proven *memPeer
				if name != "a sign of life" { // which a proof does not wait for
					proven = proveMem(t, s, prover, location)
					proven.wantLines()
				}
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if proven != nil {
					proven.wantLines() // no code of a result says so
					proven.wantEnded(s, EvictedShutdown)
				}
				wantRefused(t, unproven, s, EvictedShutdown, "this directory is about to stop")
				if st := s.Status(); st.Reasons[RefusedDraining]+st.Reasons[RefusedRate] != 0 {
					t.Errorf("counted as refused for another reason: %v", st.Reasons)
				}
			})
		})
	}
}
