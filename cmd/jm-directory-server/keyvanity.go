package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
	"jm-directory-server/onion/vanity"
)

const (
	// vanityTick is how often a terminal shows the progress of a search, vanityLine how often a line is
	// printed elsewhere.
	vanityTick = 500 * time.Millisecond
	vanityLine = 30 * time.Second
	// maxVanityJobs and maxVanityCount bound what can only be a slip of the finger.
	maxVanityJobs  = 1024
	maxVanityCount = 10_000
)

func newKeyVanityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vanity PREFIX[,PREFIX...]",
		Short: "Search a key whose address begins with a prefix",
		Long: `Searches a key whose address begins with one of the prefixes: letters a to z and
digits 2 to 7. Each character more takes 32 times as long. The key is written to
DIR/ADDRESS.onion, for "key import", and the address printed.

Progress goes to standard error. A search that is interrupted keeps nothing and
none is ever resumed: chance has no memory, so a new one is as quick.`,
		Example: `  jm-directory-server key vanity joinm
  jm-directory-server key vanity dir,jmdir --count 3 --out /root/keys`,
		Args: oneArg("PREFIX[,PREFIX...]"),
	}
	cmd.Flags().SortFlags = false
	jobs := cmd.Flags().Int("jobs", 0, "search with `N` workers (default one for each core)")
	out := cmd.Flags().String("out", ".", "`directory` to write keys to")
	count := cmd.Flags().Int("count", 1, "search `N` keys")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		prefixes, err := vanity.ParsePrefixes(strings.Split(args[0], ","))
		if err != nil {
			return terminal.UsageErrorf("%w", err)
		}
		if !cmd.Flags().Changed("jobs") {
			*jobs = runtime.GOMAXPROCS(0)
		}
		if *jobs < 1 || *jobs > maxVanityJobs {
			return terminal.UsageErrorf("--jobs must be 1 to %d, got %d", maxVanityJobs, *jobs)
		}
		if *count < 1 || *count > maxVanityCount {
			return terminal.UsageErrorf("--count must be 1 to %d, got %d", maxVanityCount, *count)
		}
		unix.Umask(0o077)
		v := &vanitySearch{
			prefixes: prefixes, jobs: *jobs, want: *count, out: *out,
			stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), line: newStatusLine(cmd.ErrOrStderr()),
		}
		stop, cancel := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
		defer cancel()
		return v.run(stop)
	}
	return cmd
}

// A vanitySearch is one run of "key vanity".
type vanitySearch struct {
	prefixes       *vanity.Prefixes
	jobs, want     int
	out            string
	stdout, stderr io.Writer
	line           *statusLine // nil: no terminal

	search vanity.Search
	begun  time.Time
	found  int
}

func (v *vanitySearch) run(stop context.Context) error {
	v.begun = time.Now()
	if v.line != nil {
		v.stderr = v.line
	}
	fmt.Fprintf(v.stderr, "searching an address that begins with %s: 1 in %s\n", strings.ReplaceAll(v.prefixes.String(), ", ", " or "), amount(v.prefixes.Expected()))
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		v.progress(quit)
	}()
	err := v.search.Run(stop, v.prefixes, v.jobs, v.keep)
	close(quit)
	<-ended
	if stop.Err() != nil && errors.Is(err, stop.Err()) {
		return fmt.Errorf("stopped after %s keys, %d of %d found; nothing else is kept", amount(float64(v.search.Tried())), v.found, v.want)
	}
	return err
}

// keep writes a key, which reads it back, and then tells its address.
func (v *vanitySearch) keep(key onion.SecretKey) (more bool, err error) {
	dir := filepath.Join(v.out, key.Address())
	if err := key.WriteDir(dir); err != nil {
		return false, err
	}
	if err := v.print(key.Address()); err != nil {
		return false, fmt.Errorf("print the address: %w", err)
	}
	v.found++
	fmt.Fprintf(v.stderr, "found after %s, in %s; to use it:\n  jm-directory-server key import %s\n",
		duration(time.Since(v.begun).Seconds()), dir, dir)
	return v.found < v.want, nil
}

// print writes a line to standard output, which may be the terminal that shows the progress.
func (v *vanitySearch) print(text string) error {
	write := func() error {
		_, err := fmt.Fprintln(v.stdout, text)
		return err
	}
	if v.line == nil {
		return write()
	}
	return v.line.Above(write)
}

// progress shows how the search goes until quit is closed.
func (v *vanitySearch) progress(quit <-chan struct{}) {
	line, every := v.line, vanityLine
	if line != nil {
		every = vanityTick
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			if line != nil {
				line.Set("") // a terminal that is gone does not matter any more
			}
			return
		case <-tick.C:
			text := vanityProgress(v.prefixes, v.search.Tried(), time.Since(v.begun))
			if line == nil {
				fmt.Fprintln(v.stderr, text)
			} else if err := line.Set(text); err != nil {
				line = nil
			}
		}
	}
}

// vanityProgress says how far a search is: how probable it was that a key had been found by now, the rate, and
// what a key takes on average. It fits a terminal of 80 columns, but for times of many years.
func vanityProgress(p *vanity.Prefixes, tried uint64, since time.Duration) string {
	rate := float64(tried) / max(since.Seconds(), 1e-9)
	expected := "unknown time"
	if rate > 0 {
		expected = duration(p.Expected() / rate)
	}
	return fmt.Sprintf("probability %.1f %%; %s keys/s; one in %s; %s tried",
		100*p.Within(tried), amount(rate), expected, amount(float64(tried)))
}

// amount writes a number for reading: 950, 12.3 thousand, 33.6 million.
func amount(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, " trillion"}, {1e9, " billion"}, {1e6, " million"}, {1e3, " thousand"}} {
		if n >= 1e18 {
			return fmt.Sprintf("%.1e", n)
		}
		if n >= unit.size {
			return fmt.Sprintf("%.1f%s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f", n)
}

// duration writes seconds for reading: 3.2 s, 12 min, 5.1 hours, 2.3 days, 4.0 years.
func duration(s float64) string {
	const year = 365.25 * 86400
	switch {
	case math.IsInf(s, 0) || s >= 1e6*year:
		return "over a million years"
	case s >= year:
		return fmt.Sprintf("%.1f years", s/year)
	case s >= 2*86400:
		return fmt.Sprintf("%.1f days", s/86400)
	case s >= 2*3600:
		return fmt.Sprintf("%.1f hours", s/3600)
	case s >= 120:
		return fmt.Sprintf("%.0f min", s/60)
	default:
		return fmt.Sprintf("%.1f s", s)
	}
}
