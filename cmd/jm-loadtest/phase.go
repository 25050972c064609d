package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"jm-directory-server/server/wire"
)

// A phase is one measurement with the peers of a fleet: who sends, who must receive, and what came. Exactly one is
// current; messages of others are not counted.
type phase struct {
	id       uint32 // in every stamp
	fleet    *fleet
	senders  []*sender
	measured atomic.Int64 // now() from which on latency counts; what was sent before is warm-up
	stopped  atomic.Bool  // nothing more is sent by itself
	stalls   atomic.Int64 // places of the window that lost their message

	// Lengths of the texts that must come.
	publicText, privateText, answerText int

	// The next number that each receiver waits for. Public messages: of each sender. Private ones: of the one sender
	// that writes to it. Answers to orderbook: of each sender to the one taker.
	public, private, answers []uint32
	taker                    *peer

	slots []slot
	pairs bool // a place belongs to a pair, and what came makes room for as many
	light bool // there is one place, for which the senders take turns
	apart bool // the time that private messages take is recorded apart
	turn  atomic.Uint32

	mu        sync.Mutex
	receivers int    // peers that count
	present   []bool // which they are, by id
	expected  int64  // deliveries due so far, to receivers that did not end

	tallies []*tally // one for each reader

	// What the scenario wants to know. Called by readers.
	onOrderbook func(p *peer, from []byte)
	onPeerlist  func(r *reader, p *peer, text []byte, size int, at int64)
	onEnd       func(p *peer)
}

// A sender sends the messages of a phase, numbered from 0.
type sender struct {
	peer     *peer
	to       *peer // nil: everybody
	number   uint32
	template template

	mu     sync.Mutex // held from number to write, so that the order is that of the numbers
	buffer []byte

	// Guarded by phase.mu.
	seq    uint32 // the next number
	here   bool   // the sender has not ended
	toHere bool   // nor has the one that it sends to
}

// newPhase prepares a phase of a fleet; f.enter makes it current.
func newPhase(f *fleet) *phase {
	ph := &phase{id: rand.Uint32(), fleet: f}
	for range f.readers {
		ph.tallies = append(ph.tallies, new(tally))
	}
	return ph
}

// addPublic makes p a sender to everybody, with messages of size bytes.
func (ph *phase) addPublic(p *peer, size int) error {
	t, err := newTemplate(wire.Pubmsg, p.nick, wire.Public, commitment, size)
	if err != nil {
		return err
	}
	ph.publicText = t.text
	ph.senders = append(ph.senders, &sender{peer: p, number: uint32(len(ph.senders)), template: t})
	return nil
}

// addPrivate makes p the one who sends to another, with messages of size bytes.
func (ph *phase) addPrivate(p, to *peer, size int) error {
	t, err := newTemplate(wire.Privmsg, p.nick, to.nick, commitment, size)
	if err != nil {
		return err
	}
	ph.privateText = t.text
	ph.senders = append(ph.senders, &sender{peer: p, to: to, number: uint32(len(ph.senders)), template: t})
	return nil
}

// addAnswer makes p one who answers the orderbook of the taker.
func (ph *phase) addAnswer(p *peer) error {
	t, err := newTemplate(wire.Privmsg, p.nick, ph.taker.nick, offer, answerSize)
	if err != nil {
		return err
	}
	ph.answerText = t.text
	ph.senders = append(ph.senders, &sender{peer: p, to: ph.taker, number: uint32(len(ph.senders)), template: t})
	return nil
}

// allocate makes the tables of numbers, once all senders are known.
func (ph *phase) allocate() {
	n := len(ph.fleet.peers)
	ph.present = make([]bool, n)
	if ph.publicText > 0 {
		ph.public = make([]uint32, n*len(ph.senders))
	}
	if ph.privateText > 0 {
		ph.private = make([]uint32, n)
	}
	if ph.answerText > 0 {
		ph.answers = make([]uint32, len(ph.senders))
	}
}

