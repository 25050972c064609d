// Package owned starts processes that do not outlive this one: the kernel
// kills them when we die, however that comes about.
package owned

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a running child. Its goroutine ends with it.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Start starts cmd, which it configures in three ways: the kernel kills the
// process when we end (Pdeathsig), it is in a group of its own, so that a
// terminal's Ctrl-C is for us alone, and it inherits no descriptors but those
// in cmd.
func Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = 2 * time.Second // a grandchild may hold the output open
	sealDescriptors()
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The death signal is sent when the thread that started the child
		// ends, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end and returns how it came about: nil for exit status 0.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Stop waits for the process to end by itself, for up to grace, then asks by
// SIGTERM, then ends it by SIGKILL.
func (p *Process) Stop(grace time.Duration) {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{0, grace}, {syscall.SIGTERM, 2 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		if step.signal != 0 {
			p.cmd.Process.Signal(step.signal) // it may have ended just now
		}
		select {
		case <-p.ended:
			return
		case <-time.After(step.wait):
		}
	}
}

// sealDescriptors keeps what we were started with (descriptors of a service
// manager or a shell, which are not close-on-exec) from the child. Go's own
// are close-on-exec anyway.
func sealDescriptors() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // Linux 5.11
		return
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range list {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
