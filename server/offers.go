package server

import (
	"slices"
	"sync/atomic"

	"jm-directory-server/server/wire"
)

// maxOffers bounds how many offers of one connection are counted, 8 bytes each. Further ones are passed on like all
// others, and not counted.
const maxOffers = 256

// OfferLimits bound the announcements of offers of one connection. By default none does: the directory passes on
// what it does not judge.
type OfferLimits struct {
	// Max is how many offers it may have at a time; a message with another one is dropped. 0: no limit; at most 256.
	Max int
	// Bytes is how long the body of a message with an offer may be. 0: no limit.
	Bytes int
	// Rate bounds the messages with an offer. They pay for Rates.Public as well.
	Rate Rate
}

// An offer is all that is kept of an announcement.
type offer struct {
	id   uint32
	kind wire.OfferType
}

// offers are those that a connection has announced and not cancelled, in no order. Only its reading goroutine uses them.
type offers []offer

// offerCounts are the offers of all connections, by type.
type offerCounts [wire.NumOfferTypes]atomic.Int64

// with returns what a public body makes of its sender's offers, at most most of them, in the same memory where they fit. over says
// that there was one too many, which is left out. counts, unless it is nil, follows.
func (o offers) with(body []byte, most int, counts *offerCounts) (next offers, over bool) {
	for {
		said, rest, ok := wire.NextOffer(body)
		if !ok {
			return o, over
		}
		body = rest
		i := slices.IndexFunc(o, func(known offer) bool { return known.id == said.ID })
		switch {
		case said.Cancelled:
			if i >= 0 {
				counts.add(o[i].kind, -1)
				last := len(o) - 1
				o[i] = o[last]
				o = o[:last]
			}
		case i >= 0:
			if was := o[i].kind; was != said.Type {
				counts.add(was, -1)
				counts.add(said.Type, 1)
				o[i].kind = said.Type
			}
		case len(o) < most:
			counts.add(said.Type, 1)
			o = append(o, offer{said.ID, said.Type})
		default:
			over = true
		}
	}
}

// exceeds reports whether a public body adds an offer to as many as may be there.
func (o offers) exceeds(body []byte, most int) bool {
	var room [maxOffers]offer
	_, over := offers(append(room[:0], o...)).with(body, max(len(o), most), nil)
	return over
}

// drop takes all of them out of counts.
func (o offers) drop(counts *offerCounts) {
	for _, known := range o {
		counts.add(known.kind, -1)
	}
}

func (n *offerCounts) add(kind wire.OfferType, by int64) {
	if n != nil {
		n[kind].Add(by)
	}
}

// all returns the counts of all types.
func (n *offerCounts) all() map[wire.OfferType]int {
	all := make(map[wire.OfferType]int, len(n))
	for kind := range n {
		all[wire.OfferType(kind)] = int(n[kind].Load())
	}
	return all
}

// offerable looks at a public body that announces an offer, and returns the reason for which it is to be dropped, or
// ReasonNone.
func (c *conn) offerable(body []byte) Reason {
	o := c.s.opt().Offers
	switch {
	case o.Bytes > 0 && len(body) > o.Bytes:
		return DroppedOfferSize
	case o.Max > 0 && c.limits.offers.exceeds(body, o.Max):
		return DroppedOfferLimit
	case !c.take(classOffer, 1):
		return DroppedRateOffer
	}
	return ReasonNone
}
