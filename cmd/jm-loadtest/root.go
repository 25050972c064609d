package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jm-directory-server/cmd/terminal"
)

// errFaults says that everything was measured, and something went wrong: exit code 1.
var errFaults = errors.New("something was lost, evicted, refused or not measured; see above")

// newRootCommand returns the whole command line.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "jm-loadtest",
		Short: "load generator and protocol probe for JoinMarket directory servers",
		Long: `Loads a JoinMarket directory server on this machine with simulated peers, and
says how fast it is, and whether anything was lost.`,
		Example: `  jm-loadtest broadcast --target unix:/tmp/d.sock --peers 1000 --window 16
  jm-loadtest ramp --target 127.0.0.1:5222 --peers 10000 --pid 1234
  jm-loadtest all --target unix:/tmp/d.sock --json figures.json
  jm-loadtest limit`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          terminal.CommandOf,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return terminal.UsageErrorf("%w", err) })

	two := func(o *options) int { return o.peers }
	rated := func(o *options) bool { return o.rate > 0 }
	always := func(*options) bool { return true }
	for _, s := range []struct {
		use, short string
		run        func(*bench, context.Context) error
		flags      []func(*pflag.FlagSet, *options)
		need       need
	}{
		{"ramp", "peers join as fast as they are let in: rate, memory of an idle one", (*bench).ramp,
			flags(peersFlag(1000), rateFlag(0, "handshakes a second at most")), need{peers: two, onion: always}},
		{"broadcast", "public messages: a window in flight, a rate, or everybody at once", (*bench).broadcast,
			flags(peersFlag(100), windowFlag(16, ""), rateFlag(0, "messages a second, whatever comes back"), burstFlag, sizeFlag, durationFlag(5*time.Second)),
			need{peers: two, onion: rated, exclusive: [][]string{{"window", "rate", "burst"}, {"burst", "duration"}}}},
		{"private", "private messages between pairs: as many as go, or one at a time", (*bench).private,
			flags(pairsFlag(100), windowFlag(16, ", of each pair"), lightFlag, rateFlag(0, "messages a second with --light, whatever comes back"), sizeFlag, durationFlag(5*time.Second)),
			need{peers: func(o *options) int { return 2 * o.pairs }, onion: rated, exclusive: [][]string{{"window", "light"}}, check: (*options).lightRate}},
		{"orderbook", "a taker asks, all makers answer: time to the last answer", (*bench).orderbook,
			flags(makersFlag, roundsFlag(10), rateFlag(0, "messages a second at most, answers included")), need{peers: func(o *options) int { return o.makers + 1 }, onion: rated}},
		{"slow", "some peers never read: what others get, when the slow are ended", (*bench).slow,
			flags(peersFlag(100), windowFlag(16, ""), slowFlag, sizeFlag, durationFlag(time.Minute)), need{peers: two, check: (*options).someSlow}},
		{"overload", "more public messages than can be delivered: what others notice", (*bench).overload,
			flags(peersFlag(500), pairsFlag(10), factorFlag, sizeFlag, durationFlag(5*time.Second)),
			need{peers: func(o *options) int { return o.peers + 2*o.pairs }}},
		{"churn", "a share of the peers leaves at once: time until all others know", (*bench).churn,
			flags(peersFlag(1000), shareFlag), need{peers: two, check: (*options).someLeave}},
		{"reconnect", "all peers drop and come back at once, with the same nicks", (*bench).reconnect,
			flags(peersFlag(1000)), need{peers: two}},
		{"peerlist", "a peer asks for the list of all others: time to the last entry", (*bench).peerlist,
			flags(peersFlag(1000), roundsFlag(5), rateFlag(0, "requests a second at most")), need{peers: two, onion: rated}},
		{"soak", "a mix as in real life, for long: --duration 24h", (*bench).soak,
			flags(peersFlag(200), rateFlag(100, "messages a second, half of them public"), sizeFlag, durationFlag(time.Minute)), need{peers: func(o *options) int { return o.peers + max(1, o.peers/soakVisitors) }, check: (*options).soakable}},
		{"all", "all rows of the table, one after the other", (*bench).everything,
			flags(scaleFlag, sizeFlag, durationFlag(5*time.Second)), need{peers: func(o *options) int { return max(4, int(10_000*o.scale+.5)) }}},
		{"limit", "no server: what plain writing and reading costs on this machine", (*bench).limit,
			flags(peersFlag(1000), sizeFlag, durationFlag(5*time.Second)), need{peers: func(o *options) int { return 2 * o.peers }, bare: true}},
	} {
		o := &options{peers: 2, pairs: 1, makers: 1, rounds: 1, window: 1, scale: 1, factor: 1.5, size: minSize, duration: time.Second}
		cmd := &cobra.Command{
			Use: s.use, Short: s.short,
			Args: terminal.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err := exclude(cmd.Flags(), s.need.exclusive); err != nil {
					return err
				}
				if err := o.check(cmd.Name(), s.need); err != nil {
					return err
				}
				return perform(cmd, o, s.run)
			},
		}
		set := cmd.Flags()
		set.SortFlags = false
		if !s.need.bare {
			set.StringVar(&o.targetText, "target", "", "`address` of the directory: 127.0.0.1:PORT, [::1]:PORT, unix:PATH, or, within bounds, ONION:PORT")
			set.StringVar(&o.network, "network", "regtest", "bitcoin `network`: mainnet, testnet, signet, regtest")
			set.IntVar(&o.pid, "pid", 0, "process `id` of the server, to read its CPU time and memory")
			set.IntVar(&o.joins, "joins", 64, "`number` of handshakes under way at once")
			if s.need.onion != nil {
				set.StringVar(&o.socksText, "socks", "", "SOCKS `address` of a Tor, for an onion: 127.0.0.1:PORT or unix:PATH")
			}
			if err := cmd.RegisterFlagCompletionFunc("network", cobra.FixedCompletions(networks, cobra.ShellCompDirectiveNoFileComp)); err != nil {
				panic(err)
			}
		} else {
			o.network, o.joins = "regtest", 1
		}
		for _, add := range s.flags {
			add(set, o)
		}
		set.Uint64Var(&o.seed, "seed", 0, "`number` from which nicks and onions follow; 0: random")
		set.StringVar(&o.json, "json", "", "write the results as JSON to a `file`, - for standard output")
		set.IntVar(&o.procs, "procs", 1, "`number` of reading threads, and of cores for them")
		set.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of this program to a `file`")
		root.AddCommand(cmd)
	}
	root.AddCommand(newReportCommand())
	terminal.FitHelp(root)
	return root
}

