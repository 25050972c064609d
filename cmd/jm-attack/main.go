/*
Jm-attack attacks a directory server of its own, and says what honest peers noticed.

Usage:

	jm-attack --server PATH [--only NAME,...] [--duration TIME] [--document FILE] [--quick]
	jm-attack --server PATH --tor PATH [--circuits N] [--established N] [--document FILE]

For each attack it starts the server at PATH on a unix socket in a temporary directory, without Tor, with the lines that tell
circuits (listen.proxy_protocol), and otherwise as it is by default. Honest peers, half of them with proven nicks and half
like the reference client, makers and takers, each on a circuit of its own and reading no faster than one over Tor
does, then talk to each other all the time: public messages, private ones, answers to orderbook requests. Newcomers come and go. After some
seconds of the attack, it is counted what honest peers missed, how long messages took, how many newcomers got in, and what the server
counted as a reason. Nothing but that server is attacked.

With --tor, an executable with the relay and dirauth modules, there is one attack instead, on a private Tor network on
loopback: circuits of several Tors come, shake hands and vanish, while established peers talk. It is done twice, with
the defences and without.

	--duration   how long each attack goes on; 8 seconds by default
	--only       these attacks only
	--quick      short waits in the server's configuration and few peers, for tests
	--document   put the table between the markers of this file

Exit code 0: no attack hurt honest peers, or only as is known and written with that attack; 1: one did, or something could not
be done; 2: the command line makes no sense. It ends by itself, and all processes that it started with it.
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
	"strings"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// options are the command line.
type options struct {
	server, tor string
	only        []string
	duration    time.Duration
	quick       bool
	document    string
	circuits    int // with tor: of the flood
	established int // with tor: honest peers
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "jm-attack: %v; see --help\n", err)
		return exitUsage
	}
	all := attackAll
	if o.tor != "" {
		all = attackOverTor
	}
	rows, err := all(ctx, o, stdout)
	if err == nil && o.document != "" {
		err = document(o.document, markerOf(o), markdown(rows))
	}
	if err != nil {
		fmt.Fprintf(stderr, "jm-attack: %v\n", err)
		return exitFailed
	}
	for _, r := range rows {
		if r.hurt != "" && !r.known {
			return exitFailed
		}
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("jm-attack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.server, "server", "", "jm-directory-server to attack, an executable at `PATH`")
	flags.StringVar(&o.tor, "tor", "", "flood with circuits on a private Tor network, made of\nthe executable at `PATH`")
	flags.StringVar(&only, "only", "", "`NAMES` of attacks, with commas; all by default")
	flags.DurationVar(&o.duration, "duration", 8*time.Second, "`TIME` for each attack")
	flags.BoolVar(&o.quick, "quick", false, "short waits in the server's configuration and few peers, for tests")
	flags.StringVar(&o.document, "document", "", "put the table between the markers of this `FILE`")
	flags.IntVar(&o.circuits, "circuits", 300, "`NUMBER` of circuits of the flood over Tor")
	flags.IntVar(&o.established, "established", 50, "`NUMBER` of honest peers over Tor")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.server == "" || flags.NArg() > 0 {
		return o, errors.New("needs --server PATH, and takes no arguments")
	}
	if o.duration < 100*time.Millisecond || o.duration > time.Minute {
		return o, errors.New("--duration must be 100ms to 1m")
	}
	if o.circuits < 1 || o.circuits > 1000 || o.established < 2 || o.established > 200 {
		return o, errors.New("--circuits must be 1 to 1000, --established 2 to 200")
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if _, ok := attackNamed(name); !ok {
			return o, fmt.Errorf("there is no attack %q", name)
		}
	}
	return o, nil
}
