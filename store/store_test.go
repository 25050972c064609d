package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEverythingSurvivesARestart(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, Options{})
	if o := s.Opened(); !o.Created || o.Unclean || o.Migrated || o.MovedAside != "" || o.Damage != nil {
		t.Errorf("a new file: %+v", o)
	}
	fill(t, s, 5, 10)
	want := content(t, s)
	mustClose(t, s)
	s = mustOpen(t, path, Options{})
	if o := s.Opened(); o != (Opened{From: uint64(len(migrations))}) {
		t.Errorf("a file that was closed: %+v", o)
	}
	if got := content(t, s); got != want {
		t.Errorf("was\n%s\nis\n%s", want, got)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

// TestFileOfACrashIsOpenedAndReported copies the file of a store in use, which is what a crash leaves.
func TestFileOfACrashIsOpenedAndReported(t *testing.T) {
	path, crashed := newPath(t), newPath(t)
	s := mustOpen(t, path, Options{})
	fill(t, s, 3, 3)
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(crashed, b, 0o644))
	c := mustOpen(t, crashed, Options{})
	if o := c.Opened(); !o.Unclean || o.MovedAside != "" {
		t.Errorf("%+v", o)
	}
	if content(t, c) != content(t, s) {
		t.Error("the content differs")
	}
	if fi, err := os.Stat(crashed); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v: the secret is in there", fi.Mode(), err)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, Options{})
	for name, open := range map[string]func() (*Store, error){
		"writer": func() (*Store, error) { return Open(path, Options{LockTimeout: time.Millisecond}) },
		"reader": func() (*Store, error) { return OpenReadOnly(path) },
	} {
		if _, err := open(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, path, Options{}))
}

func TestReadersShareTheFileAndChangeNothing(t *testing.T) {
	path := newPath(t)
	if _, err := OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking has made a file: %v", err)
	}
	s := mustOpen(t, path, Options{})
	fill(t, s, 2, 2)
	over := testBan(s, 2)
	over.Expires = time.Now().Add(time.Second)
	must(t, s.PutBan(over))
	mustClose(t, s)
	must(t, os.Chmod(path, 0o400))
	before, err := os.ReadFile(path)
	must(t, err)
	time.Sleep(time.Until(over.Expires))

	a, err := OpenReadOnly(path)
	must(t, err)
	defer a.Close()
	b, err := OpenReadOnly(path)
	must(t, err)
	defer b.Close()
	if content(t, a) != content(t, b) || a.Secret() != s.Secret() || a.Opened().Unclean {
		t.Error("they read different things")
	}
	if bans, err := a.Bans(); err != nil || len(bans) != 2 {
		t.Errorf("%d bans, %v", len(bans), err)
	}
	for name, err := range map[string]error{
		"PutBan": a.PutBan(testBan(a, 1)), "DeleteBan": a.DeleteBan("ban-1"), "Append": a.Append(testSample(1)),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := a.Health(); !h.OK {
		t.Errorf("a refusal is no failure of the disk: %+v", h)
	}
	if _, err := Open(path, Options{LockTimeout: time.Millisecond}); !errors.Is(err, ErrInUse) && os.Getuid() == 0 {
		t.Errorf("a writer beside readers: %v", err)
	}
	mustClose(t, a)
	mustClose(t, b)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("looking has changed the file: %v", err)
	}
}

func TestWhatIsNoFileIsRefusedAndLeftThere(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"pipe":      func(p string) error { return unix.Mkfifo(p, 0o600) },
		"link":      func(p string) error { return os.Symlink("elsewhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			must(t, make(path))
			if _, err := Open(path, Options{LockTimeout: time.Millisecond}); err == nil {
				t.Error("opened")
			}
			if _, err := OpenReadOnly(path); err == nil {
				t.Error("opened for reading")
			}
			if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
				t.Errorf("%v, %v", list, err)
			}
		})
	}
}

func TestCopyOfAStoreInUseOpens(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, newPath(t), noSync)
	fill(t, s, 20, 200)
	f, err := os.Create(path)
	must(t, err)
	// Writing goes on while the copy is written.
	must(t, s.WriteTo(t.Context(), writerFunc(func(b []byte) (int, error) {
		must(t, s.Append(testSample(500)))
		return f.Write(b)
	})))
	must(t, f.Close())
	c := mustOpen(t, path, noSync)
	if c.Opened().MovedAside != "" {
		t.Fatalf("%+v", c.Opened())
	}
	if list, err := c.History(Minute, day0, day0.Add(24*time.Hour)); err != nil || len(list) != 200 {
		t.Errorf("%d minutes, %v", len(list), err)
	}
	if bans, err := c.Bans(); err != nil || len(bans) != 20 || c.Secret() != s.Secret() {
		t.Errorf("%d bans, %v", len(bans), err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestCopyStopsWithItsContextOrWriter(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WriteTo(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
	err := s.WriteTo(t.Context(), writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }))
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writer: %v", err)
	}
	if h := s.Health(); !h.OK {
		t.Errorf("%+v", h)
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := mustOpen(t, newPath(t), Options{})
	mustClose(t, s)
	_, bans := s.Bans()
	_, history := s.History(Day, day0, day0)
	for name, err := range map[string]error{
		"PutBan": s.PutBan(testBan(s, 1)), "DeleteBan": s.DeleteBan("a"), "Append": s.Append(testSample(1)),
		"Bans": bans, "History": history, "WriteTo": s.WriteTo(t.Context(), io.Discard),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h := s.Health(); !h.OK {
		t.Errorf("the end is no failure: %+v", h)
	}
}

// TestUsesAtTheSameTimeDoNotHinderEachOther is for the race detector, and ends with a close in their midst.
func TestUsesAtTheSameTimeDoNotHinderEachOther(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	ended := make(chan error)
	for _, use := range []func(i int) error{
		func(i int) error { return s.Append(testSample(i)) },
		func(i int) error { return s.PutBan(testBan(s, i)) },
		func(int) error { _, err := s.Bans(); return err },
		func(int) error { _, err := s.History(Minute, day0, day0.Add(time.Hour)); return err },
		func(int) error { return s.WriteTo(t.Context(), io.Discard) },
		func(int) error { s.Health(); return nil },
	} {
		go func() {
			for i := range 50 {
				if err := use(i); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for i := range 6 {
		if err := <-ended; err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if i == 2 {
			mustClose(t, s)
		}
	}
}
