package server

import (
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server/wire"
)

// counters are what the server has done since it was made.
type counters struct {
	accepted, handshakes                   atomic.Uint64
	linesIn, bytesIn, bytesOut, deliveries atomic.Uint64
	public, private, peerlists             atomic.Uint64
	held, circuitsClosed                   atomic.Uint64
	offers                                 offerCounts
	reasons                                [numReasons]atomic.Uint64
}

// Status is the state of a server in numbers. It never names anybody.
type Status struct {
	Network     string        // the bitcoin network served
	Uptime      time.Duration // since New
	Peers       int           // handshaked
	Makers      int           // of these, serving or with an offer
	Verified    int           // of these peers, with a proven nick
	Handshaking int           // connected, not handshaked
	MaxPeers    int

	Accepted   uint64 // connections
	Handshakes uint64 // accepted ones
	Public     uint64 // public messages forwarded
	Private    uint64 // private messages forwarded
	Peerlists  uint64 // peer lists sent
	LinesIn    uint64 // lines received
	BytesIn    uint64 // bytes received
	Deliveries uint64 // lines written out
	Held       uint64 // messages that had to wait: their sender was above a rate, a budget was used up, or most receivers were behind
	BytesOut   uint64 // bytes written out

	Circuits       int    // with connections; 0 where Tor does not tell them
	CircuitsSeen   uint64 // that had one, since New; one that comes back after long counts again
	CircuitsClosed uint64 // for violations
	Waiting        int    // public messages that wait for a budget now

	Offers map[wire.OfferType]int // announced and not cancelled by those who are here; every type is there
	// Reachable and Unreachable are peers that serve, by whether the check of their location found them; Unchecked are the
	// others that serve.
	Reachable, Unreachable, Unchecked int

	OutboxBytes int               // waiting in outboxes now, shared frames counted for each receiver
	Stalled     int               // peers whose socket takes nothing now
	Oldest      time.Duration     // age of the oldest message that waits for one of them
	Draining    bool              // newcomers are refused
	Reasons     map[Reason]uint64 // by reason, those that happened
}

// Status returns the state now.
func (s *Server) Status() Status {
	n := &s.count
	st := Status{
		Network: s.opt().Network, Uptime: time.Duration(s.now()), MaxPeers: s.opt().MaxPeers,
		Handshaking: s.pool.len(), Draining: s.Draining(),
		Offers: n.offers.all(),
		Held:   n.held.Load(), CircuitsClosed: n.circuitsClosed.Load(), Waiting: s.waiting(),
		Accepted: n.accepted.Load(), Handshakes: n.handshakes.Load(),
		Public: n.public.Load(), Private: n.private.Load(), Peerlists: n.peerlists.Load(),
		LinesIn: n.linesIn.Load(), BytesIn: n.bytesIn.Load(),
		Deliveries: n.deliveries.Load(), BytesOut: n.bytesOut.Load(),
		Reasons: make(map[Reason]uint64),
	}
	st.Circuits, st.CircuitsSeen = s.circuits.len()
	for r := range n.reasons {
		if v := n.reasons[r].Load(); v > 0 {
			st.Reasons[Reason(r)] = v
		}
	}
	s.registry.each(func(p *peer) {
		if p.own {
			return
		}
		st.Peers++
		if p.listed() {
			st.Makers++
		}
		if p.verified {
			st.Verified++
		}
		switch {
		case !p.serves():
		case p.reachable.Load() != nil:
			st.Reachable++
		case p.unreachable.Load():
			st.Unreachable++
		default:
			st.Unchecked++
		}
	})
	now := s.now()
	for _, f := range s.flushers {
		f.mu.Lock()
		st.OutboxBytes += f.backlog // by the flusher's own account: what that forgot to take off would hold senders back for ever
		for _, c := range f.members {
			if c.out.state == outboxStalled {
				st.Stalled++
				st.OutboxBytes += c.out.bytes
				if born := c.out.oldest(); born != 0 {
					st.Oldest = max(st.Oldest, time.Duration(now-born))
				}
			}
		}
		f.mu.Unlock()
	}
	return st
}

// AllOffers returns how many offers there are of all types.
func (st Status) AllOffers() (n int) {
	for _, of := range st.Offers {
		n += of
	}
	return n
}

// waiting returns how many public messages wait for a budget.
func (s *Server) waiting() int {
	return s.budgets[scarceOrderbooks].waiting() + s.budgets[scarcePublicBytes].waiting() + s.budgets[scarceDeliveries].waiting()
}

// Fields returns the status for a log line.
func (st Status) Fields() logrus.Fields {
	f := logrus.Fields{
		"network": st.Network, "uptime": st.Uptime.Round(time.Second).String(),
		"peers": st.Peers, "makers": st.Makers, "verified": st.Verified, "handshaking": st.Handshaking, "max_peers": st.MaxPeers,
		"accepted": st.Accepted, "handshakes": st.Handshakes,
		"public": st.Public, "private": st.Private, "peerlists": st.Peerlists,
		"lines_in": st.LinesIn, "bytes_in": st.BytesIn, "deliveries": st.Deliveries, "bytes_out": st.BytesOut,
		"offers": st.AllOffers(),
		"held":   st.Held, "circuits": st.Circuits, "circuits_closed": st.CircuitsClosed,
		"outbox_bytes": st.OutboxBytes, "stalled": st.Stalled,
	}
	for r, v := range st.Reasons {
		f[r.Kind()+"_"+r.String()] = v
	}
	return f
}
