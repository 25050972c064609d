// Package wire is the JoinMarket directory protocol without a network: framing, envelopes, handshakes, nicks,
// locations, peer lists, proofs of nicks and the addressing of messages. It does no I/O and keeps no state, so that the server, the load
// generator and the tests read and write the very same bytes.
//
// Everything that comes from outside is parsed strictly (RFC 8259 with unique names and valid Unicode, RFC 7493) and
// what goes out is always our own encoding of what was parsed; input bytes are never forwarded. The rules are those
// marked "R:" in protocol.md; comments name its sections.
//
// No error of this package carries bytes of a peer: they are safe to log and to count.
package wire
