package main

import (
	"fmt"
	"strings"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// handshakes has newcomers refused for what they say first, and for saying nothing.
func (b *busyRun) handshakes() {
	_, nick := b.dialNext() // which says nothing
	good := string(wire.Handshake{Nick: nick, Location: b.onion(), Network: "signet"}.AppendLine(nil))
	for _, change := range [][2]string{
		{`"joinmarket"`, `"` + said + `"`}, {"false", "true"}, {`"proto-ver": 5`, `"proto-ver": 6`}, {"signet", said}, {`"J5`, `"` + said},
		{"onion:", said + ":"}, {`"features": {}`, `"features": {"` + strings.Repeat(said, 10) + `": true}`}, {good, said},
	} {
		line := strings.Replace(good, change[0], change[1], 1)
		if line == good {
			b.t.Fatalf("%s has no %s", good, change[0])
		}
		other, _ := b.dialNext()
		b.send(other, wire.ClientHandshake, line)
	}
	other, _ := b.dialNext()
	b.send(other, wire.Pubmsg, good)
	other, _ = b.dialNext()
	fmt.Fprintf(other.conn, "%s, no envelope\r\n", said)
	crowded := b.onion()
	for range 3 {
		b.come(crowded)
	}
	b.refused("", crowded)
	b.refused("", wire.Location{Host: testOnion, Port: 5222})
	p, nick := b.dialNext()
	hello, err := wire.ParseDirectoryHello([]byte(b.hello(p, nick, wire.Location{})))
	if err != nil {
		b.t.Fatal(err)
	}
	b.refused(hello.Nick, b.onion())
	b.say("drain")
	b.refused("", b.onion())
	b.say("drain", "--off")
	b.peers++
	for range 130 { // of them, 100 at once may begin with their handshakes
		b.dial(b.peers)
	}
	b.reach(server.RefusedRate, server.EvictedPool, server.EvictedHandshake)
}

// nicks has nicks kept, taken over, and proven well and badly.
func (b *busyRun) nicks() {
	silent := b.come(b.onion(), wire.FeaturePing)
	owner, proof := b.prover(1)
	replays, _ := b.prover(1)
	later, another := b.prover(1)
	for _, try := range []struct {
		p           *onionPeer
		proof, want string
	}{{owner, proof, `"ok"`}, {replays, proof, `"invalid"`}, {later, another, `"ok"`}} { // and takes it over from itself
		b.send(try.p, wire.NickProof, try.proof)
		if result := b.line(try.p); !strings.Contains(result, try.want) {
			b.t.Fatalf("got %s, want %s", result, try.want)
		}
	}
	b.refused(owner.nick, b.onion())
	b.prover(2) // and says nothing more
	malformed, _ := b.prover(3)
	b.send(malformed, wire.NickProof, `{"pubkey":"`+said+`","signature":"`+said+`"}`)
	b.reach(server.RefusedProofExpired)
	next, _ := b.dialNext()
	b.accepts(true, b.hello(next, silent.nick, b.onion()))
}

// messages has peers say what is passed on, and what is dropped.
func (b *busyRun) messages() {
	maker, taker := b.come(b.onion()), b.come(wire.Location{}, wire.FeaturePeerlist)
	others := []*onionPeer{b.come(wire.Location{}), b.come(wire.Location{}), b.come(wire.Location{})}
	public := func(p *onionPeer, text string) { b.send(p, wire.Pubmsg, p.nick+"!PUBLIC!"+text) }
	private := func(to, text string) { b.send(maker, wire.Privmsg, maker.nick+"!"+to+"!"+text) }
	public(taker, "orderbook")
	public(taker, "orderbook")
	for _, other := range others {
		public(other, "orderbook")
	}
	public(maker, "sw0reloffer 0 "+said+" 1 2 3")
	for range 10 {
		public(maker, said+"absoffer 1 2 3")
	}
	public(maker, "sw0reloffer 2 "+said)
	public(maker, "sw0reloffer 0 "+strings.Repeat(said, 20))
	public(maker, said)
	private(taker.nick, "fill "+said)
	private(wholeNick(999), said)
	private(maker.nick, said)
	b.send(maker, wire.Privmsg, said+" malformed")
	b.send(taker, wire.Pubmsg, maker.nick+"!PUBLIC!"+said+" forged")
	b.send(taker, wire.GetPeerlist, "")
	b.send(taker, wire.Ping, "")
	b.send(taker, wire.Type(4711), said)
	b.reach(server.DroppedOfferSize)
}

// lines has peers closed for what they say, and leave.
func (b *busyRun) lines() {
	fmt.Fprintf(b.come(b.onion()).conn, "%s, no envelope\r\n", said)
	fmt.Fprint(b.come(b.onion()).conn, strings.Repeat(said, 4_001))
	fmt.Fprintf(b.come(b.onion()).conn, `{"type": 687, "line": "%s`, said)
	b.send(b.come(b.onion()), wire.NickProof, said+" out of order")
	b.send(b.come(b.onion()), wire.Disconnect, said)
	b.come(b.onion()).conn.Close()
	unread := b.come(b.onion())
	b.send(unread, wire.GetPeerlist, "")
	b.reach(server.ClosedLineSlow)
	unread.conn.Close()
	b.reach(server.ClosedReset)
}

// floods has peers send too much.
func (b *busyRun) floods() {
	flood := b.come(b.onion())
	other := b.dial(b.peers) // on the same circuit
	b.peers++
	b.accepts(true, b.hello(other, wholeNick(b.peers), b.onion()))
	many(1000, flood, wire.Pubmsg, wholeNick(999)+"!PUBLIC!"+said)
	b.reach(server.ClosedViolation, server.EvictedCircuit)
	flood = b.come(b.onion())
	many(100, flood, wire.Privmsg, flood.nick+"!"+wholeNick(999)+"!"+said)
	many(60, b.come(b.onion()), wire.GetPeerlist, "")
	many(60, b.come(b.onion()), wire.Ping, "")
	flood = b.come(b.onion())
	many(30, flood, wire.Privmsg, flood.nick+"!"+wholeNick(999)+"!"+strings.Repeat(said, 3_900))
	b.reach(server.DroppedRateBytes)
}

// operator has the operator act on peers.
func (b *busyRun) operator() {
	kicked, banned := b.come(b.onion()), b.come(b.onion())
	b.say("kick", kicked.nick)
	b.say("ban", banned.nick, "--for", "1h", "--reason", "floods")
	b.refused(banned.nick, b.onion())
	proven, proof := b.prover(4)
	b.send(proven, wire.NickProof, proof)
	b.line(proven)
	b.say("ban", proven.nick)
	b.refused(proven.nick, b.onion())
	b.come(b.onion())
	b.say("kick", fmt.Sprintf("circuit:%d", firstCircuit+b.peers))
	b.say("motd", "welcome")
	b.come(b.onion())
}

// slow has peers that do not read ended, each for another bound, of which one at a time is low.
func (b *busyRun) slow() {
	fill := func(writers int) *onionPeer {
		deaf := b.come(b.onion())
		for range writers {
			p := b.come(b.onion())
			many(10, p, wire.Pubmsg, p.nick+"!PUBLIC!"+strings.Repeat(said, 3_900))
		}
		return deaf
	}
	deaf, writer := fill(1), b.come(b.onion())
	many(8, writer, wire.Privmsg, writer.nick+"!"+deaf.nick+"!"+strings.Repeat(said, 3_900))
	b.reach(server.DroppedCrowded)
	b.reload(`write_timeout = "1m"`, `write_timeout = "500ms"`)
	fill(1)
	b.reach(server.EvictedNoProgress)
	b.reload(`outbox_age = "1m"`, `outbox_age = "500ms"`)
	fill(1)
	b.reach(server.EvictedOutboxAge)
	b.reload()
	fill(7)
	b.reach(server.EvictedOutboxFull)
}

// silent has newcomers refused by a directory that is full or wants proofs, and peers ended that give no sign of life.
func (b *busyRun) silent() {
	b.come(b.onion(), wire.FeaturePing)
	b.come(b.onion())
	b.come(wire.Location{})
	b.reload("max_peers = 400", "max_peers = 1")
	b.refused("", b.onion())
	b.reload("prefer_verified", "require_verified", `ping_idle = "1m"`, `ping_idle = "10ms"`, `pong_timeout = "1m"`, `pong_timeout = "100ms"`,
		`idle = "10m"`, `idle = "1s"`)
	b.refused("", b.onion())
	b.reach(server.EvictedNoPong, server.EvictedIdle, server.EvictedLegacyIdle)
	b.reload()
	b.come(b.onion()) // and is here when the server stops
}
