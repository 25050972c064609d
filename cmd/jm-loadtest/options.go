package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"jm-directory-server/cmd/terminal"
)

// options are what the command line says.
type options struct {
	to, through target // of --target and --socks
	targetText  string
	socksText   string
	network     string
	peers       int
	size        int
	duration    time.Duration
	seed        uint64
	json        string
	pid         int
	procs       int
	joins       int
	profile     string

	window int
	rate   float64
	burst  bool
	pairs  int
	light  bool
	makers int
	rounds int
	slow   int
	share  float64
	factor float64
	scale  float64
}

// networks are the bitcoin networks of a handshake (protocol.md 5.1).
var networks = []string{"mainnet", "testnet", "signet", "regtest"}

// A need is what a scenario makes of its flags.
type need struct {
	onion func(o *options) bool   // whether it may probe an onion with these; nil: never
	peers func(o *options) int    // how many connections it makes
	check func(o *options) string // what is wrong, or ""
	bare  bool                    // it needs no target

	exclusive [][]string // flags of which one at most may be given
}

// check completes the options, or says what is wrong with them, as a usage error.
func (o *options) check(name string, n need) error {
	bad := func(is bool, format string, args ...any) error {
		if !is {
			return nil
		}
		return terminal.UsageErrorf(format, args...)
	}
	var err error
	if !n.bare {
		if o.targetText == "" {
			return terminal.UsageErrorf("--target is missing: 127.0.0.1:PORT, [::1]:PORT or unix:PATH")
		}
		if o.to, err = parseTarget(o.targetText); err != nil {
			return terminal.UsageErrorf("%w", err)
		}
	}
	if o.socksText != "" {
		if o.through, err = parseLocal(o.socksText); err != nil {
			return terminal.UsageErrorf("socks %w", err)
		}
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	for _, err := range []error{
		bad(!slices.Contains(networks, o.network), "--network %q: must be one of %v", o.network, networks),
		bad(o.size < minSize || o.size > maxSize, "--size %d: must be %d to %d bytes", o.size, minSize, maxSize),
		bad(o.duration <= 0 || o.duration > 30*24*time.Hour, "--duration %s: must be more than 0s and at most 720h", o.duration),
		bad(o.procs < 1 || o.procs > 64, "--procs %d: must be 1 to 64", o.procs),
		bad(o.joins < 1 || o.joins > 10_000, "--joins %d: must be 1 to 10000", o.joins),
		bad(o.rate < 0 || o.rate > 1e6, "--rate %g: must be 0 to 1000000", o.rate),
		bad(o.window < 1 || o.window > 65536, "--window %d: must be 1 to 65536", o.window),
		bad(o.rounds < 1 || o.rounds > 1_000_000, "--rounds %d: must be 1 to 1000000", o.rounds),
		bad(o.pairs < 1 || o.makers < 1, "--pairs and --makers: must be at least 1"),
		bad(o.factor <= 1 || o.factor > 100, "--factor %g: must be more than 1 and at most 100", o.factor),
		bad(o.scale <= 0 || o.scale > 1, "--scale %g: must be more than 0 and at most 1", o.scale),
		bad(o.pid < 0, "--pid %d: no process has that id", o.pid),
	} {
		if err != nil {
			return err
		}
	}
	peers := n.peers(o)
	if peers < 2 || peers > maxFiles-64 {
		return terminal.UsageErrorf("%d peers: must be 2 to %d", peers, maxFiles-64)
	}
	if n.check != nil {
		if wrong := n.check(o); wrong != "" {
			return terminal.UsageErrorf("%s", wrong)
		}
	}
	if o.pid > 0 {
		if _, err := readProcess(o.pid); err != nil {
			return terminal.UsageErrorf("--pid %d: %w", o.pid, err)
		}
	}
	if o.to.onion() {
		return o.checkOnion(name, n, peers)
	}
	if o.socksText != "" {
		return terminal.UsageErrorf("--socks is for an onion; %s is reached directly", o.to)
	}
	return nil
}

// checkOnion holds probes of an onion to their bounds.
func (o *options) checkOnion(name string, n need, peers int) error {
	switch {
	case o.socksText == "", o.rate <= 0, o.rate > maxOnionRate, peers > maxOnionPeers, o.duration > maxOnionDuration:
		return terminal.UsageErrorf("%s", onionBounds)
	case n.onion == nil || !n.onion(o):
		return terminal.UsageErrorf("%s cannot be pointed at an onion in this way: its load has no rate. Possible are ramp, broadcast and private --light with --rate, orderbook and peerlist; %s", name, onionBounds)
	case o.pid > 0:
		return terminal.UsageErrorf("--pid is for a server on this machine")
	}
	o.joins = min(o.joins, maxOnionPeers)
	return nil
}

// create opens the file of --json or --cpuprofile.
func create(path string) (*os.File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return f, nil
}
