package store

import (
	"bytes"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// filled is the content of a file that was closed, with pages of each kind, without what is not in use at its end.
func filled(t testing.TB, bans, minutes int) []byte {
	t.Helper()
	path := newPath(t)
	s := mustOpen(t, path, noSync)
	fill(t, s, bans, minutes)
	mustClose(t, s)
	im := image{}
	var err error
	im.data, err = os.ReadFile(path)
	must(t, err)
	_, _, err = im.meta()
	must(t, err)
	return im.data[:im.pages*im.pageSize]
}

func TestDamagedFileIsMovedAsideAndReplaced(t *testing.T) {
	whole := filled(t, 20, 400)
	random := rand.NewChaCha8([32]byte{1})
	noise := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b) // never fails
		return b
	}
	for name, b := range map[string][]byte{
		"one byte":           {0},
		"text":               []byte("not a database\n"),
		"random, small":      noise(100),
		"random":             noise(len(whole)),
		"zeros":              make([]byte, len(whole)),
		"within a meta page": whole[:40],
		"within a page":      whole[:1887],
		"one page":           whole[:4096],
		"two pages":          whole[:8192],
		"half":               whole[:len(whole)/2],
		"last byte missing":  whole[:len(whole)-1],
		"random in the middle": append(append(bytes.Clone(whole[:len(whole)/4]), noise(len(whole)/4)...),
			whole[len(whole)/2:]...),
		"zeros behind the meta pages": append(bytes.Clone(whole[:8192]), make([]byte, len(whole)-8192)...),
		"no meta page":                append(make([]byte, 8192), whole[8192:]...),
		"too long":                    make([]byte, maxFile+1),
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			must(t, os.WriteFile(path, b, 0o600))
			if _, err := OpenReadOnly(path); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Fatalf("for reading: %v", err)
			}
			s := mustOpen(t, path, noSync)
			o := s.Opened()
			if !o.Created || !errors.Is(o.Damage, ErrCorrupt) || !strings.Contains(o.Damage.Error(), path) ||
				!strings.HasPrefix(o.MovedAside, path+".corrupt-") {
				t.Fatalf("%+v", o)
			}
			if kept, err := os.ReadFile(o.MovedAside); err != nil || !bytes.Equal(kept, b) {
				t.Errorf("the damaged file was changed: %v", err)
			}
			fill(t, s, 1, 1)
			mustClose(t, s)
			if o := mustOpen(t, path, noSync).Opened(); o.Created || o.MovedAside != "" {
				t.Errorf("opened again: %+v", o)
			}
		})
	}
}

func TestEmptyFileIsANewOne(t *testing.T) {
	path := newPath(t)
	must(t, os.WriteFile(path, nil, 0o600))
	if o := mustOpen(t, path, noSync).Opened(); !o.Created || o.MovedAside != "" {
		t.Errorf("%+v", o)
	}
}

func TestFileOfAnotherProgramIsMovedAside(t *testing.T) {
	path := newPath(t)
	rewrite(t, path, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("theirs"))
		must(t, err)
		return b.Put([]byte("k"), []byte("v"))
	})
	if o := mustOpen(t, path, noSync).Opened(); o.MovedAside == "" {
		t.Errorf("%+v", o)
	}
}

// rewrite changes a file behind the store's back.
func rewrite(t testing.TB, path string, f func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	must(t, err)
	must(t, db.Update(f))
	must(t, db.Close())
}

// TestRecordsThatAreWrongAreDamage guards that each record is read when the file is opened.
func TestRecordsThatAreWrongAreDamage(t *testing.T) {
	whole := filled(t, 3, 3)
	ban := func(change func(v []byte) []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b := tx.Bucket(bansBucket)
			v, err := get(b, []byte("ban-1"))
			must(t, err)
			return put(b, []byte("ban-1"), change(bytes.Clone(v)))
		}
	}
	for name, f := range map[string]func(*bbolt.Tx) error{
		"checksum": func(tx *bbolt.Tx) error { return tx.Bucket(bansBucket).Put([]byte("ban-1"), make([]byte, 99)) },
		"short":    func(tx *bbolt.Tx) error { return tx.Bucket(bansBucket).Put([]byte("ban-1"), nil) },
		"under another": func(tx *bbolt.Tx) error {
			b := tx.Bucket(bansBucket)
			return b.Put([]byte("x"), b.Get([]byte("ban-1")))
		},
		"no bucket":          func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("bans")) },
		"no secret":          func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(secretKey) },
		"no version":         func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(schemaKey) },
		"kind of a ban":      ban(func(v []byte) []byte { v[1] = 3; return v }),
		"ban, kind 0":        ban(func(v []byte) []byte { v[1] = 0; return v }),
		"reason":             ban(func(v []byte) []byte { return append(v, '\n') }),
		"version of ban":     ban(func(v []byte) []byte { v[0] = 2; return v }),
		"bucket in a bucket": func(tx *bbolt.Tx) error { _, err := tx.Bucket(bansBucket).CreateBucket([]byte("b")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			must(t, os.WriteFile(path, whole, 0o600))
			rewrite(t, path, f)
			if o := mustOpen(t, path, noSync).Opened(); o.MovedAside == "" || !o.Created || !errors.Is(o.Damage, ErrCorrupt) {
				t.Errorf("%+v", o)
			}
		})
	}
}

