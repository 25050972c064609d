package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// BanKind says what a ban is about.
type BanKind string

// Kinds of bans.
const (
	BanKey  BanKind = "key"  // the public key that a peer has proven to own
	BanNick BanKind = "nick" // a nick, proven or not
)

// Bounds of bans.
const (
	MaxBans   = 10_000
	MaxReason = 200 // bytes
	maxBanID  = 64  // bytes
)

// A Ban keeps a peer out.
type Ban struct {
	ID      string    // 1 to 64 of a-z, 0-9 and "-"
	Kind    BanKind   // what Subject is of
	Subject [32]byte  // keyed hash of the nick, made by the owner of the list with Secret
	Reason  string    // for the operator; printable ASCII, at most MaxReason bytes
	Created time.Time // to the second, UTC
	Expires time.Time // to the second, UTC; zero for never
}

// Secret returns the key under which the owner of the list hashes whom a ban keeps out. It is made with the file and never
// changes: with another one all bans would be void.
func (s *Store) Secret() [32]byte { return s.secret }

// expired says that a ban is over.
func (b *Ban) expired(now time.Time) bool { return !b.Expires.IsZero() && !b.Expires.After(now) }

// check returns what is wrong with a ban, as an error that wraps ErrInvalid.
func (b *Ban) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("ban: %w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	if b.ID == "" || len(b.ID) > maxBanID || strings.Trim(b.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return wrong("the ID must have 1 to %d characters of a-z, 0-9 and -", maxBanID)
	}
	if b.Kind != BanKey && b.Kind != BanNick {
		return wrong("kind %q is neither %q nor %q", string(b.Kind), BanKey, BanNick)
	}
	if len(b.Reason) > MaxReason {
		return wrong("the reason has %d bytes, %d are allowed", len(b.Reason), MaxReason)
	}
	for i := range len(b.Reason) {
		if c := b.Reason[i]; c < ' ' || c > '~' {
			return wrong("the reason may contain printable ASCII only")
		}
	}
	if b.Created.Unix() < 0 || !b.Expires.IsZero() && b.Expires.Unix() <= 0 {
		return wrong("a time before 1970")
	}
	return nil
}

// PutBan adds a ban, or replaces that with the same ID. Errors wrap ErrInvalid, ErrFull, or what the disk said.
func (s *Store) PutBan(b Ban) error {
	if err := b.check(); err != nil {
		return err
	}
	var full error
	err := s.write("ban", func(tx *bbolt.Tx) error {
		if err := purgeBans(tx, time.Now()); err != nil {
			return err
		}
		bans := tx.Bucket(bansBucket)
		if bans.Get([]byte(b.ID)) == nil && bans.Stats().KeyN >= MaxBans {
			full = fmt.Errorf("ban: %w: there are %d", ErrFull, MaxBans)
			return nil
		}
		return put(bans, []byte(b.ID), b.encode())
	})
	if err != nil {
		return err
	}
	return full
}

// DeleteBan lifts a ban. Errors wrap ErrNoBan, or what the disk said.
func (s *Store) DeleteBan(id string) error {
	var none error
	err := s.write("ban", func(tx *bbolt.Tx) error {
		bans := tx.Bucket(bansBucket)
		if id == "" || bans.Get([]byte(id)) == nil {
			none = fmt.Errorf("ban %.64q: %w", id, ErrNoBan)
			return nil
		}
		return bans.Delete([]byte(id))
	})
	if err != nil {
		return err
	}
	return none
}

// Bans returns those that are not over, oldest first. Those that are it removes; a disk that does not let it
// is no error here, but seen in Health.
func (s *Store) Bans() ([]Ban, error) {
	now := time.Now()
	var list []Ban
	over := false
	err := s.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bansBucket).ForEach(func(key, sealed []byte) error {
			b, err := readBan(key, sealed)
			if err != nil {
				return err
			}
			if b.expired(now) {
				over = true
			} else {
				list = append(list, b)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: bans: %w", err)
	}
	if over && !s.readOnly {
		s.write("bans that are over", func(tx *bbolt.Tx) error { return purgeBans(tx, now) })
	}
	slices.SortFunc(list, func(a, b Ban) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// purgeBans removes the bans that are over.
func purgeBans(tx *bbolt.Tx, now time.Time) error {
	bans := tx.Bucket(bansBucket)
	var over [][]byte // a cursor loses its place when something is deleted
	err := bans.ForEach(func(key, sealed []byte) error {
		b, err := readBan(key, sealed)
		if err == nil && b.expired(now) {
			over = append(over, key)
		}
		return err
	})
	for _, key := range over {
		if err == nil {
			err = bans.Delete(key)
		}
	}
	return err
}

func readBan(key, sealed []byte) (Ban, error) {
	value, err := unseal(key, sealed)
	if err != nil {
		return Ban{}, err
	}
	return decodeBan(key, value)
}

// A ban of version 1 is: version 1, kind 1 (1 key, 2 nick), subject 32, created 8, expires 8 (0 for never), both in
// seconds since 1970, big-endian; the rest is the reason. The key is the ID.
const (
	banVersion = 1
	banFixed   = 1 + 1 + 32 + 8 + 8
)

var banKinds = []BanKind{1: BanKey, 2: BanNick}

func (b *Ban) encode() []byte {
	v := append(make([]byte, 0, banFixed+len(b.Reason)+sumLength), banVersion, byte(slices.Index(banKinds, b.Kind)))
	v = append(v, b.Subject[:]...)
	v = binary.BigEndian.AppendUint64(v, uint64(b.Created.Unix()))
	var expires uint64
	if !b.Expires.IsZero() {
		expires = uint64(b.Expires.Unix())
	}
	return append(binary.BigEndian.AppendUint64(v, expires), b.Reason...)
}

// decodeBan accepts what encode makes of a ban that is valid. Errors wrap ErrCorrupt.
func decodeBan(key, v []byte) (Ban, error) {
	if len(v) < banFixed || v[0] != banVersion || int(v[1]) >= len(banKinds) {
		return Ban{}, fmt.Errorf("ban %q: %w: %w", key, ErrCorrupt, errRecord)
	}
	b := Ban{
		ID: string(key), Kind: banKinds[v[1]], Subject: [32]byte(v[2:]),
		Created: time.Unix(int64(binary.BigEndian.Uint64(v[34:])), 0).UTC(),
		Reason:  string(v[banFixed:]),
	}
	if expires := binary.BigEndian.Uint64(v[42:]); expires != 0 {
		b.Expires = time.Unix(int64(expires), 0).UTC()
	}
	if err := b.check(); err != nil {
		return Ban{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return b, nil
}
