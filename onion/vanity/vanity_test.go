package vanity

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"jm-directory-server/onion"
	"jm-directory-server/onion/tornet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustPrefixes(t testing.TB, list ...string) *Prefixes {
	t.Helper()
	p, err := ParsePrefixes(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drawKey draws the expanded form of a key.
func drawKey(t *rapid.T) (e [64]byte) {
	copy(e[:], rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "expanded"))
	e[0] &= 248
	e[31] = e[31]&63 | 64
	return e
}

// public is scalar·B by the library's scalar multiplication.
func public(t testing.TB, scalar [32]byte) []byte {
	s, err := edwards25519.NewScalar().SetBytesWithClamping(scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return new(edwards25519.Point).ScalarBaseMult(s).Bytes()
}

// TestBatchedAdditionIsScalarMultiplication guards that every y of two batches in a row is that of the scalar
// it stands for.
func TestBatchedAdditionIsScalarMultiplication(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &worker{batch: newBatch(rapid.IntRange(1, 9).Draw(rt, "steps")), expanded: drawKey(rt)}
		if err := w.start(); err != nil {
			rt.Fatal(err)
		}
		for range 2 {
			next, ok := w.batch.compute()
			if !ok {
				rt.Skip("a start that has no answer")
			}
			check := func(y []byte, n int64) {
				scalar, ok := advance([32]byte(w.expanded[:32]), n)
				if !ok {
					return // at the edge of what can be clamped
				}
				want := public(t, scalar)
				want[31] &= 0x7f
				if !slices.Equal(y, want) {
					rt.Fatalf("%d steps from the start: y is %x, want %x", n, y, want)
				}
			}
			check(w.batch.centre.y.Bytes(), w.centre)
			for i := range w.batch.ys {
				check(w.batch.ys[i].Bytes(), w.centre+step(i))
			}
			w.centre += int64(w.batch.width())
			w.batch.centre = next
		}
	})
}

func TestBatchStepsCoverEveryKeyOnce(t *testing.T) {
	b := newBatch(7)
	seen := map[int64]bool{0: true}
	for i := range b.ys {
		seen[step(i)] = true
	}
	if len(seen) != b.width() || !seen[7] || !seen[-7] || seen[8] {
		t.Errorf("%v", seen)
	}
}

func TestStartWithoutAnAnswerIsGivenUp(t *testing.T) {
	// The centre 8B·3 is one of the table: 0/0 for the difference.
	b := newBatch(5)
	b.centre = b.steps.table[2]
	if _, ok := b.compute(); ok {
		t.Error("computed")
	}
	w := &worker{batch: b, prefixes: mustPrefixes(t, "a")}
	if _, ok, err := w.next(); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, ok := w.batch.compute(); !ok || w.expanded == ([64]byte{}) {
		t.Error("no new start")
	}
}

func TestAdvanceIsAdditionAndNeverLeavesTheClampedScalars(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawKey(t)
		n := rapid.Int64().Draw(t, "n")
		s := [32]byte(e[:32])
		value := func(s [32]byte) *big.Int { reverse(&s); return new(big.Int).SetBytes(s[:]) }
		want := value(s)
		want.Add(want, new(big.Int).Mul(big.NewInt(8), big.NewInt(n)))
		got, ok := advance(s, n)
		if ok != (want.BitLen() == 255) {
			t.Fatalf("%v, but the sum has %d bits", ok, want.BitLen())
		}
		if ok && (value(got).Cmp(want) != 0 || got[0]&7 != 0 || got[31]&0xc0 != 0x40) {
			t.Fatalf("got %x", got)
		}
	})
	low, high := [32]byte{31: 0x40}, [32]byte{0: 0xf8, 31: 0x7f}
	for i := 1; i < 31; i++ {
		high[i] = 0xff
	}
	for _, tt := range []struct {
		s  [32]byte
		n  int64
		ok bool
	}{{low, 0, true}, {low, -1, false}, {low, 1, true}, {high, 0, true}, {high, 1, false}, {high, -1, true}, {low, math.MinInt64, false}, {high, math.MaxInt64, false}} {
		if _, ok := advance(tt.s, tt.n); ok != tt.ok {
			t.Errorf("%x + 8·%d: %v", tt.s, tt.n, ok)
		}
	}
}

func TestImpossiblePrefixesAreRefused(t *testing.T) {
	for _, s := range []string{"", "jo1n", "0", "a-b", "joinä", "a b", "abc.onion", strings.Repeat("a", 57), strings.Repeat("a", 56), strings.Repeat("b", 55)} {
		if _, err := ParsePrefixes([]string{"ok", s}); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	if _, err := ParsePrefixes(nil); err == nil {
		t.Error("no prefix is accepted")
	}
	if p := mustPrefixes(t, "JOIN", "joinm", "join", "abc"); p.String() != "abc, join" {
		t.Errorf("got %s", p)
	}
}

// TestMatchOfAnAddressIsThatOfItsText guards the bit masks: any beginning of an address up to all of it matches,
// and no other does.
func TestMatchOfAnAddressIsThatOfItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, err := onion.KeyFromExpanded(drawKey(t))
		if err != nil {
			t.Fatal(err)
		}
		pub := key.PublicKey()
		n := rapid.IntRange(1, addressLen).Draw(t, "length")
		p, err := ParsePrefixes([]string{key.Address()[:n]})
		if err != nil {
			t.Fatalf("an address is impossible: %v", err)
		}
		y := pub
		y[31] &= 0x7f // what the search sees
		if !p.candidate(binary.BigEndian.Uint64(y[:8])) || !p.Match(key.Address()) {
			t.Fatalf("%s does not match its address", p)
		}
		other := rapid.StringMatching(`[a-z2-7]{1,12}`).Draw(t, "other")
		p, err = ParsePrefixes([]string{other, "zzzzzzzzzzz"})
		if err != nil {
			t.Fatal(err)
		}
		if p.candidate(binary.BigEndian.Uint64(y[:8])) != p.Match(key.Address()) {
			t.Fatalf("%s and %s", p, key.Address())
		}
	})
}

