package vanity

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// addressLen is the length of a v3 address without ".onion".
const addressLen = 56

var addressEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Prefixes is a set of beginnings of onion addresses.
type Prefixes struct {
	texts []string // none is the beginning of another
	masks []mask   // one for each text
	first []uint64 // a bit for each value of the first 16 bits that some prefix allows
}

// mask is what a prefix asks of the first 64 bits of an address, big-endian.
type mask struct{ bits, want uint64 }

// ParsePrefixes checks prefixes: 1 to 56 characters a to z and 2 to 7, in any
// case. One that no address begins with is an error. An address needs to match
// only one of them, so that longer ones behind a shorter one are dropped.
func ParsePrefixes(list []string) (*Prefixes, error) {
	p := &Prefixes{first: make([]uint64, 1<<16/64)}
	lower := make([]string, 0, len(list))
	for _, s := range list {
		t := strings.ToLower(s)
		if err := possible(t); err != nil {
			return nil, fmt.Errorf("prefix %q: %w", s, err)
		}
		lower = append(lower, t)
	}
	if len(lower) == 0 {
		return nil, errors.New("no prefix given")
	}
	slices.Sort(lower)
	for _, t := range lower {
		if n := len(p.texts); n > 0 && strings.HasPrefix(t, p.texts[n-1]) {
			continue
		}
		p.texts = append(p.texts, t)
		p.masks = append(p.masks, maskOf(t))
	}
	for _, m := range p.masks {
		low, high := m.want>>48, (m.want|^m.bits)>>48
		for v := low; v <= high; v++ { // a prefix fixes leading bits: what it allows is a range
			p.first[v/64] |= 1 << (v % 64)
		}
	}
	return p, nil
}

// possible says why no address can begin with t.
func possible(t string) error {
	if t == "" {
		return errors.New("is empty")
	}
	for _, r := range t {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz234567", r) {
			return fmt.Errorf("%q is in no onion address: they have the letters a to z and the digits 2 to 7", r)
		}
	}
	if len(t) > addressLen {
		return fmt.Errorf("has %d characters, an onion address has %d", len(t), addressLen)
	}
	// The last byte of an address is the version, 3: it fixes the last
	// character and three bits of the one before (protocol.md 4.3).
	if len(t) >= addressLen-1 && !strings.ContainsRune("aiqy", rune(t[addressLen-2])) || len(t) == addressLen && t[addressLen-1] != 'd' {
		return errors.New("does not end as the addresses of version 3 do")
	}
	return nil
}

// maskOf is the mask of the first characters, 12 at most.
func maskOf(t string) mask {
	n := min(len(t), 64/5)
	b, err := addressEncoding.DecodeString(t[:n] + strings.Repeat("a", 16-n)) // 10 bytes
	if err != nil {
		panic(err) // possible has looked at every character
	}
	bits := ^uint64(0) << (64 - 5*n)
	return mask{bits, binary.BigEndian.Uint64(b) & bits}
}

// candidate says whether an address that begins with these 64 bits may match:
// always if one does, seldom if none does. It must not allocate.
func (p *Prefixes) candidate(head uint64) bool {
	if v := head >> 48; p.first[v/64]&(1<<(v%64)) == 0 {
		return false
	}
	for _, m := range p.masks {
		if head&m.bits == m.want {
			return true
		}
	}
	return false
}

// Match says whether an address begins with one of the prefixes.
func (p *Prefixes) Match(address string) bool {
	return slices.ContainsFunc(p.texts, func(t string) bool { return strings.HasPrefix(address, t) })
}

// Chance is the probability that a random key matches.
func (p *Prefixes) Chance() float64 {
	chance := 0.0
	for _, t := range p.texts {
		// Only the bits of key and checksum are by chance, not the version.
		chance += math.Exp2(-float64(min(5*len(t), 272)))
	}
	return chance
}

// Expected is how many keys one match costs on average.
func (p *Prefixes) Expected() float64 { return 1 / p.Chance() }

// Within is the probability of a match among the first n keys.
func (p *Prefixes) Within(n uint64) float64 {
	return -math.Expm1(float64(n) * math.Log1p(-p.Chance()))
}

// String lists the prefixes that are searched for.
func (p *Prefixes) String() string { return strings.Join(p.texts, ", ") }
