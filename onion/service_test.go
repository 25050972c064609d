package onion

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestEphemeralKeyIsGoneAfterClose(t *testing.T) {
	c := testConfig(t)
	c.Ephemeral = true
	var addresses []string
	for range 2 {
		s := mustStart(t, c)
		addresses = append(addresses, s.Address())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if addresses[0] == addresses[1] {
		t.Errorf("the same throw-away address twice: %s", addresses[0])
	}
	id := strings.TrimSuffix(addresses[0], ".onion")
	err := filepath.WalkDir(c.StateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if d.Name() == secretName || strings.Contains(string(b), id) {
			t.Errorf("%s is left of a throw-away key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKilledTorClosesDoneAndErrNamesIt(t *testing.T) {
	s := mustStart(t, testConfig(t))
	if err := s.Err(); err != nil {
		t.Fatalf("Err before the end: %v", err)
	}
	s.log("warn", "The missing protocols are: FlowCtrl=1")
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done(), 10*time.Second, "Done")
	if err := s.Err(); !errors.Is(err, ErrTorEnded) || !strings.Contains(err.Error(), "killed") || !strings.Contains(err.Error(), "FlowCtrl=1") {
		t.Errorf("Err: %v", err)
	}
	if err := s.CloseCircuit(t.Context(), 1); !errors.Is(err, ErrControlLost) {
		t.Errorf("CloseCircuit without Tor: %v", err)
	}
}

// ownerMain is the process that TestTorDiesWithItsOwner kills.
func ownerMain() {
	c := Config{Mode: System, StateDir: os.Getenv("ONION_TEST_OWNER"), TorPath: os.Getenv("ONION_TEST_TOR"), ExtraTorrc: offline}
	s, err := Start(context.Background(), c)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("pid", s.PID())
	select {} // until killed
}

// TestClosedControlChannelEndsTheService: without it circuits cannot be closed and nothing is known of Tor, so the service
// ends, and its Tor with it.
func TestClosedControlChannelEndsTheService(t *testing.T) {
	c := testConfig(t)
	c.Confine = Unconfined // a guard does not pass the command on
	s := mustStart(t, c)
	pid := s.PID()
	// in its turn like any other request: bine deadlocks on two
	if _, err := s.control.request(t.Context(), "QUIT"); err != nil && !errors.Is(err, ErrControlLost) {
		t.Fatal(err)
	}
	await(t, s.Done(), 10*time.Second, "Done")
	if err := s.Err(); !errors.Is(err, ErrControlLost) && !errors.Is(err, ErrTorEnded) {
		t.Errorf("Err is %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("Tor is still there: %v", err)
	}
}

// TestStoppedTorIsNotTakenForAnEndedOne: a Tor that stands still for a moment, on a machine that swaps, is waited for.
func TestStoppedTorIsNotTakenForAnEndedOne(t *testing.T) {
	s := mustStart(t, testConfig(t))
	pid := s.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseCircuit(t.Context(), 1); err != nil { // there is none: an answer of Tor's
		t.Errorf("a request after that: %v", err)
	}
	select {
	case <-s.Done():
		t.Errorf("the service has ended: %v", s.Err())
	default:
	}
}

func TestTorDiesWithItsOwner(t *testing.T) {
	c := testConfig(t) // skips without a tor
	tor := filepath.Join(t.TempDir(), "tor")
	if err := inflateTo(tor, compressed.gz); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "ONION_TEST_OWNER="+c.StateDir, "ONION_TEST_TOR="+tor)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	pid := 0
	if _, e := fmt.Sscanf(line, "pid %d", &pid); err != nil || e != nil {
		t.Fatalf("owner says %q: %v, %v", line, err, e)
	}
	if !running(pid) {
		t.Fatalf("tor %d does not run", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Second); running(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("tor %d outlives its owner by a second", pid)
		}
	}
}

func inflateTo(path string, gz []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	if err := inflate(f, gz); err != nil {
		return err
	}
	return f.Close()
}

// running says whether a process exists and is no zombie.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

func TestChildListensOnNothingAndInheritsNothing(t *testing.T) {
	// A descriptor that a careless parent left open to all children.
	r, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	leaked, err := syscall.Dup(int(r.Fd())) // without close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leaked)

	c := testConfig(t)
	c.Socks = true // which is no port
	s := mustStart(t, c)
	for fd, target := range descriptors(t, s.PID()) {
		if fd == leaked && target == os.DevNull {
			t.Errorf("descriptor %d is inherited", fd)
		}
	}
	if listens := listeners(t, s.PID()); len(listens) > 0 {
		t.Errorf("tor listens: %v", listens)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.PID()))
	if err != nil || string(env) != "LC_ALL=C\x00" {
		t.Errorf("environment %q, %v", env, err)
	}
}

// descriptors are the open files of a process.
func descriptors(t *testing.T, pid int) map[int]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[int]string)
	for _, e := range list {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // else closed meanwhile
			fd, _ := strconv.Atoi(e.Name()) // a number by proc(5)
			open[fd] = target
		}
	}
	return open
}

