/*
Jm-demo shows a directory at work, without the internet: it starts a private Tor network on loopback, the
server on it, and three simulated peers (two makers, one taker) that connect through onion circuits of their
own and do what real ones do.

Usage:

	jm-demo --server PATH --tor PATH [-v]
	jm-demo --server PATH --tor PATH --crowd 10m [--peers 40] [--admin 127.0.0.1:9152] [-v]

Path of the server is a jm-directory-server with Tor inside ("make build"); that of tor an executable with
the relay and dirauth modules, of which the network is made. With -v the log of the server is shown as well.

Each step is one line with the seconds since the start. A step that does not come as it should ends the demo
with what was expected and the last lines of the server's log. It ends by itself: exit code 0 when every
step came, 1 when one did not, or after three minutes, or on SIGINT or SIGTERM; 2 for a command line that makes
no sense.

With --crowd there is no story: that many peers come, trade and go for that time, besides strangers who are refused, so that an
operator's page and "status --watch" have something to show (scripts/screenshots.sh). The directory answers at the
address of --admin, and checks itself every 30 seconds. It ends three minutes after that time at the latest.

All processes that it started end with it, however it ends.
*/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// timeout bounds the whole demo, apart from the time of a crowd. It usually takes 15 seconds; on a machine that is busy the relays
// miss a vote or two, each of which is 10 or 20 seconds more, and every Tor takes its time.
const timeout = 3 * time.Minute

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("jm-demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.server, "server", "", "jm-directory-server to show, an executable at `PATH`")
	flags.StringVar(&o.tor, "tor", "", "tor to make the private network of, an executable at `PATH`")
	flags.DurationVar(&o.crowd, "crowd", 0, "instead of the story, keep many peers for that `time`")
	flags.IntVar(&o.peers, "peers", 40, "`number` of peers of --crowd, 1 to 500")
	flags.StringVar(&o.admin, "admin", "", "`address` of loopback where the directory of --crowd answers its operator")
	flags.BoolVar(&o.verbose, "v", false, "show the log of the server as well")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case o.server == "" || o.tor == "" || flags.NArg() > 0:
		fmt.Fprintln(stderr, "jm-demo: needs --server PATH and --tor PATH, and nothing else but flags; see --help")
		return exitUsage
	case o.crowd < 0 || o.peers < 1 || o.peers > 500 || o.crowd == 0 && o.admin != "":
		fmt.Fprintln(stderr, "jm-demo: --crowd needs a time above 0 and 1 to 500 peers, and --admin needs --crowd; see --help")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.crowd+timeout)
	defer cancel()
	if err := show(ctx, o, newReport(stdout)); err != nil {
		return exitFailed
	}
	return exitOK
}
