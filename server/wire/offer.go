package wire

import (
	"bytes"
	"math"
)

// An OfferType is a family of offers, for counting: a closed set, so that it can be a metric's label. It says nothing of
// whether an offer is good; a directory passes on those that it does not know as well (protocol.md 6.1).
type OfferType uint8

// The families of protocol.md 6.1, and all others.
const (
	OfferSW0Rel OfferType = iota
	OfferSW0Abs
	OfferSWRel
	OfferSWAbs
	OfferRel
	OfferAbs
	OfferTR0Rel
	OfferTR0Abs
	OfferOther

	NumOfferTypes
)

var offerNames = [NumOfferTypes]string{
	"sw0reloffer", "sw0absoffer", "swreloffer", "swabsoffer", "reloffer", "absoffer", "tr0reloffer", "tr0absoffer", "other",
}

// String returns the family's command, or "other".
func (t OfferType) String() string {
	if t >= NumOfferTypes {
		return "unknown"
	}
	return offerNames[t]
}

// offerType returns the family of a command that announces an offer.
func offerType(name []byte) OfferType {
	for t, known := range offerNames[:OfferOther] {
		if string(name) == known {
			return OfferType(t)
		}
	}
	return OfferOther
}

// NoOfferID stands for all offers of a peer whose id is no number, or one of more than nine digits.
const NoOfferID = math.MaxUint32

// An Offer is what a public command says of one offer of its sender: that there is one, or that there is none any more.
type Offer struct {
	Type      OfferType // not of a cancelled one
	ID        uint32    // unique among the sender's offers, whatever their types; NoOfferID
	Cancelled bool
}

var cancel = []byte("cancel")

// NextOffer returns the first command of a public body that announces or cancels an offer, and what follows it; false if
// there is none. Nothing is checked (see AnnouncesOffer for the names), because the body is passed on as it is. It MUST NOT
// allocate.
func NextOffer(body []byte) (o Offer, rest []byte, ok bool) {
	for more := true; more; {
		var command []byte
		command, body, more = bytes.Cut(body, separator)
		name, args, _ := bytes.Cut(command, blank)
		switch {
		case announces(name):
			return Offer{Type: offerType(name), ID: offerID(args)}, body, true
		case bytes.Equal(name, cancel):
			return Offer{ID: offerID(args), Cancelled: true}, body, true
		}
	}
	return Offer{}, nil, false
}

// offerID reads the first argument.
func offerID(args []byte) uint32 {
	digits, _, _ := bytes.Cut(args, blank)
	if len(digits) == 0 || len(digits) > 9 {
		return NoOfferID
	}
	id := uint32(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return NoOfferID
		}
		id = 10*id + uint32(c-'0')
	}
	return id
}
