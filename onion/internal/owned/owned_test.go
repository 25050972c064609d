package owned

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a shell script and waits for its first line.
func start(t *testing.T, script string) *Process {
	t.Helper()
	lines := make(chan string, 1)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout = writer(func(b []byte) {
		select {
		case lines <- string(b):
		default:
		}
	})
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-lines:
	case <-time.After(10 * time.Second):
		t.Fatal("the script says nothing")
	}
	return p
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestStopGoesFromPatienceToForce(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		grace  time.Duration
		ends   string
	}{
		"ends by itself": {"echo; exit 3", 10 * time.Second, "exit status 3"},
		"asked":          {"echo; exec sleep 60", 0, "terminated"},
		"killed":         {"trap '' TERM; echo; while :; do sleep 0.1; done", 0, "killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.script)
			p.Stop(c.grace)
			if err := p.Wait(); err == nil || !strings.Contains(err.Error(), c.ends) {
				t.Errorf("ended with %v, want %s", err, c.ends)
			}
			p.Stop(0) // of one that has ended: nothing
		})
	}
}

func TestProcessHasAGroupOfItsOwn(t *testing.T) {
	p := start(t, "echo; exec sleep 60")
	defer p.Stop(0)
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("group %d, %v: a terminal's Ctrl-C would reach it", group, err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	if p, err := Start(exec.Command("/nonexistent")); err == nil {
		p.Stop(0)
		t.Error("started")
	}
}