// nextPublic is the number that receiver p waits for from sender s.
func (ph *phase) nextPublic(p *peer, s uint32) *uint32 {
	return &ph.public[p.id*len(ph.senders)+int(s)]
}

// nextPrivate is the same for private messages and answers.
func (ph *phase) nextPrivate(p *peer, s uint32) *uint32 {
	if p == ph.taker {
		return &ph.answers[s]
	}
	return &ph.private[p.id]
}

// next is the number that p waits for from s, or nil where s sends nothing to p.
func (ph *phase) next(p *peer, s *sender) *uint32 {
	switch {
	case s.to == nil && s.peer != p:
		return ph.nextPublic(p, s.number)
	case s.to == p:
		return ph.nextPrivate(p, s.number)
	}
	return nil
}

// count makes p a receiver. For p's reader.
func (ph *phase) count(p *peer) {
	if p.counted == ph || p.deaf {
		return
	}
	p.counted = ph
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.receivers++
	ph.present[p.id] = true
	p.base = nil
	for i, s := range ph.senders {
		s.mark(p, true)
		if n := ph.next(p, s); n != nil {
			*n = s.seq
			if s.seq > 0 {
				if p.base == nil {
					p.base = make([]uint32, len(ph.senders))
				}
				p.base[i] = s.seq
			}
		}
	}
}

// mark notes that p, who may be at either end, has come or gone. The phase's lock must be held.
func (s *sender) mark(p *peer, here bool) {
	if s.peer == p {
		s.here = here
	}
	if s.to == p {
		s.toHere = here
	}
}

// early reports whether a message was sent before p counted: it may come or not.
func (p *peer) early(sender, seq uint32) bool {
	return p.base != nil && seq < p.base[sender]
}

// leave forgives what p has not received, because it has ended. For p's reader.
func (ph *phase) leave(p *peer) {
	if p.counted != ph {
		return
	}
	p.counted = nil
	for _, place := range ph.forgive(p) {
		ph.send(ph.slots[place].from, place, now(), 1)
	}
}

// forgive takes p out, and returns the places that waited for nobody else.
func (ph *phase) forgive(p *peer) (free []uint32) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.receivers--
	ph.present[p.id] = false
	ph.expected -= ph.tallies[p.reader.id].forget(uint32(p.id))
	for _, s := range ph.senders {
		s.mark(p, false)
		if n := ph.next(p, s); n != nil {
			ph.expected -= int64(s.seq - *n)
		}
	}
	if ph.pairs {
		return nil
	}
	for i := range ph.slots {
		s := &ph.slots[i]
		seq := uint32(s.state.Load() >> 32)
		if n := ph.next(p, s.from); n != nil && *n <= seq && s.from.seq > seq && s.got(seq, 1) {
			free = append(free, uint32(i))
		}
	}
	return free
}

// due returns the deliveries due so far.
func (ph *phase) due() int64 {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return ph.expected
}

// sent returns how many messages were sent.
func (ph *phase) sent() (n int64) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	for _, s := range ph.senders {
		n += int64(s.seq)
	}
	return n
}

// unheard returns the deliveries that are missing because their sender was ended: messages that nobody has got, which
// the directory need not have read. For a phase that has ended.
func (ph *phase) unheard() (n int64) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	for _, s := range ph.senders {
		if s.here {
			continue
		}
		heard := uint32(0) // the messages before this one were got by somebody
		for i, p := range ph.fleet.peers {
			if next := ph.next(p, s); next != nil && ph.present[i] {
				heard = max(heard, *next)
			}
		}
		for i, p := range ph.fleet.peers {
			if next := ph.next(p, s); next != nil && ph.present[i] {
				n += int64(s.seq - max(heard, *next))
			}
		}
	}
	return n
}

// faults is what went wrong in a phase that has ended.
func (ph *phase) faults(t *tally) faults {
	return faults{
		Lost: max(ph.due()-ph.unheard()-t.distinct, 0), Duplicates: t.duplicates, Reordered: t.reordered,
		Damaged: t.damaged, Misdelivered: t.misdelivered,
	}
}
