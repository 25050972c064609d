/*
Jm-loadtest loads a JoinMarket directory server with simulated peers, and says how fast it is and whether
anything was lost on the way. It speaks the directory protocol only, so any server of it can be measured: this
one or another.

Usage:

	jm-loadtest SCENARIO --target ADDRESS [flags]
	jm-loadtest limit [flags]
	jm-loadtest report [flags] FILE...
	jm-loadtest completion bash|fish|powershell|zsh

The directory to measure is best started without Tor, on a unix socket, without rate limits and as a network of
its own; then, with its process id:

	jm-directory-server --tor off --listen unix:/tmp/d.sock --unlimited --network regtest &
	jm-loadtest all --target unix:/tmp/d.sock --pid $!

A server with rate limits drops what is above them, and that shows as lost messages: use broadcast, private or soak
with a --rate below the limits.

# Scenarios

	ramp       peers join as fast as they are let in: handshakes a second, time to the answer, and with
	           --pid what an idle peer costs in memory, for which the server must be fresh: memory that it had
	           before is used again
	broadcast  public messages. Closed loop: --window of them are in flight, and the next one is sent when all
	           receivers have got one. Open loop: --rate a second, whatever comes back; times count from when a
	           message was due. Burst: with --burst every peer sends one, all at once
	private    private messages between --pairs. Each pair keeps --window in flight; with --light one message at a
	           time is under way, there and back, for its latency
	orderbook  a taker asks for the orderbook, each of --makers answers with one message of 650 bytes; --rounds
	           times. The figure is the median of the times to the last answer, of rounds with all answers
	slow       --slow of the peers never read: deliveries and latency of the others meanwhile, and the time until
	           the directory has ended the slow ones, for at most --duration
	overload   first how many public messages --peers can be sent, then --factor times as many, while --pairs of other
	           peers write to each other: what is delivered, what the directory does not take, whether anybody is
	           ended, and how long the private messages of the others take
	churn      a --share of the peers leaves at once: time until the last of the others was told of the last of
	           them, and whether anybody else was ended
	reconnect  all peers drop and come back at once, with the same nicks, again each second while they are refused
	peerlist   one peer asks for the list of all others, --rounds times: time to the last entry of complete
	           lists, largest line
	soak       for --duration: announcements, private messages, a taker that asks for the orderbook every 15 s, and
	           visitors that come and go; --rate counts the messages of the first two
	all        a set of all these, one after the other, each with peers of its own: up to 10000 of them, about two
	           minutes. --scale 0.1 is the same with a tenth of the peers. limit, for sockets of the same kind, comes last
	limit      no server: one thread writes messages to each of --peers sockets in turn, 1, 4 and 16 of them in a
	           write, and the readers of this program read; and one thread sends back what another sends. It is the
	           yardstick for the other figures, and for this program itself

Makers serve at onions made up for the purpose, takers do not. Nicks and onions follow from --seed. All peers
announce the features peerlist_features and ping, and answer pings.

# Targets

Load can be put on this machine only: --target is 127.0.0.1:PORT (or any other address of 127.0.0.0/8), [::1]:PORT or
unix:PATH. Names are not resolved, and everything else is refused.

An onion can be probed, not loaded: --target ONION:PORT with --socks, the address of a Tor on this machine, and
--rate of at most 10 messages a second in all, with at most 20 peers, for at most 10 minutes. Each peer has a
circuit of its own. Possible are ramp, broadcast with --rate, private with --light and --rate, orderbook and
peerlist. Do this to directories that you run.

# Results

While it runs, a terminal shows one line of progress on standard error. Then a table of at most 80 columns goes to
standard output: for each measurement its figures, the median and the 99th percentile of the times in ms, and, with
--pid, the seconds of CPU time that the server used for a million deliveries. Below it stands what went wrong.
With --json FILE the same and more is written as JSON with names that stay; with --json - to standard output, and the
table to standard error.

Each message carries its sender's number, a sequence number and the time, in a fixed place. What is counted as wrong:

	lost          a delivery that a receiver who stayed connected did not get; not, if the directory has ended the
	              sender, what nobody got
	came twice    a message that came again
	out of order  a message that came after a later one of the same sender
	damaged       a message that is not as it was sent
	to the wrong  a message that came back to its sender, or to somebody it was not for
	malformed     a line that makes clients drop a directory: no CR LF, above 40000 bytes, no strict JSON
	evicted       a connection that the directory ended, closed or reset, and should not have
	refused       a handshake, by the answer

The first half second to a second of a measurement with a duration does not count. A delivery is one message that one
receiver got for the first time.

"report" reads such files, of as many runs as there are, and writes the medians as a table in Markdown, over TCP and unix
sockets side by side, beside goals and what other servers reached; with --into FILE between two marks of that file, and with
--plots DIRECTORY pictures of how figures grow with the number of peers. "make bench" is what calls it.

# When this program is the limit

It reads with --procs threads, one by default, which share a core each among all connections. The table and JSON say so
when they were what limited a figure: when their CPU time was near that of their cores ("generator"), when
they had always something to do but did not get their cores ("machine": the server runs on the same ones), or when
more and more waited to be read ("backlog"). One thread takes several million deliveries a second when
many come at once; with one message in each read, it costs about what the server's write does. "limit" shows both for the
machine at hand; --cpuprofile writes where the time goes.

Ten thousand peers need as many descriptors, here and in the server; 20000 is the most that is asked for.

# Exit codes

	0  all was measured, and nothing went wrong
	1  something was lost, evicted, refused or otherwise wrong, or could not be measured
	2  the command line makes no sense, or the target is refused
*/
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"jm-directory-server/cmd/terminal"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var usage terminal.UsageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "jm-loadtest: %v\nSee \"%s --help\".\n", err, cmd.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(stderr, "jm-loadtest: %v\n", err)
		return exitFailed
	}
}
