package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"
)

// shows says whether a terminal shows what is typed.
func shows(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// awaitSaid reads from a terminal until it has said text.
func awaitSaid(t *testing.T, ptmx *os.File, text string) {
	t.Helper()
	var said []byte
	for b := make([]byte, 256); !bytes.Contains(said, []byte(text)); {
		for ready, end := 0, time.Now().Add(patience); ready <= 0; { // it has no deadlines
			ready, _ = unix.Poll([]unix.PollFd{{Fd: int32(ptmx.Fd()), Events: unix.POLLIN}}, 1000)
			if ready <= 0 && time.Now().After(end) {
				t.Fatalf("it never says %q, after %q", text, said)
			}
		}
		n, err := ptmx.Read(b)
		if err != nil {
			t.Fatalf("%v, after %q", err, said)
		}
		said = append(said, b[:n]...)
	}
}

// backupThatAsks is a backup of a new key, which asks on tty for a passphrase; its parent is to start it. It is the last of args,
// which run it, if there are any.
func backupThatAsks(t *testing.T, tty *os.File, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	program := func(args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...) // testscript has put the server on PATH
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(dir, "state"), "JM_TEST_DEFAULT_CONFIG="+filepath.Join(dir, "none.toml"))
		return cmd
	}
	if out, err := program("jm-directory-server", "key", "new").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := program(append(args, "jm-directory-server", "backup", "b.age")...)
	cmd.Stdin, cmd.Stderr = tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // else Ctrl-C is for somebody else
	return cmd
}

// TestTerminalShowsAgainWhatIsTypedHoweverAPromptEnds guards that no shell is left blind by a signal at the prompt for a passphrase.
func TestTerminalShowsAgainWhatIsTypedHoweverAPromptEnds(t *testing.T) {
	kill := func(s syscall.Signal) func(*os.File, *os.Process) error {
		return func(_ *os.File, p *os.Process) error { return p.Signal(s) }
	}
	for name, c := range map[string]struct {
		end  func(ptmx *os.File, p *os.Process) error
		want syscall.Signal // that ended the program; 0: it ended by itself
	}{
		"Ctrl-C":        {func(ptmx *os.File, _ *os.Process) error { _, err := ptmx.WriteString("half\x03"); return err }, unix.SIGINT},
		"SIGTERM":       {kill(unix.SIGTERM), unix.SIGTERM},
		"SIGHUP":        {kill(unix.SIGHUP), unix.SIGHUP},
		"end of input":  {func(ptmx *os.File, _ *os.Process) error { _, err := ptmx.WriteString("\x04"); return err }, 0},
		"an empty line": {func(ptmx *os.File, _ *os.Process) error { _, err := ptmx.WriteString("\n"); return err }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ptmx, tty := openTerminal(t, 80, 24)
			cmd := backupThatAsks(t, tty)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
			defer stuck.Stop()
			awaitSaid(t, ptmx, "Passphrase: ")
			if shows(t, tty) {
				t.Error("the passphrase would be shown")
			}
			if err := c.end(ptmx, cmd.Process); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if c.want != 0 && (!status.Signaled() || status.Signal() != c.want) || c.want == 0 && status.ExitStatus() != exitFailed {
				t.Errorf("it ended with %v", err)
			}
			if !shows(t, tty) {
				t.Error("the terminal shows no more what is typed")
			}
		})
	}
}

// TestPromptThatIsStoppedAsksAnew guards that Ctrl-Z gives the shell a terminal that shows what is typed, and that the prompt hides it
// again when it goes on.
func TestPromptThatIsStoppedAsksAnew(t *testing.T) {
	ptmx, tty := openTerminal(t, 80, 24)
	shell := backupThatAsks(t, tty, "sh", "-c", `set -m; "$@"; echo stopped >&2; read line; fg >/dev/null`, "sh")
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { shell.Process.Kill() }) // with it goes the terminal of what it runs
	defer stuck.Stop()
	awaitSaid(t, ptmx, "Passphrase: ")
	for _, step := range []struct {
		typed, said string
		shows       bool
	}{{"half\x1a", "stopped", true}, {"\n", "Passphrase: ", false}} {
		if _, err := ptmx.WriteString(step.typed); err != nil {
			t.Fatal(err)
		}
		awaitSaid(t, ptmx, step.said)
		if shows(t, tty) != step.shows {
			t.Errorf("after %q: the terminal shows what is typed: %v, want %v", step.typed, !step.shows, step.shows)
		}
	}
	if _, err := ptmx.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if err := shell.Wait(); shell.ProcessState.ExitCode() != exitFailed {
		t.Errorf("without a passphrase it ended with %v", err)
	}
	if !shows(t, tty) {
		t.Error("the terminal shows no more what is typed")
	}
}

func TestHiddenLineEndsWhereTheNextAnswerBegins(t *testing.T) {
	in := strings.NewReader("one\ntwo")
	for _, want := range []string{"one", "two"} {
		if got, err := readHidden(in); got != want || err != nil {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
	if _, err := readHidden(in); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := readHidden(iotest.ErrReader(io.ErrNoProgress)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}
