package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"jm-directory-server/onion/tornet"
	"jm-directory-server/server/wire"
)

var (
	throughTorPeers = flag.Int("throughtor.peers", 0, "measure with so many peers, each on a circuit of its own; 0: not")
	throughTorTable = flag.String("throughtor.table", "", "write what was measured to a `file`")
)

// throughTorClients is how many Tors the peers share.
const throughTorClients = 5

// TestEverythingComesThroughTor has hundreds of peers on circuits of their own talk through the built binary, on a Tor network of
// its own, wants all of it to come, and measures what of throughput and latency is Tor's and what is ours. `make bench` runs it.
func TestEverythingComesThroughTor(t *testing.T) {
	if *throughTorPeers == 0 {
		t.Skip("takes minutes: -throughtor.peers 500")
	}
	binary := builtBinary(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	n := privateNetwork(ctx, t)
	b := startBinary(ctx, t, binary, throughTorConfig(t, n))
	host := b.address(ctx)
	tor, _, _ := torGuardAndDialer(t, b.pid())
	m := &throughTor{t: t, server: b.pid(), tor: tor, network: n}

	began, before := time.Now(), m.cpu()
	m.join(ctx, host, *throughTorPeers)
	m.row(fmt.Sprintf("%d peers join", len(m.peers)), before, time.Since(began), fmt.Sprintf("%.0f/s", float64(len(m.peers))/time.Since(began).Seconds()))
	var reading sync.WaitGroup
	for _, p := range m.peers {
		reading.Go(func() { m.read(p) })
	}
	defer reading.Wait()
	defer func() {
		for _, p := range m.peers {
			p.conn.Close()
		}
	}()
	m.idle(ctx, 10*time.Second)
	for _, rate := range []float64{1, 4, 10} {
		m.broadcast(ctx, rate, 1, 10*time.Second)
	}
	for _, burst := range []int{8, 32} {
		m.broadcast(ctx, 10/float64(burst), burst, 20*time.Second)
	}
	m.private(ctx, 300)
	m.report()
}

func throughTorConfig(t *testing.T, n *tornet.Network) string {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("state_dir = %q\n[tor]\ntorrc = %s\n[selfcheck]\ninterval = \"0s\"\n", filepath.Join(dir, "state"), torrcOf(n))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// throughTor is one measurement.
type throughTor struct {
	t           *testing.T
	server, tor int // process ids
	network     *tornet.Network
	peers       []*onionPeer
	rows        []string

	mu      sync.Mutex
	times   []time.Duration // of what has come
	arrived chan struct{}   // told of each, while private messages are measured
}

// usage is the CPU time of the server, of its Tor, and of all others of the network.
type usage struct{ server, tor, others time.Duration }

func (m *throughTor) cpu() usage {
	u := usage{server: cpuOf(m.t, m.server), tor: cpuOf(m.t, m.tor)}
	for _, pid := range m.network.PIDs() {
		u.others += cpuOf(m.t, pid)
	}
	return u
}

// cpuOf is the CPU time of a process, to a hundredth of a second.
func cpuOf(t *testing.T, pid int) time.Duration {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := proc.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

// join has count peers join over several Tors. One in ten may fail: circuits do.
func (m *throughTor) join(ctx context.Context, host string, count int) {
	var joining sync.WaitGroup
	next := make(chan int, count)
	for i := range count {
		next <- i
	}
	close(next)
	for k := range throughTorClients {
		client, err := m.network.Client(ctx, fmt.Sprintf("c%d", k))
		if err != nil {
			m.t.Fatal(err)
		}
		for range 8 {
			joining.Go(func() {
				for i := range next {
					p, err := joinOverOnion(ctx, client, host, i)
					if err != nil {
						m.t.Logf("peer %d: %v", i, err)
						continue
					}
					m.mu.Lock()
					m.peers = append(m.peers, p)
					m.mu.Unlock()
				}
			})
		}
	}
	joining.Wait()
	if len(m.peers) < count*9/10 {
		m.t.Fatalf("%d of %d peers came", len(m.peers), count)
	}
}

// The text of a message: when it was sent, in ns since 1970, stands where a commitment has its hash.
const throughTorText = "hp2 P"

func throughTorMessage(from, to string) string {
	return fmt.Sprintf("%s!%s!%s%064d %s", from, to, throughTorText, time.Now().UnixNano(), strings.Repeat("x", 240))
}

// read notes what p gets, until its connection ends.
func (m *throughTor) read(p *onionPeer) {
	p.conn.SetReadDeadline(time.Time{}) // the handshake had one
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return
		}
		at := time.Now()
		i := bytes.Index(line, []byte(throughTorText))
		if i < 0 {
			continue
		}
		i += len(throughTorText)
		sent, err := strconv.ParseInt(strings.TrimLeft(string(line[i:i+64]), "0"), 10, 64)
		if err != nil {
			m.t.Errorf("got %q", line)
			return
		}
		m.mu.Lock()
		m.times = append(m.times, at.Sub(time.Unix(0, sent)))
		arrived := m.arrived
		m.mu.Unlock()
		if arrived != nil {
			arrived <- struct{}{}
		}
	}
}

func (m *throughTor) came() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.times)
}

