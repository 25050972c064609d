package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jm-directory-server/isolation"
	"jm-directory-server/onion/tornet"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// TestDirectoryOverAPrivateTorNetwork runs the built binary, with the Tor inside it, as an operator would, on a
// Tor network of its own on loopback.
func TestDirectoryOverAPrivateTorNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("the built program is the same, whatever the test was built with")
	}
	binary := builtBinary(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	n := privateNetwork(ctx, t)
	dir := t.TempDir()
	config := filepath.Join(t.TempDir(), "config.toml") // apart from the key, as a server reads all of its directory
	wanted := isolationRequire
	if lacks := isolation.Probe().Missing(); len(lacks) > 0 {
		t.Logf("isolation is not complete here: %q", lacks)
		wanted = isolationAuto
	}
	text := fmt.Sprintf("state_dir = %q\nisolation = %q\n[tor]\ntorrc = %s\n[log]\nlevel = \"debug\"\n[selfcheck]\ninterval = \"1s\"\ntimeout = \"10s\"\n%s",
		filepath.Join(dir, "state"), wanted, torrcOf(n), quickLocationChecks)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	maker := newMakerOnion(t)
	client, err := n.Client(ctx, "client", maker.torrc()...)
	if err != nil {
		t.Fatal(err)
	}

	first := startBinary(ctx, t, binary, config)
	host := first.address(ctx)
	t.Run("FiftyPeersOnFiftyCircuits", func(t *testing.T) {
		exchangeOfAll(ctx, t, client, host, 50)
		checkCircuits(t, first, 50)
	})
	t.Run("OneLookTellsThatTheOnionWorks", func(t *testing.T) {
		r := awaitCheck(ctx, t, binary, config)
		if c := r.Check; !c.OK || c.Dial <= 0 || c.Latency <= 0 {
			t.Errorf("self-check %+v, want one that passed through Tor", c)
		}
		if tor := r.Tor; !tor.Published || tor.Bootstrap != 100 || tor.Uploads == 0 || tor.PID == 0 || len(tor.Missing) > 0 {
			t.Errorf("tor %+v, want one that is up and has everything", tor)
		}
		if r.ConnectedPeers.Total != 0 {
			t.Errorf("%d peers, want none: the check is not one", r.ConnectedPeers.Total)
		}
		if out, err := exec.CommandContext(ctx, binary, "health", "--config", config).CombinedOutput(); err != nil {
			t.Errorf("health: %v: %s", err, out)
		}
		if out, err := exec.CommandContext(ctx, binary, "doctor", "--config", config).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("self-check")) {
			t.Errorf("doctor: %v: %s", err, out)
		}
	})
	t.Run("PeersAreFoundWhereTheySayThatTheyServe", func(t *testing.T) {
		maker.isFound(ctx, t, client, host, binary, config)
		for _, pid := range append(childrenOf(t, first.pid()), first.pid()) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err != nil {
				t.Fatal(err)
			}
			namesNobody(t, string(line), maker.host(t), host)
		}
	})
	t.Run("StoppedTorLosesNothing", func(t *testing.T) { stopTor(ctx, t, client, host, first) })
	t.Run("HonestPeersLoseNothingInAFloodOfCircuits", func(t *testing.T) {
		const circuits = 40
		flooder, err := n.Client(ctx, "flood")
		if err != nil {
			t.Fatal(err)
		}
		defer flooder.Close()
		// A Tor that fails to find the descriptor early may not ask again for a quarter of an hour; it is not waited for.
		floodTime, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		var flood sync.WaitGroup
		var came atomic.Int64
		for i := range 10 {
			flood.Go(func() {
				for k := i; k < circuits; k += 10 {
					if p, err := joinOverOnion(floodTime, flooder, host, 1000+k); err == nil { // vanishes
						p.conn.Close()
						came.Add(1)
					}
				}
			})
		}
		exchangeOfAll(ctx, t, client, host, 10)
		flood.Wait()
		if came.Load() < circuits/2 {
			t.Skipf("only %d of %d circuits of the flood came: that was none", came.Load(), circuits)
		}
	})
	t.Run("SIGTERMStopsEverythingInOrder", func(t *testing.T) {
		tor, guard, dialer := torGuardAndDialer(t, first.pid())
		first.cmd.Process.Signal(syscall.SIGTERM)
		if code := first.wait(ctx); code != 0 {
			t.Errorf("exit code %d, want 0\n%s", code, first.log())
		}
		if !gone(tor, patience) || !gone(guard, patience) || !gone(dialer, patience) {
			t.Error("Tor, its guard or the dialer is still there")
		}
	})
	second := startBinary(ctx, t, binary, config)
	t.Run("RestartKeepsTheAddress", func(t *testing.T) {
		if again := second.address(ctx); again != host {
			t.Errorf("address %s after the restart, %s before", again, host)
		}
		exchangeOfAll(ctx, t, freshClient(ctx, t, n, host), host, 2)
	})
	t.Run("AllProcessesAreIsolatedAndWork", func(t *testing.T) {
		checkIsolated(ctx, t, second, config)
	})
	t.Run("KilledTorEndsTheServer", func(t *testing.T) {
		tor, _, _ := torGuardAndDialer(t, second.pid())
		syscall.Kill(tor, syscall.SIGKILL)
		if code := second.wait(ctx); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		if log := second.log(); !regexp.MustCompile(`level=error.*[Tt]or`).MatchString(log) {
			t.Errorf("the log does not name Tor:\n%s", log)
		}
	})
	third := startBinary(ctx, t, binary, config)
	t.Run("KilledServerLeavesNoTor", func(t *testing.T) {
		third.address(ctx)
		tor, guard, dialer := torGuardAndDialer(t, third.pid())
		third.cmd.Process.Kill()
		third.wait(ctx)
		if !gone(tor, patience) || !gone(guard, patience) || !gone(dialer, patience) {
			t.Error("Tor, its guard or the dialer is still there")
		}
	})
	fourth := startBinary(ctx, t, binary, config)
	t.Run("KilledServerKeepsTheAddress", func(t *testing.T) {
		if again := fourth.address(ctx); again != host {
			t.Errorf("address %s after kill -9, %s before", again, host)
		}
	})
	for _, run := range []*binaryRun{first, second, third, fourth} {
		namesNobody(t, run.log(), maker.host(t), host)
	}
}

