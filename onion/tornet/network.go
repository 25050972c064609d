// Package tornet runs a private Tor network on loopback, for tests and for the
// demonstration: one directory authority and three relays made from one tor
// executable, and as many clients as one asks for. Four relay-capable nodes
// are the least with which a rendezvous completes. All processes end with us.
//
// From a cold start to a reachable onion service it takes about 15 s.
package tornet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	relays = 3
	// All times in seconds. The first vote must come when every relay has
	// uploaded its descriptor (about 2 s) and as soon as possible after that.
	firstVote = 4
	// relayFetch is when relays ask for the first consensus: asking before
	// there is one only earns a growing back-off.
	relayFetch = firstVote + 4
	// A vote takes voteDelay, its distribution distDelay.
	voteDelay, distDelay = 2, 2
	initialInterval      = 10 // between the first votes
	interval             = 20 // between the later ones
)

// startTries is how often Start draws new ports when others took one of them.
const startTries = 4

// Options describe a network.
type Options struct {
	// Tor is the executable; it needs the relay and dirauth modules.
	Tor string
	// Dir is where the nodes' directories are made. It should be short: unix
	// sockets lie below it. Default: a temporary one, removed by Close.
	Dir string
	// Extra are further torrc lines for every node.
	Extra []string
}

// Network is a running private network.
type Network struct {
	// Started is when its processes were started.
	Started time.Time

	tor       string
	dir       string
	temporary bool
	common    []string // torrc lines that every node needs

	mu     sync.Mutex
	core   []*Node // the authority and the relays
	others []*Node // clients
}

// errPortTaken says that somebody else took a port between our look and Tor's.
var errPortTaken = errors.New("port taken")

// Start writes all files and starts the authority and the relays. It returns
// when they listen, before there is a consensus: see WaitConsensus.
func Start(ctx context.Context, o Options) (*Network, error) {
	n := &Network{tor: o.Tor, dir: o.Dir}
	var err error
	if n.dir == "" {
		if n.dir, err = os.MkdirTemp("", "tornet-"); err != nil {
			return nil, fmt.Errorf("tornet: %w", err)
		}
		n.temporary = true
	} else if n.dir, err = filepath.Abs(n.dir); err != nil {
		return nil, fmt.Errorf("tornet: %w", err)
	}
	for try := 1; ; try++ {
		err = n.start(ctx, o.Extra)
		if err == nil {
			return n, nil
		}
		n.stopAll()
		if !errors.Is(err, errPortTaken) || try == startTries {
			n.Close()
			return nil, fmt.Errorf("tornet: %w", err)
		}
	}
}

func (n *Network) start(ctx context.Context, extra []string) error {
	n.Started = time.Now()
	ports, err := pickPorts(relays + 2)
	if err != nil {
		return err
	}
	authority := &Node{Name: "a0", dir: filepath.Join(n.dir, "a0"), orPort: ports[0], dirPort: ports[1]}
	core := []*Node{authority}
	for i := range relays {
		name := fmt.Sprintf("r%d", i)
		core = append(core, &Node{Name: name, dir: filepath.Join(n.dir, name), orPort: ports[i+2]})
	}
	var fingerprint string
	for i, nd := range core {
		f, err := nd.writeRelayFiles(n.Started)
		if err != nil {
			return err
		}
		if i == 0 {
			fingerprint = f
		}
	}
	v3ident, err := writeAuthorityCert(filepath.Join(authority.dir, "keys"), n.Started)
	if err != nil {
		return err
	}
	n.common = append([]string{
		"TestingTorNetwork 1",
		fmt.Sprintf("DirAuthority %s orport=%d no-v2 v3ident=%s 127.0.0.1:%d %s", authority.Name, authority.orPort, v3ident, authority.dirPort, fingerprint),
		"PathsNeededToBuildCircuits 0.67",
	}, extra...)
	for _, nd := range core {
		if err := nd.run(n.tor, n.coreTorrc(nd)); err != nil {
			return err
		}
		n.mu.Lock()
		n.core = append(n.core, nd)
		n.mu.Unlock()
	}
	for _, nd := range core {
		if err := nd.waitListening(ctx); err != nil {
			return err
		}
	}
	return nil
}