func (m *throughTor) idle(ctx context.Context, d time.Duration) {
	before := m.cpu()
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	m.row("nothing is sent", before, d, "")
}

// broadcast has peers in turn send, burst messages each, so many times a second, and waits until everything has come.
func (m *throughTor) broadcast(ctx context.Context, rate float64, burst int, d time.Duration) {
	m.mu.Lock()
	m.times = nil
	m.mu.Unlock()
	before, began := m.cpu(), time.Now()
	sent := 0
	for tick := time.NewTicker(time.Duration(float64(time.Second) / rate)); time.Since(began) < d; <-tick.C {
		p := m.peers[sent/burst%len(m.peers)]
		for range burst {
			if err := p.send(wire.Pubmsg, throughTorMessage(p.nick, wire.Public)); err != nil {
				m.t.Fatal(err)
			}
			sent++
		}
	}
	due := sent * (len(m.peers) - 1)
	for last, since := m.came(), time.Now(); last < due && time.Since(since) < 20*time.Second && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if now := m.came(); now != last {
			last, since = now, time.Now()
		}
	}
	took := time.Since(began)
	what := fmt.Sprintf("%g public messages a second", rate*float64(burst))
	if burst > 1 {
		what += fmt.Sprintf(", %d at once", burst)
	}
	m.row(what, before, took, fmt.Sprintf("%.0f deliveries/s; %s", float64(m.came())/took.Seconds(), m.quantiles()))
	if m.came() != due {
		m.t.Errorf("%d of %d messages came", m.came(), due)
	}
}

// private has count messages go from one peer to another, one at a time.
func (m *throughTor) private(ctx context.Context, count int) {
	m.mu.Lock()
	m.times, m.arrived = nil, make(chan struct{}, 1)
	m.mu.Unlock()
	before, began := m.cpu(), time.Now()
	for i := range count {
		from, to := m.peers[i%len(m.peers)], m.peers[(i+len(m.peers)/2)%len(m.peers)]
		if err := from.send(wire.Privmsg, throughTorMessage(from.nick, to.nick)); err != nil {
			m.t.Fatal(err)
		}
		select {
		case <-m.arrived:
		case <-time.After(20 * time.Second):
			m.t.Fatalf("private message %d did not come", i)
		case <-ctx.Done():
			m.t.Fatal(ctx.Err())
		}
	}
	m.row("private messages, one at a time", before, time.Since(began), m.quantiles())
	m.mu.Lock()
	m.arrived = nil
	m.mu.Unlock()
}

// quantiles of the times, for people.
func (m *throughTor) quantiles() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.times)
	if len(m.times) == 0 {
		return "nothing came"
	}
	at := func(q float64) float64 { return float64(m.times[int(q*float64(len(m.times)-1))].Microseconds()) / 1000 }
	return fmt.Sprintf("%.0f; %.0f ms", at(.5), at(.99))
}

// row notes a line of the table.
func (m *throughTor) row(what string, before usage, d time.Duration, figures string) {
	now := m.cpu()
	server, tor, others := now.server-before.server, now.tor-before.tor, now.others-before.others
	m.rows = append(m.rows, fmt.Sprintf("| %s | %s | %.2f s | %.2f s | %.2f s | %.1f s |", what, figures, server.Seconds(), tor.Seconds(), others.Seconds(), d.Seconds()))
	m.t.Log(m.rows[len(m.rows)-1])
}

func (m *throughTor) report() {
	if *throughTorTable == "" {
		return
	}
	text := "| Work | deliveries/s; p50; p99 | CPU of the server | of its Tor | of the other Tors | time |\n|---|---:|---:|---:|---:|---:|\n" + strings.Join(m.rows, "\n") + "\n"
	if err := os.WriteFile(*throughTorTable, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}
