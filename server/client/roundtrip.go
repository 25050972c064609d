package client

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"jm-directory-server/server/wire"
)

// A Stage is the part of a round trip that failed. It is a metric's label.
type Stage string

// The stages, in their order.
const (
	StageDial      Stage = "dial"       // no connection
	StageHandshake Stage = "handshake"  // connected, but no proper answer
	StageRefused   Stage = "refused"    // the answer is no
	StageRoundTrip Stage = "round_trip" // accepted, but messages do not arrive
)

// Stages are all stages, in their order.
var Stages = []Stage{StageDial, StageHandshake, StageRefused, StageRoundTrip}

// A StageError is a round trip that failed.
type StageError struct {
	Stage Stage // where
	Err   error // why
}

// Error names the stage and why.
func (e *StageError) Error() string { return string(e.Stage) + ": " + e.Err.Error() }

// Unwrap returns why.
func (e *StageError) Unwrap() error { return e.Err }

// A Trip is how long the parts of a round trip took.
type Trip struct {
	Dial      time.Duration // to two connections
	Handshake time.Duration // of the slower of the two
	Message   time.Duration // a private message there and one back
}

// NewNick returns a fresh nick of a key that is forgotten.
func NewNick() (string, error) {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return "", fmt.Errorf("nick: %w", err)
	}
	return wire.NickFromPubKey(key.PubKey().SerializeCompressed())
}

// RoundTrip connects two peers of these nicks, neither of them serving, and has a private message go from the first to the second and
// one back: everything that a client needs of a directory. The error is a *StageError.
func RoundTrip(ctx context.Context, network string, nicks [2]string, dial func(context.Context) (net.Conn, error)) (Trip, error) {
	var trip Trip
	var peers [2]*Conn
	for i := range peers {
		begun := time.Now()
		conn, err := dial(ctx)
		if err != nil {
			return trip, &StageError{StageDial, err}
		}
		peers[i] = New(conn)
		defer peers[i].Close()
		trip.Dial += time.Since(begun)
	}
	for i, p := range peers {
		begun := time.Now()
		_, err := p.Handshake(ctx, wire.Handshake{Nick: nicks[i], Network: network, Features: []string{wire.FeaturePing}})
		if _, refused := err.(*RefusedError); refused {
			return trip, &StageError{StageRefused, err}
		}
		if err != nil {
			return trip, &StageError{StageHandshake, err}
		}
		trip.Handshake = max(trip.Handshake, time.Since(begun))
	}
	begun := time.Now()
	for i, p := range peers {
		line := nicks[i] + "!" + nicks[1-i] + "!check"
		if err := p.Send(ctx, wire.Privmsg, []byte(line)); err != nil {
			return trip, &StageError{StageRoundTrip, err}
		}
		// Whatever others say publicly comes here too.
		got, err := peers[1-i].Expect(ctx, wire.Privmsg, wire.Pubmsg, wire.Peerlist)
		if err != nil {
			return trip, &StageError{StageRoundTrip, err}
		}
		if string(got) != line {
			return trip, &StageError{StageRoundTrip, fmt.Errorf("%w: another private message", ErrUnexpected)}
		}
	}
	trip.Message = time.Since(begun)
	return trip, nil
}
