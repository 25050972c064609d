package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"jm-directory-server/cmd/terminal"
)

// An attack is one way to harm honest peers.
type attack struct {
	name string
	what string // in a few words
	run  func(ctx context.Context, f *field) (note string, err error)
	// known is harm that is known and cannot be prevented by the directory, with the reason; empty: none may be done.
	known string
}

// attacks are all of them.
var attacks = slices.Concat(
	[]attack{{name: "none", what: "nothing: the yardstick for the times", run: func(ctx context.Context, _ *field) (string, error) {
		<-ctx.Done()
		return "", nil
	}}},
	nickAttacks, messageAttacks, lineAttacks, connectionAttacks)

func attackNamed(name string) (attack, bool) {
	i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
	if i < 0 {
		return attack{}, false
	}
	return attacks[i], true
}

// hurt is an attack that had success by itself; what honest peers missed is counted apart.
type hurt struct{ error }

func hurtf(format string, args ...any) error { return hurt{fmt.Errorf(format, args...)} }

// A row is the outcome of one attack.
type row struct {
	attack
	outcome
	arrivals arrivals
	note     string
	count    count
	hurt     string // how honest peers were hurt; empty: they were not
	known    bool   // and that is known
}

// judge says how honest peers were hurt.
func (r *row) judge(err error) {
	var ways []string
	if r.lost > 0 {
		ways = append(ways, terminal.Counted(r.lost, "message")+" lost")
	}
	if r.ended > 0 {
		ways = append(ways, terminal.Counted(r.ended, "honest peer")+" ended")
	}
	for _, what := range slices.Sorted(maps.Keys(r.wrong)) {
		ways = append(ways, fmt.Sprintf("%s a %s", terminal.Counted(r.wrong[what], "time"), what))
	}
	for _, what := range slices.Sorted(maps.Keys(r.arrivals.refusals)) {
		ways = append(ways, fmt.Sprintf("%s: %s", terminal.Counted(r.arrivals.refusals[what], "newcomer"), what))
	}
	if err != nil {
		ways = append(ways, err.Error())
	}
	r.hurt = strings.Join(ways, "; ")
	r.known = r.attack.known != "" && r.lost == 0 && r.ended == 0 && len(r.wrong) == 0 && r.arrivals.out == 0
}

// The sizes of the honest group.
const honestPeers, fewHonestPeers = 20, 6

// quickConfig are short waits, for tests; none so short that honest peers on a busy machine exceed it.
const quickConfig = "timeout = \"5s\"\n[limits]\nwrite_timeout = \"3s\"\n[heartbeat]\nconflict_timeout = \"3s\"\n"

// attackAll does the attacks one after the other and prints each as it ends.
func attackAll(ctx context.Context, o options, out io.Writer) ([]*row, error) {
	var rows []*row
	heading(out)
	for _, a := range attacks {
		if len(o.only) > 0 && !slices.Contains(o.only, a.name) {
			continue
		}
		r, err := perform(ctx, o, a)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", a.name, err)
		}
		rows = append(rows, r)
		r.print(out)
	}
	return rows, nil
}

// perform does one attack.
func perform(ctx context.Context, o options, a attack) (r *row, err error) {
	more, n := "", honestPeers
	if o.quick {
		more, n = quickConfig, fewHonestPeers
	}
	d, err := startDirectory(o.server, func(dir string) string { return plainConfig(dir, more) })
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := d.close(); err == nil {
			err = cerr
		}
	}()
	if err := d.waitListening(ctx); err != nil {
		return nil, err
	}
	f := &field{directory: d, quick: o.quick}
	connect := func(ctx context.Context, pace int) (*stream, error) {
		conn, err := dial(ctx, f.socket(), f.fresh())
		if err != nil {
			return nil, err
		}
		return newStream(conn, pace), nil
	}
	f.honest, err = newGroup(n, func(i int) (*stream, error) {
		switch {
		case i == 0 && o.quick:
			return connect(ctx, quickPace)
		case i == 0:
			return connect(ctx, victimPace)
		case o.quick:
			return connect(ctx, 0)
		}
		return connect(ctx, honestPace)
	})
	if err != nil {
		return nil, err
	}
	r = &row{attack: a}
	talking, silence := context.WithCancel(ctx)
	defer silence()
	f.honest.talk(talking)
	attacking, peace := context.WithTimeout(ctx, o.duration)
	defer peace()
	arriving, arrived := context.WithCancel(ctx)
	defer arrived()
	f.work.Go(func() {
		r.arrivals.come(arriving, func(ctx context.Context) (*stream, error) { return connect(ctx, honestPace) })
	})
	note, failed := a.run(attacking, f)
	<-attacking.Done() // honest peers talk as long under each attack
	arrived()
	silence()
	f.work.Wait()
	r.outcome = f.honest.finish(ctx)
	r.note = note
	if r.count, err = d.count(ctx); err != nil {
		return nil, err
	}
	var h hurt
	if failed != nil && !errors.As(failed, &h) {
		return nil, failed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.judge(failed)
	return r, nil
}

// soon bounds a step of an attack that goes on after its time.
func soon(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d)
}
