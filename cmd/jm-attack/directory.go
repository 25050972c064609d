package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// network is the bitcoin network that is served.
	network = "regtest"
	// directoryID is what nicks are proven for, where there is no onion.
	directoryID = "attacked:5222"
	// startTimeout is how long the server may take to listen, stopTimeout to stop.
	startTimeout, stopTimeout = 15 * time.Second, 10 * time.Second
)

// A directory is the server that is attacked, a child of this process.
type directory struct {
	binary, dir string
	cmd         *exec.Cmd
	ended       chan struct{}
	err         error

	mu     sync.Mutex
	log    bytes.Buffer // standard error
	stdout bytes.Buffer
}

// socket is where it listens without Tor.
func (d *directory) socket() string { return filepath.Join(d.dir, "d") }

// config is apart from the state: a server reads all that is beside it.
func (d *directory) config() string { return filepath.Join(d.dir, "config", "config.toml") }

// A capped writer keeps the beginning of what is written.
type capped struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

// Write implements io.Writer.
func (c capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b.Write(p[:min(len(p), max(0, 1<<20-c.b.Len()))])
	return len(p), nil
}

// plainConfig is the configuration without Tor; more comes after its tables.
func plainConfig(dir, more string) string {
	return fmt.Sprintf("network = %q\nstate_dir = %q\n[tor]\nmode = \"off\"\n[listen]\naddress = %q\nproxy_protocol = true\n[nick_auth]\ndirectory_id = %q\n%s",
		network, filepath.Join(dir, "state"), "unix:"+filepath.Join(dir, "d"), directoryID, more)
}

// startDirectory starts binary with what config returns for its directory.
func startDirectory(binary string, config func(dir string) string) (*directory, error) {
	dir, err := os.MkdirTemp("", "jm-attack-")
	if err != nil {
		return nil, err
	}
	d := &directory{binary: binary, dir: dir, ended: make(chan struct{})}
	if err := errors.Join(os.Mkdir(filepath.Dir(d.config()), 0o700), os.WriteFile(d.config(), []byte(config(dir)), 0o600)); err != nil {
		return nil, err
	}
	d.cmd = exec.Command(binary, "run", "--config", d.config())
	d.cmd.Env = environment()
	d.cmd.Stdout, d.cmd.Stderr = capped{&d.mu, &d.stdout}, capped{&d.mu, &d.log}
	d.cmd.WaitDelay = time.Second
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the death signal is sent when the thread that started the child ends
		defer runtime.UnlockOSThread()
		defer close(d.ended)
		err := d.cmd.Start()
		started <- err
		if err == nil {
			d.err = d.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return d, nil
}

// environment has only what is needed: the server takes settings from variables too.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "NO_COLOR=1"}
}

// waitListening waits until the unix socket takes connections.
func (d *directory) waitListening(ctx context.Context) error {
	for end := time.Now().Add(startTimeout); ; {
		conn, err := net.Dial("unix", d.socket())
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("the server ended: %v\n%s", d.err, d.said())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("the server does not listen: %w\n%s", err, d.said())
		}
	}
}

// said is the server's log.
func (d *directory) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// printed is its standard output.
func (d *directory) printed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stdout.String()
}

// operator runs a command of the operator and returns what it prints.
func (d *directory) operator(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--config", d.config())...)
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w", args[0], err)
	}
	return out, nil
}

// A count is what the server says of itself, as far as it is of interest.
type count struct {
	Reasons map[string]map[string]uint64 `json:"reasons"`
	Stats   struct {
		Accepted, Handshakes uint64
		Held                 uint64 `json:"held_messages"`
		Public               uint64 `json:"public_messages"`
		CircuitsClosed       uint64 `json:"circuits_closed"`
	} `json:"stats"`
	Process struct {
		RSS        uint64  `json:"rss_bytes"`
		CPUSeconds float64 `json:"cpu_seconds"`
	} `json:"process"`
}

func (d *directory) count(ctx context.Context) (c count, err error) {
	out, err := d.operator(ctx, "status", "--json")
	if err == nil {
		err = json.Unmarshal(out, &c)
	}
	return c, err
}

// close ends the server and removes its directory. It is an error if it had ended before, or does not end in order.
func (d *directory) close() error {
	defer os.RemoveAll(d.dir)
	select {
	case <-d.ended:
		return fmt.Errorf("the server ended: %v\n%s", d.err, d.said())
	default:
	}
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now, which is seen next
	select {
	case <-d.ended:
	case <-time.After(stopTimeout):
		d.cmd.Process.Kill()
		<-d.ended
		return fmt.Errorf("the server did not stop in %s", stopTimeout)
	}
	if d.err != nil {
		return fmt.Errorf("the server: %w\n%s", d.err, lastLines(d.said(), 20))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
