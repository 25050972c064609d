/*
Jm-directory-server is a directory server for JoinMarket with its own Tor inside.

Makers and takers of JoinMarket find each other through directories: a directory hears who is there,
copies public messages to everybody, hands private messages on, and says who has left. This one publishes
itself as an onion service; nothing else has to be installed or opened to the network.

Usage:

	jm-directory-server [run] [flags]
	jm-directory-server check-config [--example] [flags]
	jm-directory-server key show|new|import|export|verify|vanity
	jm-directory-server backup FILE
	jm-directory-server restore FILE
	jm-directory-server install [--dry-run] [--network NAME]
	jm-directory-server uninstall [--dry-run] [--purge]
	jm-directory-server status [--json] [--watch [--interval TIME]] [--reasons]
	jm-directory-server health [--quiet]
	jm-directory-server kick TARGET
	jm-directory-server ban TARGET [--for TIME] [--reason TEXT]
	jm-directory-server unban ID
	jm-directory-server bans [--json]
	jm-directory-server drain [--off]
	jm-directory-server motd TEXT|-
	jm-directory-server log-level LEVEL
	jm-directory-server doctor [--json]
	jm-directory-server version
	jm-directory-server completion bash|fish|powershell|zsh
	jm-directory-server help [COMMAND]

Run serves until it gets SIGTERM or SIGINT. Once clients can find the directory it prints one line to
standard output:

	directory is up: <56 characters>.onion:5222

Everything else goes to the log on standard error. Check-config prints the configuration that run would
use, with the origin of each value, or all that is wrong with it. Key makes, searches, imports and exports the
onion key, which is the directory's identity; backup saves it with configuration and store in one encrypted file,
which restore brings back. Install makes this file a service of
systemd, uninstall takes that back and keeps configuration and key.

Status shows how the running server is, health says it to monitors, and doctor looks at all that a directory needs.
Kick, ban, unban and bans are for peers
that do harm. Drain refuses newcomers before maintenance. Motd and log-level hold until the configuration is
read anew or the server is restarted.

# Configuration

Nothing has to be configured. What is set is looked for in this order, the first wins:

  - flags, see --help;
  - the environment: NETWORK, MAX_PEERS, MESSAGE_RATE_LIMIT, LOG_LEVEL, HOST and PORT; an empty variable
    sets nothing;
  - the file named by --config, else /etc/jm-directory-server/config.toml if it exists; it is TOML, with
    the keys that "check-config --example" documents, or, if its name ends in .env, lines of NAME=value
    with the names above;
  - the default.

HOST and PORT are the address to listen on with --tor off. With Tor, PORT is the port of the onion service,
and a HOST other than loopback is warned about, as nobody can connect there.

The state directory is $STATE_DIRECTORY, else /var/lib/jm-directory-server for root, else
$XDG_STATE_HOME/jm-directory-server or ~/.local/state/jm-directory-server. It holds the onion key, which is
the directory's identity, and is used by one server at a time.

# The running server

Commands from status to log-level talk to the server that runs, over its admin socket: where --admin says, or
where the configuration puts it (admin.listen, admin.sock in the runtime directory by default). If nothing
there names another server, the socket of the systemd service is looked at too. It is for the server's user
and for root.

A TARGET is a nick, conn:HEX as the debug log writes connections, or circuit:NUMBER for all connections on one
circuit of Tor. A TIME is a number and ms, s, m, h or d, or several of them with days first: 90m, 7d, 1d12h.

# Signals

SIGTERM and SIGINT stop accepting, send what waits for peers for at most shutdown_timeout, stop Tor and
exit; a second one exits at once. SIGUSR1 logs the status in numbers.

SIGHUP reads the configuration anew, from the same flags, environment and file: network_aliases, motd,
shutdown_timeout, log.level, log.format and all of nick_auth (but for directory_id), limits (but for flushers), circuits,
offers, location_check, heartbeat, peers and selfcheck are put in force for everybody, those who are connected included. If anything is wrong, or another key is changed,
nothing is, and the log says why in one line for each problem.

# Exit codes

	0  stopped by a signal
	1  failed while running: Tor ended, an address or a key cannot be used, a second signal
	2  configuration or command line is wrong
	3  no server is running that the command could ask

Those of health are for monitors:

	0  clients can reach the directory
	1  the server runs, but newcomers cannot reach it or are refused (drain)
	2  the server does not move; also a wrong command line
	3  no server is running, or it cannot be asked
*/
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/isolation"
	"jm-directory-server/onion"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNoServer = 3
)

// version is set by the linker: -X main.version=1.2.3.
var version = "dev"

func main() {
	onion.Become()
	if err := isolation.NoDumps(); err != nil { // commands have keys and passphrases, and search keys for hours
		fmt.Fprintf(os.Stderr, "jm-directory-server: %v\n", err)
		os.Exit(exitFailed)
	}
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	var wrong problems
	var usage terminal.UsageError
	var logged loggedError
	var absent *notRunningError
	var code exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrong)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "jm-directory-server: %v\nSee \"%s --help\".\n", err, cmd.CommandPath())
		return exitUsage
	case errors.As(err, &logged):
		return exitFailed
	case errors.As(err, &absent):
		fmt.Fprintf(stderr, "jm-directory-server: %v\n", err)
		return exitNoServer
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintf(stderr, "jm-directory-server: %v\n", err)
		return exitFailed
	}
}
