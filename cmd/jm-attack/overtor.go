package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"jm-directory-server/onion/tornet"
)

const (
	// attackers is how many Tors the flood comes from.
	attackers = 3
	// upTimeout is how long the server may take to be published, reachTimeout how long honest circuits may.
	upTimeout, reachTimeout = time.Minute, 2 * time.Minute
	// newcomersOverTor is how many honest newcomers come during the flood, one after the other.
	newcomersOverTor = 3
)

// undefended is the configuration without the defences that a flood of circuits meets.
const undefended = "pow = false\nintro_dos_defense = false\n[limits]\nhandshake_rate = 0\n[circuits]\nhandshake_rate = 0\n"

// attackOverTor floods a directory with circuits on a private Tor network, without the defences and with them.
func attackOverTor(ctx context.Context, o options, out io.Writer) ([]*row, error) {
	n, err := tornet.Start(ctx, tornet.Options{Tor: o.tor})
	if err != nil {
		return nil, err
	}
	defer n.Close()
	if err := n.WaitConsensus(ctx); err != nil {
		return nil, err
	}
	heading(out)
	var rows []*row
	for _, mode := range []struct{ name, config string }{{"circuits-undefended", undefended}, {"circuits", ""}} {
		if o.quick && mode.config != "" {
			continue
		}
		r, err := floodCircuits(ctx, o, n, mode.name, mode.config)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", mode.name, err)
		}
		rows = append(rows, r)
		r.print(out)
	}
	return rows, nil
}

// torConfig is the configuration on the private network.
func torConfig(n *tornet.Network, dir, more string) string {
	var lines []string
	for _, line := range n.Torrc() {
		lines = append(lines, strconv.Quote(line))
	}
	return fmt.Sprintf("network = %q\nstate_dir = %q\n[selfcheck]\ninterval = \"0s\"\n[tor]\ntorrc = [\n%s\n]\n%s",
		network, filepath.Join(dir, "state"), strings.Join(lines, ",\n"), more)
}

// waitUp waits until clients can find the onion, and returns it.
func (d *directory) waitUp(ctx context.Context) (string, error) {
	for end := time.Now().Add(upTimeout); ; {
		if _, rest, ok := strings.Cut(d.printed(), "directory is up: "); ok {
			host, _, err := net.SplitHostPort(strings.TrimSpace(rest))
			return host, err
		}
		select {
		case <-d.ended:
			return "", fmt.Errorf("the server ended: %v\n%s", d.err, d.said())
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("the server is not up within %s\n%s", upTimeout, d.said())
		}
	}
}

// floodCircuits has o.circuits circuits come, shake hands and vanish, while established peers talk.
func floodCircuits(ctx context.Context, o options, n *tornet.Network, name, config string) (r *row, err error) {
	d, err := startDirectory(o.server, func(dir string) string { return torConfig(n, dir, config) })
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := d.close(); err == nil {
			err = cerr
		}
	}()
	host, err := d.waitUp(ctx)
	if err != nil {
		return nil, err
	}
	var tors []*tornet.Node
	for i := range 1 + attackers {
		client, err := n.Client(ctx, fmt.Sprintf("%s%d", name[len(name)-4:], i))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		tors = append(tors, client)
	}
	reach := func(ctx context.Context, user string) (*stream, error) {
		ctx, cancel := context.WithTimeout(ctx, reachTimeout)
		defer cancel()
		conn, err := tors[0].Reach(ctx, user, host, 5222)
		if err != nil {
			return nil, err
		}
		return newStream(conn, 0), nil
	}
	honest, err := newGroup(o.established, func(i int) (*stream, error) { return reach(ctx, fmt.Sprintf("honest%d", i)) })
	if err != nil {
		return nil, err
	}
	r = &row{attack: attack{name: name}, arrivals: arrivals{refusals: map[string]int{}}}
	talking, silence := context.WithCancel(ctx)
	defer silence()
	honest.talk(talking)

	f := &field{directory: d, honest: honest}
	dialling, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	flood, over := context.WithCancel(dialling)
	defer over()
	var begun, in atomic.Int64
	begin := time.Now()
	f.work.Go(func() {
		for i := range newcomersOverTor {
			came := time.Now()
			_, err := r.arrivals.one(ctx, i, func(ctx context.Context) (*stream, error) { return reach(ctx, fmt.Sprintf("new%d", i)) })
			if err != nil {
				r.arrivals.out++
				r.arrivals.refusals[err.Error()]++
				continue
			}
			r.arrivals.in++
			r.arrivals.slowest = max(r.arrivals.slowest, time.Since(came))
		}
	})
	f.each(flood, 60, 0, func(i int) {
		k := begun.Add(1)
		if k > int64(o.circuits) {
			over()
			return
		}
		conn, err := tors[1+i%attackers].Dial(dialling, fmt.Sprintf("flood%d", k), host, 5222)
		if err != nil {
			return
		}
		defer conn.Close()
		if newStream(conn, 0).handshake(stranger()) == nil {
			in.Add(1)
		}
	})
	took := time.Since(begin)
	f.work.Wait()
	silence()
	r.outcome = honest.finish(ctx)
	if r.count, err = d.count(ctx); err != nil {
		return nil, err
	}
	r.note = fmt.Sprintf("%d circuits from %d Tors in %s, %d of them shook hands; the slowest newcomer was in after %s",
		min(begun.Load(), int64(o.circuits)), attackers, short(took), in.Load(), short(r.arrivals.slowest))
	r.judge(nil)
	return r, ctx.Err()
}
