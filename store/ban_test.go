package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

func TestBansAreListedInTheOrderOfTheirCreation(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, noSync)
	var want []Ban
	for i := range 5 {
		b := testBan(s, i)
		if i%2 == 1 {
			b.Kind, b.Expires = BanKey, time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		}
		want = append(want, b)
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		b := want[i]
		b.Created = b.Created.In(time.FixedZone("", 3600)).Add(time.Millisecond) // kept in UTC, to the second
		must(t, s.PutBan(b))
	}
	check := func() {
		t.Helper()
		got, err := s.Bans()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	check()
	want[2].Reason = "replaced"
	must(t, s.PutBan(want[2]))
	must(t, s.DeleteBan(want[4].ID))
	want = want[:4]
	check()
	mustClose(t, s)
	s = mustOpen(t, path, noSync)
	check()
}

func TestBanThatIsNotThereCannotBeLifted(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	for _, id := range []string{"", "x", strings.Repeat("x", 100_000)} {
		if err := s.DeleteBan(id); !errors.Is(err, ErrNoBan) {
			t.Errorf("%.10q: %v", id, err)
		}
	}
	if h := s.Health(); !h.OK {
		t.Errorf("that is no failure of the disk: %+v", h)
	}
}

// keys counts the records of a bucket.
func keys(t testing.TB, s *Store, bucket []byte) (n int) {
	t.Helper()
	must(t, s.view(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucket).Stats().KeyN
		return nil
	}))
	return n
}

func TestBansEndAndAreRemoved(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path, noSync)
		must(t, err)
		put := func(i int, d time.Duration) {
			b := testBan(s, i)
			b.Expires = time.Now().Add(d)
			must(t, s.PutBan(b))
		}
		expect := func(listed int) {
			t.Helper()
			if bans, err := s.Bans(); err != nil || len(bans) != listed {
				t.Errorf("%d listed, want %d; %v", len(bans), listed, err)
			}
			if n := keys(t, s, bansBucket); n != listed {
				t.Errorf("%d kept, want %d", n, listed)
			}
		}
		must(t, s.PutBan(testBan(s, 0))) // for ever
		put(1, time.Minute)
		put(2, time.Hour)
		expect(3)
		time.Sleep(time.Minute)
		expect(2)
		mustClose(t, s)
		time.Sleep(time.Hour)
		s, err = Open(path, noSync)
		must(t, err)
		if n := keys(t, s, bansBucket); n != 1 {
			t.Errorf("%d kept by Open", n)
		}
		expect(1)
		put(3, -time.Second) // over at once
		expect(1)
		mustClose(t, s)
	})
}

func TestBansThatAreNotValidAreRefused(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	for name, change := range map[string]func(*Ban){
		"":                func(b *Ban) { b.ID, b.Reason = "a-9", strings.Repeat("~", MaxReason-1)+" " },
		"no ID":           func(b *Ban) { b.ID = "" },
		"long ID":         func(b *Ban) { b.ID = strings.Repeat("a", maxBanID+1) },
		"ID":              func(b *Ban) { b.ID = "a/b" },
		"ID in the midst": func(b *Ban) { b.ID = "a\nb" },
		"ID, capital":     func(b *Ban) { b.ID = "A" },
		"no kind":         func(b *Ban) { b.Kind = "" },
		"kind":            func(b *Ban) { b.Kind = "location" },
		"long reason":     func(b *Ban) { b.Reason = strings.Repeat("a", MaxReason+1) },
		"line feed":       func(b *Ban) { b.Reason = "a\nb" },
		"not ASCII":       func(b *Ban) { b.Reason = "ä" },
		"delete":          func(b *Ban) { b.Reason = "\x7f" },
		"not created":     func(b *Ban) { b.Created = time.Time{} },
		"expires in 1970": func(b *Ban) { b.Expires = time.Unix(0, 0) },
	} {
		b := testBan(s, 0)
		change(&b)
		if err := s.PutBan(b); (err == nil) != (name == "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := s.Health(); !h.OK {
		t.Errorf("a refusal is no failure of the disk: %+v", h)
	}
}

func TestNumberOfBansIsBounded(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	must(t, s.write("many", func(tx *bbolt.Tx) error { // one by one takes minutes
		for i := range MaxBans {
			b := testBan(s, i)
			b.Reason = strings.Repeat("x", MaxReason)
			if err := put(tx.Bucket(bansBucket), []byte(b.ID), b.encode()); err != nil {
				return err
			}
		}
		return nil
	}))
	if err := s.PutBan(testBan(s, MaxBans)); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	must(t, s.PutBan(testBan(s, 7))) // replaces
	must(t, s.DeleteBan(testBan(s, 8).ID))
	must(t, s.PutBan(testBan(s, MaxBans)))
	if h := s.Health(); !h.OK {
		t.Errorf("%+v", h)
	}
}

func TestBanIsDecodedAsItWasEncoded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		at := func(what string) time.Time {
			return time.Unix(rapid.Int64Range(1, 1<<40).Draw(r, what), 0).UTC()
		}
		b := Ban{
			ID: rapid.StringMatching(`[a-z0-9-]{1,64}`).Draw(r, "id"), Kind: rapid.SampledFrom([]BanKind{BanKey, BanNick}).Draw(r, "kind"),
			Subject: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "subject")),
			Reason:  rapid.StringMatching(`[ -~]{0,200}`).Draw(r, "reason"), Created: at("created"),
		}
		if rapid.Bool().Draw(r, "expires") {
			b.Expires = at("when")
		}
		got, err := decodeBan([]byte(b.ID), b.encode())
		if err != nil || got != b {
			r.Fatalf("%+v became %+v, %v", b, got, err)
		}
	})
}

func TestEncodingOfABanIsPinned(t *testing.T) {
	b := Ban{ID: "a", Kind: BanNick, Subject: [32]byte{0xaa, 31: 0xbb}, Reason: "why", Created: day0, Expires: day0.Add(time.Hour)}
	const want = "0102" + "aa" + "000000000000000000000000000000000000000000000000000000000000" + "bb" +
		"0000000069a38180" + "0000000069a38f90" + "776879"
	if got := fmt.Sprintf("%x", b.encode()); got != want {
		t.Error(got)
	}
}
