package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/wire"
)

// nickAttacks are about who somebody is.
var nickAttacks = []attack{
	{name: "nick-hijack", what: "asking for nicks that honest peers have, without proof", run: hijack},
	{name: "nick-hijack-proof", what: "the same, with proofs of other keys", run: hijackWithProof},
	{name: "nick-lockout", what: "taking the nick of somebody whose circuit broke", run: lockOut},
	{name: "proof-foreign", what: "proofs replayed, for another directory, too late", run: foreignProofs},
	{name: "proof-flood", what: "many well-formed proofs that are wrong", run: proofFlood},
	{name: "forged-departure", what: "787, 789 and others in the name of the directory", run: forgedDepartures},
	{name: "injected-names", what: "nicks, locations and features with separators", run: injectedNames},
	{name: "forged-sender", what: "messages in the name of honest peers", run: forgedSenders},
	{name: "sybil-location", what: "many nicks that claim the onion of one maker", run: sybilLocation,
		known: "a location cannot be proven: above limits.max_nicks_per_host its owner is refused like everybody else who names it"},
	{name: "ban-evasion", what: "coming back after a ban", run: banEvasion},
}

// victims gives a victim in turn.
func (f *field) victim(i int) *member { return f.honest.members[i%len(f.honest.members)] }

func hijack(ctx context.Context, f *field) (string, error) {
	var tries, in atomic.Int64
	f.each(ctx, 40, 400, func(i int) {
		n := tries.Add(1)
		g := stranger()
		g.as = f.victim(int(n)).nick()
		if s, err := f.join(ctx, f.fresh(), g); err == nil {
			in.Add(1)
			s.conn.Close()
		}
	})
	if in.Load() > 0 {
		return "", hurtf("%s taken", terminal.Counted(in.Load(), "nick"))
	}
	return fmt.Sprintf("%d attempts, no nick taken", tries.Load()), nil
}

func hijackWithProof(ctx context.Context, f *field) (string, error) {
	var tries, in atomic.Int64
	f.each(ctx, 20, 200, func(i int) {
		n := tries.Add(1)
		g := stranger()
		g.as, g.proves = f.victim(int(n)).nick(), true
		if s, err := f.join(ctx, f.fresh(), g); err == nil {
			in.Add(1)
			s.conn.Close()
		}
	})
	if in.Load() > 0 {
		return "", hurtf("%s taken", terminal.Counted(in.Load(), "nick"))
	}
	return fmt.Sprintf("%d attempts, no nick taken", tries.Load()), nil
}

// lockOut has two owners lose their circuits, while the server does not know it yet, and come back with the same nick.
// Somebody else asks for the nick of the first meanwhile.
func lockOut(ctx context.Context, f *field) (string, error) {
	proven, legacy := stranger(), stranger()
	proven.proves, legacy.location = true, newLocation()
	for _, g := range []greeting{proven, legacy} {
		s, err := f.join(context.WithoutCancel(ctx), f.fresh(), g)
		if err != nil {
			return "", err
		}
		defer s.conn.Close() // until then it is silent and not read: a dead circuit
	}
	time.Sleep(min(2*time.Second, 4*answerTimeout/10)) // it may count as alive for a moment
	squatting, done := context.WithCancel(ctx)
	f.work.Go(func() {
		f.each(squatting, 4, 40, func(int) {
			g := stranger()
			g.as = proven.nick()
			if s, err := f.join(squatting, f.fresh(), g); err == nil {
				<-squatting.Done()
				s.conn.Close()
			}
		})
	})
	defer done()
	back := func(g greeting) (time.Duration, error) {
		ctx, cancel := soon(ctx, 40*time.Second)
		defer cancel()
		begin := time.Now()
		s, err := f.join(ctx, f.fresh(), g)
		if err != nil {
			return 0, hurtf("an owner did not get its nick back: %w", err)
		}
		defer s.conn.Close()
		return time.Since(begin), nil
	}
	first, err := back(proven)
	if err != nil {
		return "", err
	}
	second, err := back(legacy)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("owners back in: %s with proof, %s without", short(first), short(second)), nil
}

func foreignProofs(ctx context.Context, f *field) (string, error) {
	late, in := atomic.Int64{}, atomic.Int64{}
	var tries atomic.Int64
	// One proof that was good once.
	owner := stranger()
	owner.proves = true
	var good []byte
	g := owner
	g.prove = func(c wire.Challenge, handshake []byte) []byte {
		good = owner.proof(c, handshake, owner.nick())
		return good
	}
	s, err := f.join(ctx, f.fresh(), g)
	if err != nil {
		return "", err
	}
	s.conn.Close()
	wait, cancel := soon(ctx, proofTimeout)
	defer cancel()
	f.work.Go(func() {
		g := owner
		g.prove = func(wire.Challenge, []byte) []byte { return nil } // until it is too late
		_, err := f.join(wait, f.fresh(), g)
		late.Add(1)
		if err == nil {
			in.Add(1)
		}
	})
	f.each(ctx, 10, 200, func(int) {
		n := tries.Add(1)
		g := owner
		g.prove = func(c wire.Challenge, handshake []byte) []byte {
			if n%2 == 0 {
				return good // replayed
			}
			c.DirectoryID = "another:5222"
			return owner.proof(c, handshake, owner.nick())
		}
		if s, err := f.join(ctx, f.fresh(), g); err == nil {
			in.Add(1)
			s.conn.Close()
		}
	})
	for wait.Err() == nil && late.Load() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if in.Load() > 0 {
		return "", hurtf("%d bad proofs were taken for good", in.Load())
	}
	return fmt.Sprintf("%d proofs, none taken for good", tries.Load()+late.Load()), nil
}

func proofFlood(ctx context.Context, f *field) (string, error) {
	var tries atomic.Int64
	f.each(ctx, 100, 0, func(int) {
		tries.Add(1)
		g := stranger()
		g.proves = true
		g.prove = func(c wire.Challenge, handshake []byte) []byte {
			c.Nonce = strings.Repeat("0", len(c.Nonce))
			return g.proof(c, handshake, g.nick())
		}
		if s, err := f.join(ctx, f.fresh(), g); err == nil {
			s.conn.Close()
		}
	})
	return fmt.Sprintf("%d proofs, as fast as they were taken", tries.Load()), nil
}
