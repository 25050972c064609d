package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"jm-directory-server/server/wire"
)

const (
	// upTimeout is how long the directory may take to be found by clients.
	upTimeout = time.Minute
	// stopTimeout is how long it may take to stop.
	stopTimeout = 8 * time.Second
	// bitcoinNetwork is what the directory and its peers serve.
	bitcoinNetwork = "regtest"
	// motd is the operator's text in the handshake.
	motd = "Welcome to the directory of the demo."
)

// A directory is the server under show, a child of this process.
type directory struct {
	cmd   *exec.Cmd
	log   *tail
	up    chan string   // gets the address that it prints when clients can find it
	ended chan struct{} // closed when it has ended; err then says how
	err   error
}

// directoryConfig is the configuration file, as far as it differs from the defaults.
type directoryConfig struct {
	Network  string `toml:"network"`
	MOTD     string `toml:"motd"`
	StateDir string `toml:"state_dir"`
	Tor      struct {
		Torrc []string `toml:"torrc"`
	} `toml:"tor"`
	Admin struct {
		Listen string `toml:"listen,omitempty"`
	} `toml:"admin"`
	SelfCheck struct {
		Interval string `toml:"interval,omitempty"`
	} `toml:"selfcheck"`
}

// startDirectory starts binary on the Tor network that the torrc lines describe, with all that it keeps below
// dir. It answers its operator at admin, if that is not empty, and then looks at itself often. Each gets every line of its log.
func startDirectory(binary, dir string, torrc []string, admin string, each func(line string)) (*directory, error) {
	config := directoryConfig{Network: bitcoinNetwork, MOTD: motd, StateDir: filepath.Join(dir, "state")}
	config.Tor.Torrc = torrc
	if config.Admin.Listen = admin; admin != "" {
		config.SelfCheck.Interval = "30s"
	}
	text, err := toml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("directory: configuration: %w", err)
	}
	file := filepath.Join(dir, "config", "config.toml") // apart from the state: a server reads all that is beside it
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
		return nil, fmt.Errorf("directory: configuration: %w", err)
	}
	d := &directory{
		cmd: exec.Command(binary, "run", "--config", file), log: &tail{each: each},
		up: make(chan string, 1), ended: make(chan struct{}),
	}
	// Only what is needed to run: the server takes settings from variables too.
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "NO_COLOR=1"}
	d.cmd.Stderr = d.log
	d.cmd.WaitDelay = time.Second
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // Ctrl-C is for us alone; we stop the server when it is its turn
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	started := make(chan error, 1)
	go d.run(stdout, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return d, nil
}

// run starts the child, reads what it prints, and waits for its end. The death signal is sent when the thread
// that started the child ends, so that thread has to stay.
func (d *directory) run(stdout io.Reader, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.ended)
	err := d.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		if address, ok := strings.CutPrefix(scanner.Text(), "directory is up: "); ok {
			select {
			case d.up <- address:
			default:
			}
		}
	}
	io.Copy(io.Discard, stdout) // after a line too long for the scanner, so that the child is not held up
	d.err = d.cmd.Wait()
}

// waitUp waits until clients can find the directory and returns where.
func (d *directory) waitUp(ctx context.Context) (wire.Location, error) {
	timer := time.NewTimer(upTimeout)
	defer timer.Stop()
	wrong := func(got string) error {
		return fmt.Errorf(`directory: expected "directory is up: ..." on its standard output, got %s`, got)
	}
	select {
	case address := <-d.up:
		location, err := wire.ParseLocation(address, false)
		if err != nil || !location.Serving() {
			return location, wrong(fmt.Sprintf("the address %.100q", address))
		}
		return location, nil
	case <-d.ended:
		return wire.Location{}, wrong(fmt.Sprintf("its end (%v)", d.cmd.ProcessState))
	case <-timer.C:
		return wire.Location{}, wrong(fmt.Sprintf("nothing within %s", upTimeout))
	case <-ctx.Done():
		return wire.Location{}, fmt.Errorf("%w: %w", wrong("nothing"), context.Cause(ctx))
	}
}

// stop ends the directory by SIGTERM, and if need be by SIGKILL. The error says how it did not end as it
// should: with exit code 0 and in time.
func (d *directory) stop() error {
	select {
	case <-d.ended:
		return fmt.Errorf("directory: expected it to run until it is stopped, but it ended: %v", d.cmd.ProcessState)
	default:
	}
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now, which is seen next
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
		d.cmd.Process.Kill()
		<-d.ended
		return fmt.Errorf("directory: expected it to stop within %s of SIGTERM, it did not", stopTimeout)
	}
	var exit *exec.ExitError
	if errors.As(d.err, &exit) {
		return fmt.Errorf("directory: expected exit code 0 after SIGTERM, got: %w", exit)
	}
	return d.err
}
