package main

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"jm-directory-server/server/wire"
)

// The offers of the makers, as they stand in messages (protocol.md 6.1): kind, number, least and most amount,
// share of the transaction fee, and fee for the maker; satoshi, and for a relative offer a part of the amount.
const (
	offer1 = "sw0reloffer 0 100000 250000000 0 0.00002"
	offer2 = "sw0absoffer 0 27300 90000000 0 490"
)

// offerOf is what a maker offers.
func (s *stage) offerOf(p *peer) string {
	if p == s.maker1 {
		return offer1
	}
	return offer2
}

// connect makes the peers, and lets them connect and shake hands, all at once.
func (s *stage) connect(ctx context.Context) error {
	var err error
	for _, p := range []struct {
		peer     **peer
		role     string
		serves   bool
		features []string
	}{
		{&s.maker1, "maker 1", true, nil}, // as the oldest clients
		{&s.maker2, "maker 2", true, []string{wire.FeaturePeerlist, wire.FeaturePing}},
		{&s.taker, "taker", false, []string{wire.FeaturePeerlist, wire.FeaturePing}},
	} {
		if *p.peer, err = newPeer(p.role, p.serves, p.features...); err != nil {
			return err
		}
	}
	peers := []*peer{s.maker1, s.maker2, s.taker}
	errs := make([]error, len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() { errs[i] = s.join(ctx, p) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for line := range strings.SplitSeq(s.taker.motd, "\n") {
		s.report.step("directory", "motd: %s", line)
	}
	return nil
}

// join connects one peer.
func (s *stage) join(ctx context.Context, p *peer) error {
	conn, err := s.dial(ctx, p)
	if err != nil {
		return err
	}
	s.report.step(p.role, "connects, on an onion circuit of its own")
	p.attach(conn)
	serving := "not serving"
	if p.location.Serving() {
		serving = "serving"
	}
	s.report.step(p.role+" → directory", "handshake: %s, %s", p.nick, serving)
	hello, err := p.handshake(ctx, bitcoinNetwork)
	if err != nil {
		return err
	}
	if text, version, _ := strings.Cut(hello.MOTD, "\n"); text != motd || version == "" {
		return fmt.Errorf("%s: expected the motd %q and a version, got %q", p.role, motd, hello.MOTD)
	}
	s.report.step("directory → "+p.role, "accepted, by %s", hello.Nick)
	p.motd = hello.MOTD
	return nil
}

// broadcast has a peer send a public message, which must reach the others.
func (s *stage) broadcast(ctx context.Context, from *peer, body string) error {
	s.report.step(from.role+" → all", "%s", body)
	if err := from.send(wire.Pubmsg, from.public(body)); err != nil {
		return err
	}
	var reached []string
	for _, p := range []*peer{s.maker1, s.maker2, s.taker} {
		if p == from {
			continue
		}
		if err := p.receivePublic(ctx, from, body); err != nil {
			return err
		}
		reached = append(reached, p.role)
	}
	s.report.step("directory → all", "reached %s", strings.Join(reached, " and "))
	return nil
}

// announceOffers: each maker tells everybody its offer, as all do after the handshake.
func (s *stage) announceOffers(ctx context.Context) error {
	for _, maker := range []*peer{s.maker1, s.maker2} {
		if err := s.broadcast(ctx, maker, s.offerOf(maker)); err != nil {
			return err
		}
	}
	return nil
}

// requestOrderbook: the taker asks all for their offers; each maker answers in private, and behind its first
// private message the directory says where that maker can be reached directly.
func (s *stage) requestOrderbook(ctx context.Context) error {
	if err := s.broadcast(ctx, s.taker, "orderbook"); err != nil {
		return err
	}
	for _, maker := range []*peer{s.maker1, s.maker2} {
		command, data, _ := strings.Cut(s.offerOf(maker), " ")
		if err := s.private(ctx, maker, s.taker, command, data); err != nil {
			return err
		}
		entries, err := s.taker.receiveEntries(ctx, "the location of "+maker.role)
		if err != nil {
			return err
		}
		if len(entries) != 1 || entries[0].Nick != maker.nick || entries[0].Location != maker.location || entries[0].Gone {
			return fmt.Errorf("taker: expected the location of %s (%s), got %v", maker.role, maker.nick, entries)
		}
		s.report.step("directory → taker", "%s serves at %s", maker.role, shortLocation(maker.location))
	}
	return nil
}

// private sends a private message, which must come to its addressee with a good signature.
func (s *stage) private(ctx context.Context, from, to *peer, command, data string) error {
	s.report.step(from.role+" → "+to.role, "%s %s", command, data)
	if err := from.send(wire.Privmsg, from.private(to.nick, command, data)); err != nil {
		return err
	}
	got, err := to.receivePrivate(ctx, from, command)
	if err == nil && got != data {
		err = fmt.Errorf("%s: expected %q of %s, got %q", to.role, data, from.role, got)
	}
	return err
}

// fill: the taker takes the offer of maker 1, which answers with its key. From here on the two encrypt what
// they say.
func (s *stage) fill(ctx context.Context) error {
	takerKey, err := newSessionKey()
	if err != nil {
		return err
	}
	makerKey, err := newSessionKey()
	if err != nil {
		return err
	}
	commitment := make([]byte, 32)
	rand.Read(commitment) // never fails
	order := fmt.Sprintf("0 20000000 %s P%x", takerKey, commitment)
	if err := s.private(ctx, s.taker, s.maker1, "fill", order); err != nil {
		return err
	}
	if err := s.private(ctx, s.maker1, s.taker, "pubkey", makerKey); err != nil {
		return err
	}
	s.report.step("taker", "has the key of maker 1: what follows is encrypted")
	return nil
}

// newSessionKey returns a fresh Curve25519 public key in hex: what the payload of a session is encrypted for.
func newSessionKey() (string, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("session key: %w", err)
	}
	return hex.EncodeToString(key.PublicKey().Bytes()), nil
}

// list: the taker asks who is there.
func (s *stage) list(ctx context.Context) error {
	s.report.step("taker → directory", "getpeerlist: who is there?")
	if err := s.taker.send(wire.GetPeerlist, nil); err != nil {
		return err
	}
	entries, err := s.taker.receiveEntries(ctx, "the list of peers")
	if err != nil {
		return err
	}
	found := make(map[wire.Location]bool)
	for _, e := range entries {
		found[e.Location] = !e.Gone
	}
	if len(entries) != 3 || !found[s.location] || !found[s.maker1.location] || !found[s.maker2.location] {
		return fmt.Errorf("taker: expected a list of maker 1, maker 2 and the directory, got %v", entries)
	}
	s.report.step("directory → taker", "maker 1, maker 2 and the directory itself")
	return nil
}

// nothingElse: maker 2 asks for an answer. Lines to one peer keep their order, so if the private messages of
// the others had come to it, they would come first.
func (s *stage) nothingElse(ctx context.Context) error {
	s.report.step("maker 2 → directory", "ping")
	if err := s.maker2.send(wire.Ping, nil); err != nil {
		return err
	}
	if _, err := s.maker2.receive(ctx, wire.Pong, "the answer to its ping and nothing else"); err != nil {
		return err
	}
	s.report.step("directory → maker 2", "pong, and none of the private messages")
	return nil
}

// depart: maker 2 leaves, and the others hear of it.
func (s *stage) depart(ctx context.Context) error {
	s.report.step("maker 2", "leaves")
	s.maker2.close()
	for _, p := range []*peer{s.maker1, s.taker} {
		entries, err := p.receiveEntries(ctx, "the departure of maker 2")
		if err != nil {
			return err
		}
		if len(entries) != 1 || entries[0].Nick != s.maker2.nick || !entries[0].Gone {
			return fmt.Errorf("%s: expected the departure of maker 2 (%s), got %v", p.role, s.maker2.nick, entries)
		}
	}
	s.report.step("directory → all", "maker 2 is gone: told to maker 1 and taker")
	return nil
}

// stopDirectory: SIGTERM stops the server in order.
func (s *stage) stopDirectory() error {
	if err := s.directory.stop(); err != nil {
		return err
	}
	s.report.step("directory", "stops on SIGTERM, exit code 0")
	return nil
}
