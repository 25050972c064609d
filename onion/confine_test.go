package onion

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"jm-directory-server/isolation"
	"jm-directory-server/onion/internal/owned"
)

// confined starts a Tor that is confined, and fails the test if it says that anything is missing.
func confined(t *testing.T, change func(*Config)) *Service {
	t.Helper()
	c := testConfig(t)
	c.Confine, c.Socks = ConfineRequire, true
	if change != nil {
		change(&c)
	}
	return mustStart(t, c)
}

// statusOf returns a field of /proc/PID/status for each thread.
func statusOf(t *testing.T, pid int, field string) []string {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads", err)
	}
	var values []string
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		m := regexp.MustCompile(`(?m)^` + field + `:\t(.*)$`).FindSubmatch(b)
		if m == nil {
			t.Fatalf("no %s in %s", field, b)
		}
		values = append(values, string(m[1]))
	}
	return values
}

func TestConfinedTorIsAsItShouldBe(t *testing.T) {
	s := confined(t, nil)
	for field, want := range map[string]string{"Seccomp": "2", "NoNewPrivs": "1"} {
		for _, got := range statusOf(t, s.PID(), field) {
			if got != want {
				t.Errorf("%s is %s, want %s", field, got, want)
			}
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.PID()))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0`).Match(limits) {
		t.Errorf("core files: %v\n%s", err, limits)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", s.PID(), fd.Name()))
		if strings.Contains(to, "landlock") || strings.Contains(to, "memfd") || strings.Contains(to, "/proc") {
			t.Errorf("descriptor %s, %s, is left of its start", fd.Name(), to)
		}
	}
	if st := s.State(); st.TorRSS == 0 {
		t.Error("its memory is not known")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfinedTorMayNotListenOnTCP(t *testing.T) {
	c := testConfig(t)
	c.ExtraTorrc = append(c.ExtraTorrc, "HTTPTunnelPort 127.0.0.1:auto")
	c.Confine = Unconfined
	mustStart(t, c).Close()
	c.Confine = ConfineRequire
	s, err := Start(t.Context(), c)
	if err == nil {
		s.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "Permission denied") && !strings.Contains(err.Error(), "bind") {
		t.Errorf("error %v", err)
	}
}

func TestConfinedTorReadsNoFilesOfOthers(t *testing.T) {
	c := testConfig(t)
	other := filepath.Join(c.StateDir, "directory.db")
	if err := os.WriteFile(other, []byte("SocksPort 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ExtraTorrc = append(c.ExtraTorrc, "%include "+other)
	c.Confine = Unconfined
	mustStart(t, c).Close()
	c.Confine = ConfineRequire
	if s, err := Start(t.Context(), c); err == nil {
		s.Close()
		t.Fatal("it has read the store")
	}
}

func TestConfinedTorFromAFile(t *testing.T) {
	c := testConfig(t)
	tor := filepath.Join(t.TempDir(), "tor")
	if err := inflateTo(tor, compressed.gz); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(tor, link); err != nil {
		t.Fatal(err)
	}
	c.Confine, c.Mode, c.TorPath = ConfineRequire, System, link
	s := mustStart(t, c)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.PID())); err != nil || exe != tor {
		t.Errorf("runs %s, %v", exe, err)
	}
	s.Close()
}

// TestWhatCannotBeExecutedIsAnError: what is no program fails at the execution, when our own program runs already.
func TestWhatCannotBeExecutedIsAnError(t *testing.T) {
	c := testConfig(t)
	c.from.exe = hostFile("/etc/hostname")
	c.Confine = ConfineRequire
	begin := time.Now()
	s, err := Start(t.Context(), c)
	if err == nil {
		s.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "become tor: execute tor: ") {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

const deathVariable = "ONION_TEST_DEATH"

// TestTorEndsWithUsWhateverThreadBecomesIt: the kernel keeps for each thread apart what it sends when the parent ends.
func TestTorEndsWithUsWhateverThreadBecomesIt(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), deathVariable+"=become")
	cmd.Stdout, cmd.Stderr = &out, &out
	proc, err := owned.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Wait(); err != nil || out.String() != "signal 9" {
		t.Errorf("ended with %v, prints %q, want signal 9", err, out.String())
	}
}

// deathMain becomes, on another thread than the first, what prints the signal that it gets when its parent ends.
func deathMain(what string) {
	if what == "become" {
		os.Setenv(deathVariable, "print")
		awayFromMain(func() {
			exe, err := os.Executable()
			told, _ := json.Marshal(confinement{Path: exe, Rules: isolation.Rules{
				Read: []string{"/"}, Execute: []string{"/"}, Write: []string{os.TempDir()}, Code: true}}) // of strings
			fmt.Println(errors.Join(err, becomeTor(string(told), []string{"helper"})))
		})
		os.Exit(1)
	}
	var signal int32
	if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0, 0, 0); err != nil {
		panic(err)
	}
	fmt.Printf("signal %d", signal)
}

// awayFromMain runs f on a thread that is not the first of the process.
func awayFromMain(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			awayFromMain(f)
		} else {
			f()
		}
	}()
	<-done
}

func TestBecomingIsForOurselvesOnly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{becomingTor, "{", "tor"}
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit code 1", err)
	}
}
