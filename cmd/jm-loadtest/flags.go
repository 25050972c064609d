package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

func flags(list ...func(*pflag.FlagSet, *options)) []func(*pflag.FlagSet, *options) { return list }

func peersFlag(n int) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) { s.IntVar(&o.peers, "peers", n, "`number` of peers") }
}

func windowFlag(n int, of string) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) {
		s.IntVar(&o.window, "window", n, "`number` of messages in flight"+of)
	}
}

func roundsFlag(n int) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) { s.IntVar(&o.rounds, "rounds", n, "`number` of times to ask") }
}

func rateFlag(rate float64, what string) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) { s.Float64Var(&o.rate, "rate", rate, "`number` of "+what) }
}

func sizeFlag(s *pflag.FlagSet, o *options) {
	s.IntVar(&o.size, "size", 400, "`bytes` of a message: the whole line, CR LF included")
}

func durationFlag(d time.Duration) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) {
		s.DurationVar(&o.duration, "duration", d, "`time` that a measurement takes")
	}
}

func burstFlag(s *pflag.FlagSet, o *options) {
	s.BoolVar(&o.burst, "burst", false, "every peer sends one message, all at once")
}

func pairsFlag(n int) func(*pflag.FlagSet, *options) {
	return func(s *pflag.FlagSet, o *options) { s.IntVar(&o.pairs, "pairs", n, "`number` of pairs") }
}

func factorFlag(s *pflag.FlagSet, o *options) {
	s.Float64Var(&o.factor, "factor", 1.5, "how many `times` what can be delivered is sent")
}

func lightFlag(s *pflag.FlagSet, o *options) {
	s.BoolVar(&o.light, "light", false, "one message at a time, for its latency")
}

func makersFlag(s *pflag.FlagSet, o *options) {
	s.IntVar(&o.makers, "makers", 100, "`number` of makers")
}

func slowFlag(s *pflag.FlagSet, o *options) {
	s.IntVar(&o.slow, "slow", 1, "`number` of peers that never read")
}

func shareFlag(s *pflag.FlagSet, o *options) {
	s.Float64Var(&o.share, "share", 0.25, "`part` of the peers that leaves, 0 to 1")
}

func scaleFlag(s *pflag.FlagSet, o *options) {
	s.Float64Var(&o.scale, "scale", 1, "`factor` for all numbers of peers, above 0 to 1")
}

func (o *options) lightRate() string {
	if o.rate > 0 && !o.light {
		return "--rate needs --light; without it, as much is sent as goes"
	}
	return ""
}

func (o *options) someSlow() string {
	if o.slow < 1 || o.slow > o.peers-2 {
		return fmt.Sprintf("--slow %d: must be 1 to %d, for two others must be left", o.slow, o.peers-2)
	}
	return ""
}

func (o *options) someLeave() string {
	if o.share <= 0 || o.share >= 1 {
		return fmt.Sprintf("--share %g: must be more than 0 and less than 1", o.share)
	}
	return ""
}

func (o *options) soakable() string {
	if o.rate <= 0 || o.peers < 4 {
		return "soak needs at least 4 --peers and a --rate above 0"
	}
	return ""
}
