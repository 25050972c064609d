package onion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/cretz/bine/process"
	"golang.org/x/sys/unix"

	"jm-directory-server/isolation"
	"jm-directory-server/onion/internal/owned"
)

// exitWait is how long a Tor may take to end once it was told to.
const exitWait = 5 * time.Second

// childCreator implements bine's process.Creator for an executable.
type childCreator struct {
	exe     executable
	output  io.Writer // what the child writes to stdout and stderr
	confine Confine
	rules   isolation.Rules // for confine
}

// New implements process.Creator. The child's life does not depend on ctx.
func (c *childCreator) New(_ context.Context, args ...string) (process.Process, error) {
	return &child{creator: c, args: args}, nil
}

// child is a Tor that is owned by this process: it ends when we do.
type child struct {
	*owned.Process // nil until it runs
	creator        *childCreator
	args           []string
	control        *os.File // the child's end of the control channel
	stat           *os.File // /proc/PID/stat; nil: not to be had
}

// EmbeddedControlConn implements process.Process: our end of a socketpair. It
// must be called before Start; if Start fails, the connection reads EOF.
func (p *child) EmbeddedControlConn() (net.Conn, error) {
	conn, control, err := socketPair()
	p.control = control
	return conn, err
}

// socketPair is a control channel: our end of it, and one for a child.
func socketPair() (ours net.Conn, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("control channel: %w", err)
	}
	f := os.NewFile(uintptr(fds[0]), "tor-control")
	defer f.Close() // FileConn duplicates it
	child = os.NewFile(uintptr(fds[1]), "tor-control-child")
	if ours, err = net.FileConn(f); err != nil {
		child.Close()
		return nil, nil, fmt.Errorf("control channel: %w", err)
	}
	return ours, child, nil
}

// Start implements process.Process. Where a memory file may not be executed it
// takes the executable's next form.
func (p *child) Start() error {
	if p.control != nil {
		// The child has its own copy. If there is no child, ours must be the
		// last one, or whoever reads the other end would wait for ever.
		defer p.control.Close()
	}
	var failed error
	for exe := p.creator.exe; exe != nil; exe = exe.next() {
		img, err := exe.open()
		if err == nil {
			p.Process, err = p.start(img)
			img.release()
		}
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return fmt.Errorf("start tor: %w", failed)
}

// start executes img. A file just written may be busy for a moment: another
// fork of ours can hold it open.
func (p *child) start(img *image) (*owned.Process, error) {
	if p.creator.confine != Unconfined {
		return p.startConfined(img)
	}
	for try := 0; ; try++ {
		proc, err := owned.Start(p.command(img.path))
		if err == nil {
			p.watch(proc)
		}
		if !errors.Is(err, syscall.ETXTBSY) || try == 20 {
			return proc, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *child) command(path string) *exec.Cmd {
	cmd := exec.Command(path)
	cmd.Args = append([]string{"tor"}, p.torArgs()...)
	if p.control != nil {
		cmd.ExtraFiles = []*os.File{p.control} // controlFD
	}
	cmd.Env = []string{"LC_ALL=C"} // nothing of ours is Tor's business
	cmd.Stdout, cmd.Stderr = p.creator.output, p.creator.output
	return cmd
}

// torArgs are the arguments for Tor.
func (p *child) torArgs() []string {
	args := append(p.args[:len(p.args):len(p.args)], "--__OwningControllerProcess", strconv.Itoa(os.Getpid()))
	if p.control != nil {
		args = append(args, "--__OwningControllerFD", strconv.Itoa(controlFD))
	}
	return args
}
