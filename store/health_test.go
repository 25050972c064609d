package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func TestHealthFollowsTheWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Store
		s.health.start()
		began := time.Now()
		expect := func(want Health) {
			t.Helper()
			if got := s.Health(); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		expect(Health{OK: true, Since: began})
		time.Sleep(time.Second)
		s.health.note(nil)
		expect(Health{OK: true, Since: began})
		failed := time.Now()
		s.health.note(errors.New("a"))
		time.Sleep(time.Second)
		s.health.note(errors.New("b"))
		expect(Health{LastError: "b", Since: failed, Failed: 2})
		time.Sleep(time.Second)
		s.health.note(nil)
		expect(Health{OK: true, Since: time.Now(), Failed: 2})
	})
}

// childVariable tells a test that it is its own child, where it may do to the process what it likes.
const childVariable = "STORE_TEST_CHILD"

// inChild runs the calling test in a process of its own, and reports whether this is it.
func inChild(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(childVariable) != "" {
		return true
	}
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("\nPASS\n")) {
		t.Errorf("%v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("%s", out)
	}
	return false
}

// failsAndRecovers uses a store on a disk that block makes useless and free makes good again.
func failsAndRecovers(t *testing.T, path string, want error, block, free func()) {
	t.Helper()
	s := mustOpen(t, path, Options{})
	fill(t, s, 3, 3)
	before := content(t, s)
	block()
	failed := uint64(0)
	for i := 10; failed < 5; i++ {
		if i == 20_000 {
			t.Fatal("the disk never gets full")
		}
		b := testBan(s, i)
		b.Reason = strings.Repeat("x", MaxReason)
		if err := s.PutBan(b); err != nil {
			if !errors.Is(err, want) {
				t.Fatal(err)
			}
			failed++
		} else {
			before = content(t, s)
		}
	}
	if err := s.Append(testSample(500)); err == nil {
		before = content(t, s) // it fitted into pages that were free
	} else {
		failed++
		if !errors.Is(err, want) {
			t.Errorf("append: %v", err)
		}
		if h := s.Health(); h.OK || h.Failed != failed || h.LastError != err.Error() || h.Since.IsZero() {
			t.Errorf("%d failed, %+v", failed, h)
		}
	}
	if content(t, s) != before {
		t.Error("a write that failed has changed something")
	}
	s.Close() // fails or not
	s = mustOpen(t, path, Options{})
	if o := s.Opened(); o.Created || o.MovedAside != "" {
		t.Errorf("opened on the full disk: %+v", o)
	}
	if content(t, s) != before {
		t.Error("something is lost")
	}
	free()
	must(t, s.PutBan(testBan(s, 30_000)))
	if h := s.Health(); !h.OK || h.LastError != "" {
		t.Errorf("after the first write that succeeds: %+v", h)
	}
	fill(t, s, 50, 50)
	before = content(t, s)
	mustClose(t, s)
	s = mustOpen(t, path, Options{})
	if o := s.Opened(); o.Unclean || o.MovedAside != "" || content(t, s) != before {
		t.Errorf("at the end: %+v", o)
	}
	mustClose(t, s)
}

// TestFileThatMayNotGrowIsAnErrorAndNoMore lets the kernel refuse writes behind a limit (setrlimit(2), RLIMIT_FSIZE).
func TestFileThatMayNotGrowIsAnErrorAndNoMore(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	signal.Ignore(unix.SIGXFSZ) // the write then fails with EFBIG
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &was))
	path := newPath(t)
	failsAndRecovers(t, path, unix.EFBIG,
		func() { must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: was.Max})) },
		func() { must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &was)) })
}

// TestFullDiskIsAnErrorAndNoMore fills a small file system, which is seen by the child alone and gone with it.
func TestFullDiskIsAnErrorAndNoMore(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	if !inChild(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); errors.Is(err, unix.EPERM) {
		t.Skip("this root may not mount")
	} else {
		must(t, err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	ballast := filepath.Join(dir, "ballast")
	failsAndRecovers(t, filepath.Join(dir, FileName), unix.ENOSPC,
		func() {
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("the disk is not full: %v", err)
			}
		},
		func() { must(t, os.Remove(ballast)) })
}

// TestFileIsNotMadeOnAFullDisk guards that the next attempt starts from nothing.
func TestFileIsNotMadeOnAFullDisk(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &was))
	path := newPath(t)
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10_000, Max: was.Max}))
	_, err := Open(path, Options{})
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &was))
	if !errors.Is(err, unix.EFBIG) {
		t.Errorf("%v", err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if o := mustOpen(t, path, Options{}).Opened(); !o.Created || o.MovedAside != "" {
		t.Errorf("%+v", o)
	}
}

// TestWriteThatDoesNotEndIsSeen: a disk that hangs says nothing, and whoever looks must not be told that all is well.
func TestWriteThatDoesNotEndIsSeen(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path, noSync)
		must(t, err)
		defer mustClose(t, s)
		hang, done := make(chan struct{}), make(chan struct{})
		began := time.Now()
		go func() {
			defer close(done)
			must(t, s.write("test", func(*bbolt.Tx) error { <-hang; return nil }))
		}()
		time.Sleep(slowWrite - time.Second)
		if h := s.Health(); !h.OK {
			t.Errorf("a slow disk: %+v", h)
		}
		time.Sleep(time.Hour)
		if h := s.Health(); h.OK || !h.Since.Equal(began) || h.LastError != "a write has not ended for 1h0m29s" || h.Failed != 0 {
			t.Errorf("while it hangs: %+v", h)
		}
		close(hang)
		<-done
		if h := s.Health(); !h.OK || h.LastError != "" || h.Failed != 0 {
			t.Errorf("afterwards: %+v", h)
		}
	})
}
