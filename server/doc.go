// Package server is the directory: it accepts connections, answers handshakes, keeps the registry of
// peers, routes their messages and says who has left. It knows nothing of Tor: it is given a net.Listener
// whose connections are sockets, and where they carry a circuit id it asks them for it.
//
// The path of a message:
//
//	accept → handshake (793/795, with nick proofs 803/805/807) → registry
//	read:  parked until readable → a reader with a pooled buffer → one strict parse → router
//	route: pubmsg → one shared frame → the outbox of every other peer
//	       privmsg → one lookup → the lane of the target's outbox (+ the sender's location, once per pair)
//	write: outbox dirty → flusher (one per core) takes what has gathered → one writev, never blocking
//
// What must hold:
//
//   - A frame is encoded once, is immutable until its last reference is released, and is shared by all
//     outboxes that hold it. Input bytes are never forwarded.
//   - A silent peer costs no goroutine and no buffer.
//   - No sender waits for a receiver. A sender waits for a flusher that is behind, and a flusher
//     never waits for anybody; and for a bounded time while most receivers read and cannot keep up (pressure).
//     A receiver that does not keep up when others do is closed with a counted reason.
//   - A private message overtakes what others have said to all, and nothing of its own sender. Nothing that is queued after a
//     private message, to the same receiver, overtakes it.
//   - Broadcasts have their share of what a receiver reads, however much waits in its lane (laneAhead).
//   - A probe, and the answer to a ping, goes before all that waits: neither side takes the other for dead for what is not written.
//   - Nothing precedes the handshake answer on a connection: its last line is queued in the same critical
//     section that makes the peer visible.
//   - The departure of a nick is queued before anything that its next owner sends.
//   - A nick that was proven is replaced only by who proves it as well.
//
// # Locks
//
// They are taken in this order, and never held across I/O:
//
//	Server.reload      changes of the options, one at a time
//	peerlistCache.mu   the prepared peer list
//	locationChecks.mu  the checks that wait; never together with the one above
//	registry.mu        nicks, hosts, departures not yet announced
//	flusher.mu         outboxes and broadcast set of one flusher; one flusher's lock at a time
//	banList.mu         what is banned; never together with the one above
//
// Within Server.reload or alone, and taking no other: budget.mu (who waits for a budget), circuits.mu (what is known of
// circuits), sharedBuckets.mu (the token buckets of one circuit) and ownNicks.mu (the nicks under which the directory looks
// at itself).
//
// Three are held for a moment within any of these or none, and take no other: poller.mu, socket.mu and pressure.mu.
// Two are taken alone: handshakePool.mu (connections that have not finished their handshake) and Server.mu (the
// set of all connections, and whether the server stops). One is held across I/O, the journal's writes:
// banList.writing, before banList.mu, by who makes a ban or takes one back, and by nobody else.
package server