// coreTorrc is the configuration of the authority or of a relay.
func (n *Network) coreTorrc(nd *Node) []string {
	rc := append(n.Torrc(),
		"SocksPort 0",
		"Nickname "+nd.Name,
		"Address 127.0.0.1",
		fmt.Sprintf("ORPort 127.0.0.1:%d", nd.orPort),
		"AssumeReachable 1",
		"ContactInfo none",
		"ExitRelay 0",
		"NumCPUs 1",
		"ShutdownWaitLength 0",
	)
	if nd.dirPort == 0 {
		return append(rc, fmt.Sprintf("TestingServerConsensusDownloadInitialDelay %d", relayFetch))
	}
	// A consensus becomes valid at k*interval+offset; the vote is held voteDelay
	// + distDelay before.
	offset := (n.Started.Unix() + firstVote + voteDelay + distDelay) % initialInterval
	return append(rc,
		fmt.Sprintf("DirPort 127.0.0.1:%d", nd.dirPort),
		"AuthoritativeDirectory 1",
		"V3AuthoritativeDirectory 1",
		fmt.Sprintf("TestingV3AuthInitialVotingInterval %d", initialInterval),
		fmt.Sprintf("TestingV3AuthInitialVoteDelay %d", voteDelay),
		fmt.Sprintf("TestingV3AuthInitialDistDelay %d", distDelay),
		fmt.Sprintf("TestingV3AuthVotingStartOffset %d", offset),
		fmt.Sprintf("V3AuthVotingInterval %d", interval),
		fmt.Sprintf("V3AuthVoteDelay %d", voteDelay),
		fmt.Sprintf("V3AuthDistDelay %d", distDelay),
		"V3AuthNIntervalsValid 100",
		"TestingDirAuthVoteGuard *",
		"TestingDirAuthVoteHSDir *",
		"TestingDirAuthVoteExit *",
	)
}

// Torrc returns the lines that make any Tor use this network.
func (n *Network) Torrc() []string { return append([]string(nil), n.common...) }

// WaitConsensus waits until the authority and every relay have a consensus
// that lists all of them, and descriptors to serve. A client that is started
// earlier may pick a guard that cannot serve it yet, and backs off.
func (n *Network) WaitConsensus(ctx context.Context) error {
	n.mu.Lock()
	core := n.core
	n.mu.Unlock()
	for {
		waiting, listed := "", 0
		for _, nd := range core {
			consensus, _ := os.ReadFile(filepath.Join(nd.dir, "cached-microdesc-consensus")) // not there yet
			listed = strings.Count(string(consensus), "\nr ")
			fi, err := os.Stat(filepath.Join(nd.dir, "cached-microdescs.new"))
			if listed < len(core) || err != nil || fi.Size() == 0 {
				waiting = nd.Name
				break
			}
		}
		if waiting == "" {
			return nil
		}
		for _, nd := range core {
			if err := nd.alive(); err != nil {
				return fmt.Errorf("tornet: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tornet: no consensus: %s lists %d of %d nodes: %w\n%s", waiting, listed, len(core), ctx.Err(), core[0].tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Client starts a Tor with a SOCKS port on the network, and returns when it has
// bootstrapped; call WaitConsensus first. extra are further torrc lines. It is
// a client, or through its ControlSocket a Tor that serves others' onions.
func (n *Network) Client(ctx context.Context, name string, extra ...string) (*Node, error) {
	for try := 1; ; try++ {
		nd, err := n.client(ctx, name, extra)
		if err == nil {
			return nd, nil
		}
		if !errors.Is(err, errPortTaken) || try == startTries {
			return nil, fmt.Errorf("tornet: %w", err)
		}
	}
}

func (n *Network) client(ctx context.Context, name string, extra []string) (*Node, error) {
	ports, err := pickPorts(1)
	if err != nil {
		return nil, err
	}
	nd := &Node{Name: name, dir: filepath.Join(n.dir, name), socksPort: ports[0]}
	if err := os.MkdirAll(nd.dir, 0o700); err != nil {
		return nil, err
	}
	if err := nd.run(n.tor, append(append(n.Torrc(), fmt.Sprintf("SocksPort 127.0.0.1:%d", nd.socksPort)), extra...)); err != nil {
		return nil, err
	}
	err = nd.waitListening(ctx)
	if err == nil {
		err = nd.waitBootstrap(ctx)
	}
	if err != nil {
		nd.Close()
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.others = append(n.others, nd)
	return nd, nil
}

// PIDs are the process ids of all nodes, clients last.
func (n *Network) PIDs() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var pids []int
	for _, nd := range append(append([]*Node(nil), n.core...), n.others...) {
		pids = append(pids, nd.proc.PID())
	}
	return pids
}

// Close ends every node and removes a temporary directory.
func (n *Network) Close() error {
	n.stopAll()
	if n.temporary {
		return os.RemoveAll(n.dir)
	}
	return nil
}

func (n *Network) stopAll() {
	n.mu.Lock()
	nodes := append(n.core, n.others...)
	n.core, n.others = nil, nil
	n.mu.Unlock()
	var wg sync.WaitGroup
	for _, nd := range nodes {
		wg.Go(nd.Close)
	}
	wg.Wait()
}

// pickPorts is freePorts, except in the test of a lost race for a port.
var pickPorts = freePorts

// freePorts returns loopback ports that nobody listens on at the moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer l.Close() // all are held until the last is found
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