// TestFlippedBitIsFoundOrChangesNothing guards that damage is never read as if it were data.
func TestFlippedBitIsFoundOrChangesNothing(t *testing.T) {
	whole := filled(t, 20, 400)
	path := newPath(t)
	must(t, os.WriteFile(path, whole, 0o600))
	s := mustOpen(t, path, noSync)
	want := content(t, s)
	mustClose(t, s)
	found := 0
	rapid.Check(t, func(r *rapid.T) {
		b := bytes.Clone(whole)
		b[rapid.IntRange(0, len(b)-1).Draw(r, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		must(t, os.WriteFile(path, b, 0o600))
		s := mustOpen(t, path, noSync)
		defer s.Close()
		if s.Opened().MovedAside != "" {
			found++
		} else if content(t, s) != want {
			r.Fatal("the content has changed")
		}
	})
	t.Logf("%d found", found)
}

func TestOnlyTheNewestDamagedFilesAreKept(t *testing.T) {
	path := newPath(t)
	other := path + "-other"
	must(t, os.WriteFile(other, nil, 0o600))
	var want []string
	synctest.Test(t, func(t *testing.T) {
		for range keptAside + 2 {
			time.Sleep(time.Second)
			must(t, os.WriteFile(path, []byte("damaged"), 0o600))
			s, err := Open(path, noSync)
			must(t, err)
			want = append(want, s.Opened().MovedAside)
			mustClose(t, s)
		}
	})
	got, err := filepath.Glob(path + "*")
	must(t, err)
	want = append(append([]string{path}, other), want[2:]...)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFileThatShrinksInUseIsAnError guards that a fault in the memory map ends neither the process nor in a lock.
func TestFileThatShrinksInUseIsAnError(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, noSync)
	fill(t, s, 20, 400)
	must(t, os.Truncate(path, 8192))
	if _, err := s.History(Minute, day0, day0.Add(24*time.Hour)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("history: %v", err)
	}
	for range 2 {
		if err := s.Append(testSample(1000)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("append: %v", err)
		}
	}
	if h := s.Health(); h.OK || h.Failed != 2 {
		t.Errorf("%+v", h)
	}
	if err := s.Close(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("close: %v", err)
	}
	if o := mustOpen(t, path, noSync).Opened(); o.MovedAside == "" {
		t.Errorf("%+v", o)
	}
}

// TestGoodFilesPassTheCheck plays random uses: a check that is too strict would throw good files away.
func TestGoodFilesPassTheCheck(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		path := filepath.Join(t.TempDir(), FileName)
		s := mustOpen(t, path, noSync)
		r.Repeat(map[string]func(*rapid.T){
			"ban": func(r *rapid.T) {
				from := rapid.IntRange(0, 200).Draw(r, "from")
				for i := range rapid.IntRange(1, 10).Draw(r, "n") {
					must(t, s.PutBan(testBan(s, from+i)))
				}
			},
			"lift": func(r *rapid.T) {
				for i := range rapid.IntRange(1, 30).Draw(r, "n") {
					if err := s.DeleteBan(testBan(s, i).ID); err != nil && !errors.Is(err, ErrNoBan) {
						r.Fatal(err)
					}
				}
			},
			"append": func(r *rapid.T) {
				m := sampleOf(r)
				for range rapid.IntRange(1, 20).Draw(r, "n") {
					must(t, s.Append(m))
					m.Start = m.Start.Add(time.Hour)
				}
			},
			"reopen": func(r *rapid.T) {
				want := content(t, s)
				mustClose(t, s)
				s = mustOpen(t, path, noSync)
				if o := s.Opened(); o.MovedAside != "" {
					r.Fatalf("%+v", o)
				}
				if content(t, s) != want {
					r.Fatal("the content has changed")
				}
			},
			"": func(r *rapid.T) {
				b, err := readImage(s.file)
				must(t, err)
				if err := checkImage(b); err != nil {
					r.Fatal(err)
				}
			},
		})
		mustClose(t, s)
	})
}

// FuzzOpen opens arbitrary bytes, or, if there are edits, a good file with each of them made: three bytes for the place,
// one for what is there instead. With repair the checksums of the meta pages are put right, so that what is behind them is
// reached. Bbolt's own check is the second opinion on what was accepted.
func FuzzOpen(f *testing.F) {
	good := filled(f, 30, 60)
	f.Add([]byte{}, []byte{}, false)
	f.Add([]byte("text"), []byte{}, false)
	f.Add(good[:5000], []byte{}, true)
	for at := 0; at < len(good); at += 701 {
		f.Add([]byte{}, []byte{byte(at >> 16), byte(at >> 8), byte(at), good[at] ^ 0x11}, true)
	}
	f.Fuzz(func(t *testing.T, b, edits []byte, repair bool) {
		if len(edits) >= 4 {
			b = bytes.Clone(good)
		}
		for ; len(edits) >= 4; edits = edits[4:] {
			b[(int(edits[0])<<16|int(edits[1])<<8|int(edits[2]))%len(b)] = edits[3]
		}
		if repair && len(b) >= 8192 {
			b = bytes.Clone(b)
			for _, p := range [][]byte{b, b[4096:]} {
				sum := fnv.New64a()
				sum.Write(p[16:72]) // never fails
				order.PutUint64(p[72:], sum.Sum64())
			}
		}
		path := newPath(t)
		must(t, os.WriteFile(path, b, 0o600))
		s, err := Open(path, noSync)
		if err != nil {
			if !errors.Is(err, ErrTooNew) {
				t.Fatal(err)
			}
			return
		}
		if o := s.Opened(); o.MovedAside == "" || o.HistoryOnly {
			must(t, s.view(func(tx *bbolt.Tx) error {
				for err := range tx.Check() {
					if !strings.Contains(err.Error(), "unreachable unfreed") { // costs space only
						t.Error(err)
					}
				}
				return nil
			}))
		}
		content(t, s)
		fill(t, s, 2, 2)
		content(t, s)
		mustClose(t, s)
	})
}