// exclude refuses flags that make no sense together.
func exclude(set *pflag.FlagSet, exclusive [][]string) error {
	for _, group := range exclusive {
		var given []string
		for _, name := range group {
			if set.Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return terminal.UsageErrorf("%s exclude each other", strings.Join(given, " and "))
		}
	}
	return nil
}

// perform runs a scenario and writes what it found.
func perform(cmd *cobra.Command, o *options, scenario func(*bench, context.Context) error) (err error) {
	// One core beside those of the readers is for what paces and watches them; it is hardly used.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.procs + 1))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var out io.WriteCloser
	if o.json != "" && o.json != "-" {
		if out, err = create(o.json); err != nil {
			return err
		}
	}
	if o.profile != "" {
		f, err := create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("output: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	table := cmd.OutOrStdout()
	if o.json == "-" {
		table = cmd.ErrOrStderr()
	}
	r := &report{Tool: "jm-loadtest", Target: o.to.String(), Network: o.network, Seed: o.seed, Started: time.Now().UTC().Truncate(time.Second),
		CPUs: runtime.NumCPU(), Procs: o.procs}
	b := &bench{o: o, ids: newIdentities(o.seed), progress: newProgress(cmd.ErrOrStderr())}
	failure := scenario(b, cmd.Context())
	b.progress.clear()
	r.Results = b.results
	if failure != nil {
		r.Failure = failure.Error()
	}
	r.OK = failure == nil
	for _, x := range r.Results {
		r.OK = r.OK && x.Failure == "" && !x.Faults.any()
	}
	if err := r.writeTable(table); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if o.json != "" {
		if err := r.writeJSON(out, cmd.OutOrStdout()); err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
	switch {
	case failure != nil:
		return failure
	case !r.OK:
		return errFaults
	}
	return nil
}

// writeJSON writes the report to file and closes that, or to stdout if file is nil.
func (r *report) writeJSON(file io.WriteCloser, stdout io.Writer) error {
	w := stdout
	if file != nil {
		w = file
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	err := enc.Encode(r)
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}