// listeners are the sockets of a process that anybody can send to: TCP that
// listens, and all of UDP.
func listeners(t *testing.T, pid int) (lines []string) {
	t.Helper()
	inodes := make(map[string]bool)
	for _, target := range descriptors(t, pid) {
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	if len(inodes) == 0 {
		t.Fatal("tor has no sockets at all: not even its control channel")
	}
	const listening = "0A"
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) > 9 && inodes[f[9]] && (f[3] == listening || strings.HasPrefix(table, "udp")) {
				lines = append(lines, table+" "+line)
			}
		}
	}
	return lines
}

func TestMemoryFileLeavesNothingOnDisk(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		t.Run(fmt.Sprintf("fallback=%v", fallback), func(t *testing.T) {
			c := testConfig(t)
			dir := t.TempDir()
			if fallback {
				c.from.exe = diskfile{gz: compressed.gz, fallback: dir}
			}
			s := mustStart(t, c)
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.PID()))
			if err != nil {
				t.Fatal(err)
			}
			if memory := strings.HasPrefix(exe, "/memfd:"); memory == fallback {
				t.Errorf("executable is %s", exe)
			}
			if !strings.HasSuffix(exe, " (deleted)") {
				t.Errorf("executable %s is still there", exe)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// brokenExe stands for a memory file that may not be executed.
type brokenExe struct{ then executable }

func (b brokenExe) open() (*image, error) {
	return &image{path: "/dev/null", release: func() {}}, nil // EACCES at exec
}
func (b brokenExe) next() executable { return b.then }

func TestExecutableFallsBackToAFile(t *testing.T) {
	testConfig(t) // skips without a tor
	dir := t.TempDir()
	p := &child{creator: &childCreator{exe: brokenExe{diskfile{gz: compressed.gz, fallback: dir}}}, args: []string{"--version"}}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	p = &child{creator: &childCreator{exe: brokenExe{}}, args: []string{"--version"}}
	conn, err := p.EmbeddedControlConn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := p.Start(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("start: %v", err)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("control channel of a Tor that did not start: %v, want its end", err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	cases := []struct {
		name string
		set  func(*Config)
		is   error
		says string
	}{
		{"torrc line", func(c *Config) { c.ExtraTorrc = append(slices.Clone(offline), "NoSuchOption 1") }, ErrTorEnded, "NoSuchOption"},
		{"state directory is a file", func(c *Config) { c.StateDir = filepath.Join(c.StateDir, "f"); os.WriteFile(c.StateDir, nil, 0o600) }, syscall.ENOTDIR, "state directory"},
		{"key of somebody else's making", func(c *Config) {
			os.Mkdir(filepath.Join(c.StateDir, "onion"), 0o700)
			os.WriteFile(filepath.Join(c.StateDir, "onion", secretName), make([]byte, 96), 0o600)
		}, nil, "does not begin with"},
		{"open key directory", func(c *Config) { os.Mkdir(filepath.Join(c.StateDir, "onion"), 0o755) }, nil, "chmod 700"},
		{"runtime directory others can write", func(c *Config) {
			c.RuntimeDir = filepath.Join(c.StateDir, "open")
			os.Mkdir(c.RuntimeDir, 0o700)
			os.Chmod(c.RuntimeDir, 0o777)
		}, nil, "chmod 700"},
		{"no control port", func(c *Config) { c.Mode, c.Control = External, "unix:/nonexistent" }, fs.ErrNotExist, "ControlPort"},
		{"no such tor", func(c *Config) { c.Mode, c.TorPath = System, "/nonexistent/tor" }, fs.ErrNotExist, "system tor"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig(t)
			tc.set(&c)
			s, err := Start(t.Context(), c)
			if err == nil {
				s.Close()
				t.Fatal("started")
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v: is not %v", err, tc.is)
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v: does not say %q", err, tc.says)
			}
		})
	}
}

func TestSecondServiceInTheSameDirectoriesIsRefused(t *testing.T) {
	c := testConfig(t)
	mustStart(t, c)
	if s, err := Start(t.Context(), c); !errors.Is(err, ErrInUse) {
		s.Close()
		t.Errorf("same runtime directory: %v", err)
	}
	c.RuntimeDir = t.TempDir() // Tor locks its data directory itself
	if s, err := Start(t.Context(), c); !errors.Is(err, ErrTorEnded) || !strings.Contains(err.Error(), "same data directory") {
		if s != nil {
			s.Close()
		}
		t.Errorf("same state directory: %v", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	c := testConfig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, c); !errors.Is(err, context.Canceled) {
		if s != nil {
			s.Close()
		}
		t.Errorf("start: %v", err)
	}
	mustStart(t, c) // nothing is left in the way
}

func TestAwkwardPathsWork(t *testing.T) {
	for name, rest := range map[string]string{
		"blanks, hash, quotes, backslash": `a b#c"d\e`,
		"longer than a socket's name":     strings.Repeat("long/", 30),
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			c.StateDir, c.Socks = filepath.Join(c.StateDir, rest), true
			s := mustStart(t, c)
			socket := s.Listener().Addr().String()
			for _, path := range []string{socket, s.socks} {
				if _, err := os.Stat(path); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := unescaped(confValue(t, s, "HiddenServicePort")), servicePort(5222, socket); got != want {
				t.Errorf("tor serves %s, want %s", got, want)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{socket, s.socks} {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("socket after Close: %v", err)
				}
			}
			if s.runtime.short != "" {
				if _, err := os.Stat(s.runtime.short); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("short directory after Close: %v", err)
				}
			}
		})
	}
}

// unescaped undoes the quoting of a whole value in an answer to GETCONF.
func unescaped(v string) string {
	if strings.HasPrefix(v, `"`) {
		v, _ = unquote(v[1:])
	}
	return v
}

func TestTorWithoutItsOwnTorrcIsConfiguredOverTheControlChannel(t *testing.T) {
	c := testConfig(t)
	c.PoW, c.MaxStreams = true, 7
	// As with a Tor in our own process: nothing of the service is in the torrc,
	// and the log comes as events.
	c.from = &source{version: MinVersion, inside: &childCreator{exe: c.from.exe, output: io.Discard}}
	logged := make(chan struct{})
	var once sync.Once
	c.Log = func(level, msg string) { once.Do(func() { close(logged) }) }
	s := mustStart(t, c)
	for key, want := range map[string]string{
		"HiddenServiceDir": s.keyDir, "HiddenServiceExportCircuitID": "haproxy", "HiddenServiceMaxStreams": "7", "HiddenServicePoWDefensesEnabled": "1",
		"VanguardsLiteEnabled": "auto", // which is on, unless the network says otherwise
	} {
		r, err := s.control.request(t.Context(), "GETCONF "+key)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(r.DataWithReply(), key+"="+want) { // Tor also lists what the key is a prefix of
			t.Errorf("%s: %q, want %s", key, r.DataWithReply(), want)
		}
	}
	await(t, logged, 10*time.Second, "a line of Tor's log")
}

func TestTooOldSystemTorIsRefusedByVersion(t *testing.T) {
	c := Config{Mode: System, StateDir: t.TempDir(), TorPath: filepath.Join(t.TempDir(), "tor")}
	script := "#!/bin/sh\necho 'Tor version 0.4.5.16.'\n"
	if err := os.WriteFile(c.TorPath, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), c); !errors.Is(err, ErrTorTooOld) || !strings.Contains(err.Error(), "FlowCtrl=1") {
		t.Errorf("start: %v", err)
	}
}