// namesNobody wants no nick of these tests in a text, and none of these onions.
func namesNobody(t *testing.T, text string, onions ...string) {
	t.Helper()
	names := []string{makerNick, liarNick, readerNick, "J5zzzzzzzz"} // the last is how those of joinOverOnion begin
	for _, onion := range onions {
		names = append(names, onion[:16])
	}
	for _, name := range names {
		if strings.Contains(strings.ToLower(text), strings.ToLower(name)) {
			t.Errorf("%q is in\n%s", name, text)
		}
	}
}

// builtBinary is the program as it is installed, with a Tor in it.
func builtBinary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("JM_TEST_BINARY")
	if binary == "" {
		if os.Getenv("JM_REQUIRE_TOR") == "1" {
			t.Fatal("JM_TEST_BINARY is not set: run make test")
		}
		t.Skip("JM_TEST_BINARY is not set: run make test for the tests of the built binary")
	}
	return binary
}

// privateNetwork starts a Tor network, which has a consensus, and ends it with the test.
func privateNetwork(ctx context.Context, t *testing.T) *tornet.Network {
	t.Helper()
	n, err := tornet.Start(ctx, tornet.Options{Tor: tornet.Tor(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	if err := n.WaitConsensus(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

// freshClient starts a client that has never seen the onion's descriptor, and reaches it: one with an old descriptor may ask
// nobody for the new one for a quarter of an hour, if it asked too early. In a network of so few relays a client may be without
// a path for minutes, too, with all its guards needed elsewhere in it; the next one has others.
func freshClient(ctx context.Context, t *testing.T, n *tornet.Network, host string) *tornet.Node {
	t.Helper()
	for i := range 4 {
		client, err := n.Client(ctx, fmt.Sprintf("fresh%d", i))
		if err != nil {
			t.Fatal(err)
		}
		try, cancel := context.WithTimeout(ctx, 40*time.Second)
		p, err := joinOverOnion(try, client, host, 300+i)
		cancel()
		if err == nil {
			t.Cleanup(func() { p.conn.Close() })
			return client
		}
		t.Logf("client %d: %v", i, err)
		client.Close()
	}
	t.Fatal("no client reaches the onion")
	return nil
}

// torrcOf is the value of tor.torrc for a server in a private network.
func torrcOf(n *tornet.Network) string {
	var lines []string
	for _, line := range n.Torrc() {
		lines = append(lines, strconv.Quote(line))
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n]"
}

// stopTor stops the server's Tor for a while, and has one peer write to another meanwhile: the server goes on, and what was
// written comes, in order, once Tor goes on.
func stopTor(ctx context.Context, t *testing.T, client *tornet.Node, host string, b *binaryRun) {
	sender, err := joinOverOnion(ctx, client, host, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	reader, err := joinOverOnion(ctx, client, host, 201)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.conn.Close()
	tor, _, _ := torGuardAndDialer(t, b.pid())
	stopped := 30 * time.Second
	if testing.Short() {
		stopped = 3 * time.Second
	}
	const messages = 50
	say := func(k int) {
		if err := sender.send(wire.Privmsg, fmt.Sprintf("%s!%s!fill %d", sender.nick, reader.nick, k)); err != nil {
			t.Fatal(err)
		}
	}
	say(0)
	if err := syscall.Kill(tor, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for k := 1; k < messages; k++ {
		say(k)
	}
	time.Sleep(stopped - time.Since(begin))
	if err := syscall.Kill(tor, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for k := range messages {
		_, line, err := reader.nextBut(sender.nick)
		if want := fmt.Sprintf("%s!%s!fill %d", sender.nick, reader.nick, k); err != nil || line != want {
			t.Fatalf("got %q, %v, want %q\n%s", line, err, want, b.log())
		}
	}
}

// awaitCheck returns the status once a self-check has passed, which the first need not on a busy machine, and the peers of earlier
// tests are gone.
func awaitCheck(ctx context.Context, t *testing.T, binary, config string) admin.Report {
	t.Helper()
	for {
		out, err := exec.CommandContext(ctx, binary, "status", "--json", "--config", config).Output()
		if err != nil {
			t.Fatalf("status: %v", err)
		}
		var r admin.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("status: %v: %s", err, out)
		}
		if r.Check != nil && r.Check.OK && r.ConnectedPeers.Total == 0 {
			return r
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no self-check that passes: %s", out)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// checkIsolated looks at every thread of the server, of its Tor, of the guard between them and of the dialer, and whether an isolated server still does what it is
// asked: a reload, also of a file that was put in the place of the old one, its numbers, and the check of its own onion.
func checkIsolated(ctx context.Context, t *testing.T, b *binaryRun, config string) {
	for _, pid := range append(childrenOf(t, b.pid()), b.pid()) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("process %d has no threads: %v", pid, err)
		}
		for _, thread := range threads {
			status, err := os.ReadFile(thread)
			if err != nil {
				continue // it has ended
			}
			for _, line := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n"} {
				if !bytes.Contains(status, []byte(line)) {
					t.Errorf("%s has no line %q", thread, line)
				}
			}
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil || !regexp.MustCompile(`Max core file size +0 +0`).Match(limits) {
			t.Errorf("process %d may leave core files: %v\n%s", pid, err, limits)
		}
	}
	if log := b.log(); strings.Contains(log, " open=") && !strings.Contains(log, ` open="Tor, dialer: `) {
		t.Errorf("the server itself may connect:\n%s", log)
	}

	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	fresh := config + ".new"
	if err := os.WriteFile(fresh, append([]byte("motd = \"isolated\"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, config); err != nil {
		t.Fatal(err)
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	for !strings.Contains(b.log(), "configuration is read anew and in force") {
		if ctx.Err() != nil || strings.Contains(b.log(), "reload:") {
			t.Fatalf("no reload\n%s", b.log())
		}
		time.Sleep(50 * time.Millisecond)
	}

	ask := func(args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, b.cmd.Path, append(args, "--config", config)...).Output()
	}
	var r admin.Report
	for r.Check == nil || !r.Check.OK {
		out, err := ask("status", "--json")
		if err == nil {
			r = admin.Report{}
			err = json.Unmarshal(out, &r)
		}
		if err != nil {
			t.Fatalf("status: %v\n%s", err, b.log())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !slices.Contains(r.Isolation, commandsToTor) || r.Process.RSS == 0 || r.Process.FDs == 0 || r.Tor.RSS == 0 {
		t.Errorf("status: isolation %q, process %+v, Tor %+v", r.Isolation, r.Process, r.Tor)
	}
	if out, err := ask("health"); err != nil {
		t.Errorf("health: %v\n%s", err, out)
	}
	if strings.Contains(b.log(), "guard of the control channel") {
		t.Errorf("the guard refused what the server needs, or there is none\n%s", b.log())
	}
}

// binaryRun is one run of the built binary.
type binaryRun struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of standard output
	exited chan struct{}

	mu     sync.Mutex
	stderr bytes.Buffer
}

func (b *binaryRun) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stderr.Write(p)
}

func (b *binaryRun) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stderr.String()
}

func (b *binaryRun) pid() int { return b.cmd.Process.Pid }

func startBinary(ctx context.Context, t *testing.T, binary, config string) *binaryRun {
	t.Helper()
	b := &binaryRun{t: t, lines: make(chan string, 16), exited: make(chan struct{})}
	b.cmd = exec.CommandContext(ctx, binary, "run", "--config", config)
	b.cmd.Stderr = b
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(b.exited)
		s := bufio.NewScanner(out)
		for s.Scan() {
			b.lines <- s.Text()
		}
		b.cmd.Wait()
	}()
	t.Cleanup(func() { b.cmd.Process.Kill(); <-b.exited })
	return b
}

// address waits for the line that tells where the directory is.
func (b *binaryRun) address(ctx context.Context) string {
	b.t.Helper()
	select {
	case line := <-b.lines:
		location, ok := strings.CutPrefix(line, "directory is up: ")
		host, port, err := net.SplitHostPort(location)
		if !ok || err != nil || port != "5222" {
			b.t.Fatalf("standard output %q", line)
		}
		return host
	case <-b.exited:
		b.t.Fatalf("the server ended\n%s", b.log())
	case <-ctx.Done():
		b.t.Fatalf("no address in time\n%s", b.log())
	}
	return ""
}

// wait returns the exit code.
func (b *binaryRun) wait(ctx context.Context) int {
	b.t.Helper()
	select {
	case <-b.exited:
	case <-ctx.Done():
		b.t.Fatalf("did not end in time\n%s", b.log())
	}
	return b.cmd.ProcessState.ExitCode()
}

func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, _ := os.ReadFile(list) // the thread may have ended
		for _, f := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// torGuardAndDialer are the three children of a server that runs: its Tor, the guard of the channel to it, and what connects for the
// server.
func torGuardAndDialer(t *testing.T, server int) (tor, guard, dialer int) {
	t.Helper()
	children := childrenOf(t, server)
	for _, pid := range children {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		switch name, _, _ := strings.Cut(string(b), "\x00"); name {
		case "tor":
			tor = pid
		case "jm-directory-server: guarding tor":
			guard = pid
		case "jm-directory-server: dialing tor":
			dialer = pid
		}
	}
	if len(children) != 3 || tor == 0 || guard == 0 || dialer == 0 {
		t.Fatalf("children %v, want a Tor, its guard and a dialer", children)
	}
	return tor, guard, dialer
}

// gone reports whether a process ends within d. A zombie, which its new parent has not reaped, is gone.
func gone(pid int, d time.Duration) bool {
	for end := time.Now().Add(d); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// onionPeer is a simulated client on a circuit of its own.
type onionPeer struct {
	nick string
	conn net.Conn
	r    *bufio.Reader
	p    wire.Parser
}

func (p *onionPeer) send(t wire.Type, line string) error {
	b, err := wire.AppendEnvelope(nil, t, []byte(line))
	if err == nil {
		_, err = p.conn.Write(b)
	}
	return err
}

func (p *onionPeer) next() (wire.Type, string, error) {
	p.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := p.r.ReadSlice('\n')
	if err != nil {
		return 0, "", err
	}
	e, err := p.p.Parse(bytes.TrimSuffix(line, []byte("\r\n")))
	return e.Type, string(e.Line), err
}

// nextBut is next without lines of departures in which none of these is: others who were here may be announced late.
func (p *onionPeer) nextBut(nicks ...string) (wire.Type, string, error) {
	for {
		t, line, err := p.next()
		if err != nil || t != wire.Peerlist || slices.ContainsFunc(nicks, func(nick string) bool { return strings.Contains(line, nick) }) {
			return t, line, err
		}
	}
}

func joinOverOnion(ctx context.Context, client *tornet.Node, host string, i int) (*onionPeer, error) {
	nick := fmt.Sprintf("J5%014d", i+1)
	return joinAs(ctx, client, host, wire.Handshake{Nick: strings.ReplaceAll(nick, "0", "z"), Network: "mainnet"})
}

func joinAs(ctx context.Context, client *tornet.Node, host string, h wire.Handshake) (*onionPeer, error) {
	conn, err := client.Reach(ctx, "peer"+h.Nick, host, 5222)
	if err != nil {
		return nil, err
	}
	p := &onionPeer{nick: h.Nick, conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
	if err := p.send(wire.ClientHandshake, string(h.AppendLine(nil))); err != nil {
		return nil, err
	}
	t, line, err := p.next()
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	hello, err := wire.ParseDirectoryHello([]byte(line))
	if err != nil || t != wire.DirectoryHandshake || !hello.Accepted {
		return nil, fmt.Errorf("handshake: %v %q: %w", t, line, err)
	}
	return p, nil
}

// exchangeOfAll connects count peers; each sends one public message to all and one private message to the next, and
// must receive exactly what is meant for it.
func exchangeOfAll(ctx context.Context, t *testing.T, client *tornet.Node, host string, count int) {
	t.Helper()
	peers := make([]*onionPeer, count)
	errs := make([]error, count)
	var wg sync.WaitGroup
	for i := range peers {
		wg.Go(func() { peers[i], errs[i] = joinOverOnion(ctx, client, host, i) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("peer %d: %v", i, err)
		}
		defer peers[i].conn.Close()
	}
	var nicks []string
	for _, p := range peers {
		nicks = append(nicks, p.nick)
	}
	for i, p := range peers {
		next := peers[(i+1)%count]
		wg.Go(func() {
			if err := p.send(wire.Pubmsg, p.nick+"!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002"); err != nil {
				t.Error(err)
			}
			if err := p.send(wire.Privmsg, p.nick+"!"+next.nick+"!fill 0 10000000"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			previous := peers[(i+count-1)%count]
			want := map[string]bool{previous.nick + "!" + p.nick + "!fill 0 10000000": true}
			for _, other := range peers {
				if other != p {
					want[other.nick+"!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002"] = true
				}
			}
			for len(want) > 0 {
				_, line, err := p.nextBut(nicks...)
				if err != nil {
					t.Errorf("%s still waits for %d messages: %v", p.nick, len(want), err)
					return
				}
				if !want[line] {
					t.Errorf("%s got %q, which is not for it or came twice", p.nick, line)
					return
				}
				delete(want, line)
			}
		})
	}
	wg.Wait()
}

// checkCircuits reads from the log that count peers came over as many circuits.
func checkCircuits(t *testing.T, b *binaryRun, count int) {
	t.Helper()
	circuits := map[string]bool{}
	for _, m := range regexp.MustCompile(`"peer joined" circuit=(\d+)`).FindAllStringSubmatch(b.log(), -1) {
		circuits[m[1]] = true
	}
	if len(circuits) != count {
		t.Errorf("%d circuits, want %d\n%s", len(circuits), count, b.log())
	}
}