func TestAddressAlphabetIsLowerCaseBase32(t *testing.T) {
	b := []byte("any bytes will do, ok")
	if got, want := addressEncoding.EncodeToString(b), strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestChances(t *testing.T) {
	if p := mustPrefixes(t, "abcde"); p.Expected() != math.Pow(32, 5) {
		t.Errorf("%f", p.Expected())
	}
	p := mustPrefixes(t, "a", "b")
	if p.Expected() != 16 || p.Within(0) != 0 || math.Abs(p.Within(1)-1.0/16) > 1e-9 || math.Abs(p.Within(16)-0.6439) > 1e-3 {
		t.Errorf("%f %f %f", p.Expected(), p.Within(1), p.Within(16))
	}
	if p := mustPrefixes(t, "abcdefghijklmnop"); !(p.Within(1<<40) > 0) {
		t.Error("a small chance is lost in rounding")
	}
}

// TestFoundKeysMatchAndAreNotRelated guards that a search gives keys with the prefix, each from a start of its own.
func TestFoundKeysMatchAndAreNotRelated(t *testing.T) {
	var s Search
	var keys []onion.SecretKey
	err := s.Run(t.Context(), mustPrefixes(t, "ab", "cd"), 2, func(k onion.SecretKey) (bool, error) {
		keys = append(keys, k)
		return len(keys) < 20, nil
	})
	if err != nil || len(keys) != 20 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	seen := map[onion.SecretKey]bool{}
	for _, k := range keys {
		if a := k.Address(); a[:2] != "ab" && a[:2] != "cd" || seen[k] {
			t.Errorf("%s", a)
		}
		seen[k] = true
	}
	// After a find the line begins anew, with another scalar and another prefix half.
	w := &worker{prefixes: mustPrefixes(t, "a", "b", "c"), batch: newBatch(8), tried: &s.tried}
	starts := map[[64]byte]bool{}
	errStop := errors.New("stop")
	err = w.run(t.Context(), func(onion.SecretKey) error {
		if starts[w.expanded] {
			t.Error("two keys of one line")
		}
		starts[w.expanded] = true
		if len(starts) == 10 {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) {
		t.Error(err)
	}
}

func TestNothingIsFoundAfterTheLast(t *testing.T) {
	for range 50 {
		calls := 0
		err := new(Search).Run(t.Context(), mustPrefixes(t, "a", "b", "c", "d", "e", "f", "g", "h"), 8, func(onion.SecretKey) (bool, error) {
			calls++
			return false, nil
		})
		if err != nil || calls != 1 {
			t.Fatalf("%d calls, %v", calls, err)
		}
	}
}

func TestSearchEndsWithItsContextAndWithErrors(t *testing.T) {
	never := mustPrefixes(t, strings.Repeat("a", 40))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var s Search
	none := func(onion.SecretKey) (bool, error) { return true, nil }
	if err := s.Run(ctx, never, 2, none); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err %v", err)
	}
	if s.Tried() == 0 {
		t.Error("nothing was tried")
	}
	broken := errors.New("disk full")
	if err := new(Search).Run(t.Context(), mustPrefixes(t, "a"), 2, func(onion.SecretKey) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("err %v", err)
	}
	if err := new(Search).Run(t.Context(), never, 0, none); err == nil {
		t.Error("no workers and no error")
	}
}

func TestBatchesDoNotAllocate(t *testing.T) {
	var s Search
	w := &worker{prefixes: mustPrefixes(t, strings.Repeat("a", 40)), batch: newBatch(16), tried: &s.tried}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() {
		if _, _, err := w.next(); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// TestFoundKeyLoadsInTorUnchanged starts a Tor, offline, on the directory of a key that was found.
func TestFoundKeyLoadsInTorUnchanged(t *testing.T) {
	tor := tornet.Tor(t)
	state := t.TempDir()
	var key onion.SecretKey
	err := new(Search).Run(t.Context(), mustPrefixes(t, "jm2"), 2, func(k onion.SecretKey) (bool, error) {
		key = k
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := onion.KeyDir(state)
	if err := key.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(dir, "hs_ed25519_secret_key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hs_ed25519_public_key", "hostname"} { // Tor makes its own
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// What we write beside the secret comes from our own arithmetic; Tor is asked with a directory that
	// package onion has not completed.
	out := runTor(t, tor, dir)
	if out != key.Address() || !strings.HasPrefix(out, "jm2") {
		t.Errorf("Tor serves %s, not %s", out, key.Address())
	}
	if again, err := os.ReadFile(filepath.Join(dir, "hs_ed25519_secret_key")); err != nil || !slices.Equal(again, secret) {
		t.Errorf("Tor wrote another key: %v", err)
	}
	if k, err := onion.LoadKey(dir); err != nil || k != key {
		t.Errorf("another key: %v", err)
	}
}
