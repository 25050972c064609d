package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
	"jm-directory-server/server"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// busyText has a busyRun reach bounds with few messages, and wait for nothing for long.
const busyText = `network = "signet"
state_dir = %q
location = "` + testOnion + `:5222"
[tor]
mode = "off"
[log]
level = "debug"
[listen]
address = %q
proxy_protocol = true
[nick_auth]
directory_id = "test:whole"
mode = "prefer_verified"
timeout = "5s"
[limits]
max_peers = 400
max_handshakes = 40
max_nicks_per_host = 3
handshake_timeout = "3s"
line_timeout = "1s"
patience = "20ms"
message_burst = 20
peerlist_rate = 50
control_rate = 50
control_burst = 20
bytes_burst = 400000
public_bytes_rate = 0
orderbook_rate = 1
orderbook_burst = 1
max_violations = 100
outbox_bytes = 1048576
outbox_share = 4096
outbox_age = "1m"
write_timeout = "1m"
[circuits]
max_closes = 1
[offers]
max = 2
max_bytes = 200
rate = 20
burst = 3
[heartbeat]
conflict_timeout = "100ms"
ping_idle = "1m"
pong_timeout = "1m"
evict_idle = "10m"
legacy_idle = "10m"
sweep_interval = "10ms"
[peers]
departure_delay = "100ms"
`

// said is in everything that peers of a busyRun say.
const said = "secretbody"

// A busyRun is a program that has to do with peers of every kind, so that each server.Reason occurs that can.
type busyRun struct {
	*wholeProgram
	peers   int               // how many have been here; each has a number, which is that of its circuit and of its nick
	onions  int               // how many have been named
	secrets []string          // nicks, onions and keys of those who took part, besides the nicks by number
	written map[string]string // what the program has written, by where
}

// elsewhere are the reasons that a busyRun does not reach, and why.
var elsewhere = map[server.Reason]string{
	server.EvictedNoFile:        "see TestFileLimitReached",
	server.EvictedShutdown:      "comes last",
	server.RefusedOther:         "is a fault of the server",
	server.RefusedProofNotReady: "needs a directory without an address",
	server.RefusedProofPolicy:   "needs two keys with one nick",
	server.DroppedTooLong:       "needs a line that grows when it is written, and none does",
	server.DroppedDisplaced:     "needs a take-over in the moment in which the owner's message waits",
}

// dialNext connects over a circuit of its own, and returns a nick to go with it.
func (b *busyRun) dialNext() (*onionPeer, string) {
	b.t.Helper()
	b.peers++
	return b.dial(b.peers), wholeNick(b.peers)
}

// come has a peer join.
func (b *busyRun) come(l wire.Location, features ...string) *onionPeer {
	b.t.Helper()
	p, nick := b.dialNext()
	b.accepts(true, b.hello(p, nick, l, features...))
	return p
}

// refused has a newcomer ask for a nick, or, if that is "", for one of its own, in vain.
func (b *busyRun) refused(nick string, l wire.Location) {
	b.t.Helper()
	p, own := b.dialNext()
	if nick == "" {
		nick = own
	}
	b.accepts(false, b.hello(p, nick, l))
}

func (b *busyRun) accepts(want bool, answer string) {
	b.t.Helper()
	if strings.Contains(answer, `"accepted": true`) != want {
		b.t.Fatalf("want accepted %v, got %s", want, answer)
	}
}

// onion returns one that nobody has named before.
func (b *busyRun) onion() wire.Location {
	b.t.Helper()
	b.onions++
	var expanded [64]byte
	binary.LittleEndian.PutUint16(expanded[:], uint16(8*b.onions)) // clamped, with the next line, as the scalar of a key must be
	expanded[31] = 64
	key, err := onion.KeyFromExpanded(expanded)
	if err != nil {
		b.t.Fatal(err)
	}
	public := key.PublicKey()
	b.secrets = append(b.secrets, key.Address(), string(public[:]))
	return wire.Location{Host: key.Address(), Port: 5222}
}

// prover makes the handshake of the owner of the i-th key, and returns what answers its challenge.
func (b *busyRun) prover(i int) (p *onionPeer, proof string) {
	b.t.Helper()
	seed := sha256.Sum256([]byte{byte(i)})
	key := secp256k1.PrivKeyFromBytes(seed[:])
	public := wire.PubKey(key.PubKey().SerializeCompressed())
	nick, err := wire.NickFromPubKey(public[:])
	if err != nil {
		b.t.Fatal(err)
	}
	b.secrets = append(b.secrets, nick, string(public[:]))
	p, _ = b.dialNext()
	h := wire.Handshake{Nick: nick, Location: b.onion(), Network: "signet", Features: []string{wire.FeatureNickAuth}}
	b.accepts(true, b.hello(p, nick, h.Location, h.Features...))
	challenge, err := wire.ParseChallenge([]byte(b.line(p)))
	if err != nil {
		b.t.Fatal(err)
	}
	claim := wire.Claim{Challenge: challenge, Handshake: sha256.Sum256(h.AppendLine(nil)), Nick: nick}
	digest := claim.Digest(public)
	return p, string(wire.AppendProof(nil, public, ecdsa.Sign(key, digest[:]).Serialize()))
}

// line is the next that p reads.
func (b *busyRun) line(p *onionPeer) string {
	b.t.Helper()
	_, line, err := p.next()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", p.nick, err, b.log())
	}
	return line
}

// many sends the same again and again, unless the connection is closed meanwhile.
func many(count int, p *onionPeer, t wire.Type, line string) {
	for range count {
		if p.send(t, line) != nil {
			return
		}
	}
}

// reach waits until these reasons have occurred.
func (b *busyRun) reach(reasons ...server.Reason) {
	b.t.Helper()
	for _, r := range reasons {
		b.eventually(r.Kind()+" "+r.String(), func() bool {
			var now admin.Report
			if err := json.Unmarshal([]byte(b.get("/status")), &now); err != nil {
				b.t.Fatal(err)
			}
			return now.Reasons[r.Kind()][r.String()] > 0
		})
	}
}

// reload puts another configuration in force: busyText, with each odd line of changes in the place of the even one before it.
func (b *busyRun) reload(changes ...string) {
	b.t.Helper()
	const done = "configuration is read anew"
	before := strings.Count(b.log(), done)
	b.configure(strings.NewReplacer(changes...).Replace(busyText))
	b.signal(unix.SIGHUP)
	b.eventually("the configuration is in force", func() bool { return strings.Count(b.log(), done) > before })
}
