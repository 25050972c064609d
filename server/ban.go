package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// BanKind says what a ban is of.
type BanKind string

// The kinds of bans.
const (
	// BanKey bans a nick whose owner has proven it (protocol.md 7), and so the key behind it: whoever asks
	// for that nick is refused.
	BanKey BanKind = "key"
	// BanNick bans a nick that nobody has proven. Anybody can have used it, so it does not keep out an owner
	// who proves it, and it should be short.
	BanNick BanKind = "nick"
	// BanCircuit bans a circuit of Tor for as long as it lives. It is never kept over a restart.
	BanCircuit BanKind = "circuit"
)

// MaxBanReason is the longest reason of a ban, in bytes of printable ASCII.
const MaxBanReason = 200

// A Ban keeps somebody out. It does not say whom: a nick is kept as a keyed hash, so that neither memory nor store
// hold the names of those who were here.
type Ban struct {
	ID      string    // short and random, to take the ban back by
	Kind    BanKind   //
	Subject [32]byte  // HMAC-SHA256 of the nick under the secret of the list; of a circuit its number, big-endian, last
	Reason  string    // for people, shown to the banned; at most MaxBanReason bytes
	Created time.Time //
	Expires time.Time // zero: never
}

// expired reports whether the ban is over.
func (b *Ban) expired(now time.Time) bool { return !b.Expires.IsZero() && !now.Before(b.Expires) }

// A BanJournal keeps bans over a restart. Its errors are told to whoever changes a ban; the ban is in force all the same.
type BanJournal interface {
	PutBan(Ban) error
	DeleteBan(id string) error // ErrNoSuchBan: it was not kept
}

// ErrNoSuchBan says that no ban has this id.
var ErrNoSuchBan = errors.New("no such ban")

// banList is what is banned now.
type banList struct {
	n atomic.Int64 // len(bans), so that a handshake costs nothing while nobody is banned

	// writing is held while the journal is told, which may take as long as the disk likes; mu is taken within it, never around it.
	// Only who makes a ban or takes one back waits for it.
	writing sync.Mutex

	mu      sync.RWMutex
	secret  [32]byte
	journal BanJournal // nil: bans are kept in memory only
	bans    map[[32]byte]Ban
}

func (l *banList) init() {
	l.bans = make(map[[32]byte]Ban)
	rand.Read(l.secret[:]) // crypto/rand never fails
}

// UseBans puts the bans of a journal in force, with the secret under which their subjects were made. It is to be
// called before Serve, once. Those that are expired are left out.
func (s *Server) UseBans(secret [32]byte, bans []Ban, journal BanJournal) {
	l := &s.bans
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secret, l.journal = secret, journal
	for _, b := range bans {
		if !b.expired(time.Now()) {
			l.bans[b.Subject] = b
		}
	}
	l.n.Store(int64(len(l.bans)))
}

// subject is what a nick is kept as. The list's lock must be held.
func (l *banList) subject(nick string) (subject [32]byte) {
	mac := hmac.New(sha256.New, l.secret[:])
	mac.Write([]byte(nick))
	mac.Sum(subject[:0])
	return subject
}

// circuitSubject is what a circuit is kept as; it cannot be the HMAC of a nick.
func circuitSubject(id uint64) (subject [32]byte) {
	for i := range 8 {
		subject[31-i] = byte(id >> (8 * i))
	}
	return subject
}

// nick returns the ban that keeps this nick out; proven says that its owner proves or has proven it.
func (l *banList) nick(nick string, proven bool) (Ban, bool) {
	if l.n.Load() == 0 {
		return Ban{}, false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	b, ok := l.bans[l.subject(nick)]
	if !ok || b.expired(time.Now()) || b.Kind == BanNick && proven {
		return Ban{}, false
	}
	return b, true
}

// circuit returns the ban that keeps this circuit out.
func (l *banList) circuit(id uint64) (Ban, bool) {
	if l.n.Load() == 0 {
		return Ban{}, false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	b, ok := l.bans[circuitSubject(id)]
	return b, ok && !b.expired(time.Now())
}

// put adds or replaces a ban. Its id is made here. One that is changed gets no weaker: its owner has proven the nick before, and
// only need be away to be somebody whom nobody knows. It keeps its reason, too, unless there is a new one.
func (l *banList) put(b Ban) Ban {
	var id [4]byte
	rand.Read(id[:])
	b.ID = hex.EncodeToString(id[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	old, replaces := l.bans[b.Subject]
	if replaces {
		b.ID = old.ID
	}
	if replaces && !old.expired(time.Now()) {
		if old.Kind == BanKey {
			b.Kind = BanKey
		}
		if b.Reason == "" {
			b.Reason = old.Reason
		}
	}
	l.bans[b.Subject] = b
	l.n.Store(int64(len(l.bans)))
	return b
}

// remove takes a ban back, by its id, and returns it.
func (l *banList) remove(id string) (Ban, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for subject, b := range l.bans {
		if b.ID == id {
			delete(l.bans, subject)
			l.n.Store(int64(len(l.bans)))
			return b, true
		}
	}
	return Ban{}, false
}

// keep brings the journal up to date after b was put or removed, and returns its error. It writes what is true when it is
// its turn, not what was when b changed: however many wait for the disk, and in whatever order they get there, the journal
// ends with what is in force.
func (l *banList) keep(b Ban) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.RLock()
	journal := l.journal
	now, ok := l.bans[b.Subject]
	l.mu.RUnlock()
	if journal == nil || b.Kind == BanCircuit {
		return nil
	}
	if ok && now.ID == b.ID {
		return journal.PutBan(now)
	}
	if err := journal.DeleteBan(b.ID); !errors.Is(err, ErrNoSuchBan) {
		return err
	}
	return nil
}

// sweep forgets the bans that are over. The journal drops them by itself.
func (l *banList) sweep(now time.Time) {
	if l.n.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for subject, b := range l.bans {
		if b.expired(now) {
			delete(l.bans, subject)
		}
	}
	l.n.Store(int64(len(l.bans)))
}

// list returns the bans in force, oldest first.
func (l *banList) list(now time.Time) []Ban {
	l.sweep(now)
	l.mu.RLock()
	defer l.mu.RUnlock()
	bans := make([]Ban, 0, len(l.bans))
	for _, b := range l.bans {
		bans = append(bans, b)
	}
	slices.SortFunc(bans, func(a, b Ban) int { return a.Created.Compare(b.Created) })
	return bans
}
