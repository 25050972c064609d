package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// patience bounds each wait of a script.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	time.Local = time.UTC // what is shown in local time is the same everywhere
	testscript.Main(leakChecked{m}, map[string]func(){
		"jm-directory-server": func() {
			defaultConfigFile = os.Getenv("JM_TEST_DEFAULT_CONFIG")
			if socket := os.Getenv("JM_TEST_SERVICE_SOCKET"); socket != "" {
				serviceAdminSocket = socket
			}
			main()
		},
	})
}

// leakChecked fails a test run that leaves goroutines behind.
type leakChecked struct{ testscript.TestingM }

func (m leakChecked) Run() int {
	code := m.TestingM.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// TestScripts runs the command as an operator does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("STATE_DIRECTORY", filepath.Join(env.WorkDir, "state"))
			env.Setenv("JM_TEST_SERVICE_SOCKET", filepath.Join(env.WorkDir, "service.sock"))
			env.Setenv("JM_TEST_DEFAULT_CONFIG", filepath.Join(env.WorkDir, "etc/config.toml"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      cmdCode,
			"columns":   cmdColumns,
			"await":     cmdAwait,
			"dial":      cmdDial,
			"signal":    cmdSignal,
			"stale":     cmdStale,
			"handshake": cmdHandshake,
			"fakeadmin": cmdFakeAdmin,
			"actions":   cmdActions,
		},
	})
}

// cmdCode runs a command that has to end with that exit code: code 2 jm-directory-server --foo.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdColumns checks that no line is wider: columns 80 stdout.
func cmdColumns(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: columns N file")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.SplitSeq(ts.ReadFile(args[1]), "\n") {
		if utf8.RuneCountInString(line) > most {
			ts.Fatalf("wider than %d columns: %s", most, line)
		}
	}
}

// cmdAwait waits until a file contains a text: await log 'directory is listening'.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await file text")
	}
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text, _ = os.ReadFile(ts.MkAbs(args[0])); strings.Contains(string(text), args[1]) {
			return
		}
	}
	ts.Fatalf("no %q in %s:\n%s", args[1], args[0], text)
}

// cmdDial connects and closes, or, negated, fails to: dial unix socket.
func cmdDial(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] dial path")
	}
	conn, err := net.Dial("unix", ts.MkAbs(args[0]))
	if err == nil {
		conn.Close()
	}
	if (err != nil) != neg {
		ts.Fatalf("dial: %v", err)
	}
}

// cmdSignal signals the process whose id a file has: signal USR1 state/lock.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME pidfile")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(unix.Kill(pid, unix.SignalNum("SIG"+args[0])))
}

// cmdStale leaves a socket at which nobody answers.
func cmdStale(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stale path")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unix"})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
	// A process that another script starts now has the listener, too, until it executes its program.
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", ts.MkAbs(args[0]))
		if err != nil {
			return
		}
		conn.Close()
	}
	ts.Fatalf("somebody answers at %s", args[0])
}

// cmdHandshake makes a client's handshake and prints the answer to the log. It has to be accepted or, negated, refused.
func cmdHandshake(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] handshake path network")
	}
	conn, err := net.Dial("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.SetDeadline(time.Now().Add(patience)))
	payload := fmt.Sprintf(`{"app-name":"joinmarket","directory":false,"location-string":"NOT-SERVING-ONION","proto-ver":5,"features":{},"nick":"J58g3zmKyFpTLdeA","network":%q}`, args[1])
	_, err = fmt.Fprintf(conn, "{\"type\":793,\"line\":%q}\r\n", payload)
	ts.Check(err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	ts.Check(err)
	ts.Logf("answer: %s", line)
	accepted := strings.Contains(line, `\"accepted\":true`) || strings.Contains(line, `\"accepted\": true`)
	if accepted == neg {
		ts.Fatalf("accepted: %t", accepted)
	}
}

// cmdFakeAdmin serves a report at a socket, in place of a server, until the end of the script: fakeadmin socket report.json.
// More arguments are what it answers to /health and the error that it answers to every action.
func cmdFakeAdmin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: fakeadmin path report [health [error]]")
	}
	a, err := startFakeAdmin(ts.MkAbs(args[0]), []byte(ts.ReadFile(args[1])))
	ts.Check(err)
	a.set(func(a *fakeAdmin) {
		if len(args) > 2 {
			a.health = args[2]
		}
		if len(args) > 3 {
			a.refuse = args[3]
		}
	})
	ts.Defer(a.close)
	fakeAdmins.Store(a.path, a)
}

// fakeAdmins are those of all scripts, by path.
var fakeAdmins sync.Map

// cmdActions writes what a fake was asked to do to a file: actions socket file.
func cmdActions(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: actions path file")
	}
	a, ok := fakeAdmins.Load(ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("no fake answers at %s", args[0])
	}
	a.(*fakeAdmin).set(func(a *fakeAdmin) {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(a.actions, "")), 0o600))
	})
}
