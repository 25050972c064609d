package onion

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/onion/internal/owned"
)

// The names by which our own program is called to become something else.
const (
	becomingTor    = "jm-directory-server: becoming tor"
	becomingGuard  = "jm-directory-server: guarding tor"
	becomingDialer = "jm-directory-server: dialing tor"
)

// inJSON has the guard write its alarm as JSON.
const inJSON = "json"

// The descriptors of our program while it becomes something else.
const (
	controlFD = 3 // the control channel: for Tor its own end, for the guard the one that leads there
	resultFD  = 4 // a pipe: closed once it has become that, or told why it has not
	programFD = 5 // for Tor: what to execute, if that is a memory file
	serverFD  = 5 // for the guard: the control channel's end that leads to the server

	requestsFD = 3 // for the dialer: the pipe that requests come from
)

// Become turns this process into what it was started to be, a confined Tor, the guard of a control channel or a dialer, and does
// not return then. A program that sets Config.Confine calls it first of all.
func Become() {
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[0] == becomingTor:
		unix.CloseOnExec(resultFD)
		err = becomeTor(os.Args[1], os.Args[2:])
	case len(os.Args) == 1 && os.Args[0] == becomingGuard, len(os.Args) == 2 && os.Args[0] == becomingGuard && os.Args[1] == inJSON:
		if err = becomeGuard(len(os.Args) == 2); err == nil {
			os.Exit(0)
		}
	case len(os.Args) == 2 && os.Args[0] == becomingDialer:
		if err = becomeDialer(os.Args[1]); err == nil {
			os.Exit(0)
		}
	default:
		return
	}
	io.WriteString(os.NewFile(resultFD, "result"), err.Error()) // if nobody reads it, nobody waits for us either
	os.Exit(1)
}

// startSelf starts our own program by the arguments that make it something else, and returns when it is that. Files are its
// descriptors from controlFD on but for resultFD. Started, if it is not nil, is called in between.
func startSelf(args, env []string, files []*os.File, output io.Writer, started func(*owned.Process)) (*owned.Process, error) {
	result, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer result.Close()
	cmd := exec.Command("/proc/self/exe") // also when the file has been replaced since
	cmd.Args, cmd.Env = args, append([]string{"LC_ALL=C"}, env...)
	cmd.ExtraFiles = append([]*os.File{files[0], write}, files[1:]...)
	cmd.Stdout, cmd.Stderr = output, output
	proc, err := owned.Start(cmd)
	write.Close()
	if err != nil {
		return nil, err
	}
	if started != nil {
		started(proc)
	}
	result.SetReadDeadline(time.Now().Add(toolWait))
	why, err := io.ReadAll(result)
	if err == nil && len(why) > 0 {
		err = errors.New(string(why))
	}
	if err != nil {
		proc.Stop(0)
		return nil, err
	}
	return proc, nil
}
