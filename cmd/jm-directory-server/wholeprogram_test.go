package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
	"jm-directory-server/store"
)

// A wholeProgram is one run of the program, without Tor, in a directory of its own.
type wholeProgram struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// programText is its configuration.
const programText = `network = "signet"
state_dir = %q
[limits]
max_peers = 400
max_handshakes = 200
[tor]
mode = "off"
[listen]
address = %q
proxy_protocol = true
[nick_auth]
directory_id = "test:whole"
`

// startProgram starts the program in dir, anew or again, with a limit of open files, as ulimit -n takes it, and an environment, and waits
// until it listens.
func startProgram(t *testing.T, dir, files string, env ...string) *wholeProgram {
	t.Helper()
	return startProgramWith(t, programText, dir, files, env...)
}

// startProgramWith is startProgram with another configuration than programText, which has the same verbs.
func startProgramWith(t *testing.T, text, dir, files string, env ...string) *wholeProgram {
	if testing.Short() {
		t.Skip("whole programs take long to start under the race detector; their parts are tested there")
	}
	t.Helper()
	w := &wholeProgram{t: t, dir: dir, exited: make(chan struct{})}
	w.configure(text)
	log, err := os.OpenFile(w.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	before := strings.Count(w.log(), "directory is listening")
	w.cmd = exec.Command("sh", "-c", "ulimit -n "+files+"; exec jm-directory-server run --config config.toml")
	w.cmd.Dir, w.cmd.Stdout, w.cmd.Stderr = dir, log, log
	w.cmd.Env = append(os.Environ(), env...)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { w.cmd.Wait(); close(w.exited) }()
	t.Cleanup(func() { w.cmd.Process.Kill(); <-w.exited })
	w.eventually("the directory is listening", func() bool { return strings.Count(w.log(), "directory is listening") > before })
	return w
}

// configure writes a configuration, in the form of programText.
func (w *wholeProgram) configure(text string) {
	w.t.Helper()
	text = fmt.Sprintf(text, w.path("state"), "unix:"+w.path("socket"))
	if err := os.WriteFile(w.path("config.toml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// newDir returns a directory with a path that is short enough for a socket.
func newDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "whole")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (w *wholeProgram) path(name string) string { return filepath.Join(w.dir, name) }

func (w *wholeProgram) log() string {
	b, _ := os.ReadFile(w.path("log")) // not there yet: nothing was said
	return string(b)
}

func (w *wholeProgram) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never: %s\n%s", what, w.log())
		}
	}
}

// command runs another command of the program, and returns what it prints.
func (w *wholeProgram) command(args ...string) string {
	cmd := exec.Command("jm-directory-server", append(args, "--config", "config.toml")...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Errorf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

func (w *wholeProgram) status() (r admin.Report) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.command("status", "--json")), &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// get asks the admin socket.
func (w *wholeProgram) get(path string) string {
	w.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.path("state/run/admin.sock"))
	}}}
	r, err := client.Get("http://localhost" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// signal sends one, and waits for the end if it is one to end.
func (w *wholeProgram) signal(s unix.Signal) int {
	w.t.Helper()
	if err := unix.Kill(w.cmd.Process.Pid, s); err != nil {
		w.t.Fatal(err)
	}
	if s == unix.SIGUSR1 || s == unix.SIGHUP {
		return 0
	}
	select {
	case <-w.exited:
	case <-time.After(patience):
		w.t.Fatalf("did not end at %v\n%s", s, w.log())
	}
	return w.cmd.ProcessState.ExitCode()
}

// firstCircuit is one that is found again in what is written.
const firstCircuit = 0x5eed0000

// dial connects over a circuit.
func (w *wholeProgram) dial(circuit int) *onionPeer {
	w.t.Helper()
	conn, err := net.Dial("unix", w.path("socket"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d 5222\r\n", firstCircuit>>16, circuit, circuit)
	return &onionPeer{conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
}

// join has a peer join over a circuit of its own.
func (w *wholeProgram) join(i int, l wire.Location) *onionPeer {
	w.t.Helper()
	p := w.dial(i)
	if answer := w.hello(p, wholeNick(i), l); !strings.Contains(answer, `"accepted": true`) {
		w.t.Fatalf("peer %d: %s", i, answer)
	}
	return p
}

// hello makes a handshake and returns the answer.
func (w *wholeProgram) hello(p *onionPeer, nick string, l wire.Location, features ...string) string {
	w.t.Helper()
	p.nick = nick
	w.send(p, wire.ClientHandshake, string(wire.Handshake{Nick: nick, Location: l, Network: "signet", Features: features}.AppendLine(nil)))
	_, line, err := p.next()
	if err != nil {
		w.t.Fatalf("handshake of %s: %v\n%s", nick, err, w.log())
	}
	return line
}

func (w *wholeProgram) send(p *onionPeer, t wire.Type, line string) {
	w.t.Helper()
	if err := p.send(t, line); err != nil {
		w.t.Fatalf("%s: %v", p.nick, err)
	}
}

// wholeNick is the i-th of many.
func wholeNick(i int) string {
	return "J5" + strings.ReplaceAll(fmt.Sprintf("%06d", i), "0", "z") + "whoZeProg"[:8]
}

// numbered wants the messages first to last-1 of from to come to p, in order, whatever else comes.
func numbered(p, from *onionPeer, first, last int) error {
	for k := first; k < last; {
		typ, line, err := p.next()
		if err != nil {
			return fmt.Errorf("%s waits for message %d: %w", p.nick, k, err)
		}
		if typ != wire.Pubmsg || !strings.HasPrefix(line, from.nick) {
			continue
		}
		if want := fmt.Sprintf("%s!PUBLIC!%d ", from.nick, k); !strings.HasPrefix(line, want) {
			return fmt.Errorf("%s got %.60q, want %q", p.nick, line, want)
		}
		k++
	}
	return nil
}

func (w *wholeProgram) say(p *onionPeer, k, size int) {
	w.t.Helper()
	w.send(p, wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!%d %s", p.nick, k, strings.Repeat("x", size)))
}

// exchange wants count messages of one to all to come to another, in order, each before the next is sent.
func (w *wholeProgram) exchange(from, to *onionPeer, first, count int) {
	w.t.Helper()
	for k := first; k < first+count; k++ {
		w.say(from, k, 100)
		if err := numbered(to, from, k, k+1); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestFullDiskLosesNothing: while no file may grow, no ban can be kept, which is said, and everything else goes on. When there is room
// again, bans are kept, as if nothing had happened.
func TestFullDiskLosesNothing(t *testing.T) {
	dir := newDir(t)
	w := startProgram(t, dir, "1024")
	a, b := w.join(1, wire.Location{}), w.join(2, wire.Location{})
	var was unix.Rlimit
	if err := unix.Prlimit(w.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: unix.RLIM_INFINITY}, &was); err != nil {
		t.Fatal(err)
	}
	w.exchange(a, b, 0, 50)
	if said := w.command("ban", wholeNick(100), "--for", "1h"); !strings.Contains(said, "warning: ") || !strings.Contains(said, unix.EFBIG.Error()) {
		t.Errorf("the ban says %q", said)
	}
	if answer := w.hello(w.dial(3), wholeNick(100), wire.Location{}); !strings.Contains(answer, `"accepted": false`) {
		t.Errorf("banned, and got %s", answer)
	}
	w.exchange(a, b, 50, 50)
	w.join(4, wire.Location{})
	if r := w.status(); r.Store.OK || r.ConnectedPeers.Total != 3 {
		t.Errorf("store %+v, and %d peers", r.Store, r.ConnectedPeers.Total)
	}
	if err := unix.Prlimit(w.cmd.Process.Pid, unix.RLIMIT_FSIZE, &was, nil); err != nil {
		t.Fatal(err)
	}
	if said := w.command("ban", wholeNick(101), "--for", "1h"); strings.Contains(said, "warning: ") {
		t.Errorf("the ban says %q", said)
	}
	w.exchange(a, b, 100, 50)
	if r := w.status(); !r.Store.OK || r.ConnectedPeers.Total != 3 {
		t.Errorf("store %+v, and %d peers", r.Store, r.ConnectedPeers.Total)
	}
	if code := w.signal(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, w.log())
	}
	again := startProgram(t, dir, "1024")
	if answer := again.hello(again.dial(1), wholeNick(101), wire.Location{}); !strings.Contains(answer, `"accepted": false`) {
		t.Errorf("banned, and got %s", answer)
	}
}

// TestDamagedStoreLosesNothing: a store that is damaged before the start, or overwritten under the program that uses it, costs the peers
// nothing.
func TestDamagedStoreLosesNothing(t *testing.T) {
	dir := newDir(t)
	keptMinutes(t, dir)
	path := filepath.Join(dir, "state", store.FileName)
	damage := func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(bytes.Repeat([]byte("damage"), 8<<10), 0); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	w := startProgram(t, dir, "1024")
	if !strings.Contains(w.log(), "the store was damaged") {
		t.Errorf("the log does not say so\n%s", w.log())
	}
	a, b := w.join(1, wire.Location{}), w.join(2, wire.Location{})
	w.exchange(a, b, 0, 50)
	w.command("ban", wholeNick(100), "--for", "1h", "--reason", "kept")
	damage()
	for i := range 5 {
		exec.Command("jm-directory-server", "ban", wholeNick(101+i), "--for", "1h", "--config", filepath.Join(dir, "config.toml")).Run() // as it may
		w.exchange(a, b, 50+10*i, 10)
	}
	for i := range 6 {
		if answer := w.hello(w.dial(10+i), wholeNick(100+i), wire.Location{}); i == 0 && !strings.Contains(answer, `"accepted": false`) {
			t.Errorf("banned, and got %s", answer)
		}
	}
	w.exchange(a, b, 100, 50)
	if code := w.signal(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, w.log())
	}
}

// TestFileLimitReached: with no descriptor left, those who are connected go on, and newcomers get in once there are some.
func TestFileLimitReached(t *testing.T) {
	w := startProgram(t, newDir(t), "100")
	a, b := w.join(1, wire.Location{}), w.join(2, wire.Location{})
	var crowd []*onionPeer
	for i := range 150 {
		crowd = append(crowd, w.dial(10+i))
	}
	w.eventually("the limit is reached, and the log says so", func() bool { return strings.Contains(w.log(), "cannot accept connections for now") })
	w.exchange(a, b, 0, 100)
	for _, p := range crowd {
		p.conn.Close()
	}
	w.join(3, wire.Location{})
	w.eventually("all descriptors are free again", func() bool {
		r := w.status()
		return r.ConnectedPeers.Total == 3 && r.Outbox.Handshaking == 0 && r.Process.FDs < 60
	})
}

// TestMemoryLimitReached: with more in outboxes than GOMEMLIMIT allows for everything, the program is slower, and loses nothing.
func TestMemoryLimitReached(t *testing.T) {
	const limit = 12 << 20
	w := startProgram(t, newDir(t), "1024", fmt.Sprintf("GOMEMLIMIT=%d", limit))
	const peers, messages, size = 25, 2, 15_000 // 18 MB in all, none of it shared, and of each sender's less than a share
	var all []*onionPeer
	for i := range peers {
		all = append(all, w.join(10+i, wire.Location{}))
	}
	text := func(from, to *onionPeer, k int) string {
		return fmt.Sprintf("%s!%s!%d %s", from.nick, to.nick, k, strings.Repeat("x", size))
	}
	for _, from := range all {
		for _, to := range all {
			for k := range messages {
				if from != to {
					w.send(from, wire.Privmsg, text(from, to, k))
				}
			}
		}
	}
	w.eventually("all is taken", func() bool { return w.status().Stats.Private == peers*(peers-1)*messages })
	var heap float64
	_, rest, _ := strings.Cut(w.get("/metrics"), "\ngo_memstats_heap_inuse_bytes ")
	if _, err := fmt.Sscan(rest, &heap); err != nil || heap < limit {
		t.Errorf("the heap has %g bytes, less than the limit of %d: %v", heap, limit, err)
	}
	var work sync.WaitGroup
	for _, p := range all {
		work.Go(func() {
			next := map[string]int{}
			for range (peers - 1) * messages {
				_, line, err := p.next()
				from, _, _ := strings.Cut(line, "!")
				if want := text(&onionPeer{nick: from}, p, next[from]); err != nil || line != want {
					t.Errorf("%s got %.60q, %v, want %.60q", p.nick, line, err, want)
					return
				}
				next[from]++
			}
		})
	}
	work.Wait()
	if n := w.status().ConnectedPeers.Total; n != peers {
		t.Errorf("%d peers are left of %d", n, peers)
	}
}

// TestSIGTERMUnderLoad: what was taken of a sender goes out to those who read, while others still send.
func TestSIGTERMUnderLoad(t *testing.T) {
	w := startProgram(t, newDir(t), "1024")
	const messages, size = 100, 10_000
	sender, noisy := w.join(1, wire.Location{}), w.join(2, wire.Location{})
	readers := []*onionPeer{w.join(3, wire.Location{}), w.join(4, wire.Location{})}
	for k := range messages {
		w.say(sender, k, size)
	}
	w.eventually("all is taken", func() bool { return w.status().Stats.Public == messages })
	var work sync.WaitGroup
	work.Go(func() { io.Copy(io.Discard, noisy.conn) })
	work.Go(func() {
		for noisy.send(wire.Pubmsg, noisy.nick+"!PUBLIC!more") == nil {
		}
	})
	for _, p := range readers {
		work.Go(func() {
			if err := numbered(p, sender, 0, messages); err != nil {
				t.Error(err)
			}
		})
	}
	if code := w.signal(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, w.log())
	}
	work.Wait()
}

// TestKillAndRestartKeepsTheState: after kill -9 under load the bans are in force, and the store is whole. That the key stays
// is part of TestDirectoryOverAPrivateTorNetwork.
func TestKillAndRestartKeepsTheState(t *testing.T) {
	dir := newDir(t)
	minutes := keptMinutes(t, dir)
	w := startProgram(t, dir, "1024")
	sender := w.join(1, wire.Location{})
	w.join(2, wire.Location{})
	for i := range 5 {
		w.command("ban", wholeNick(100+i), "--for", "1h", "--reason", "kept")
	}
	go func() {
		for sender.send(wire.Pubmsg, sender.nick+"!PUBLIC!more") == nil {
		}
	}()
	w.eventually("there is load", func() bool { return w.status().Stats.Public > 100 })
	if code := w.signal(unix.SIGKILL); code != -1 {
		t.Errorf("exit code %d", code)
	}
	again := startProgram(t, dir, "1024")
	if strings.Contains(again.log(), "damaged") {
		t.Errorf("the store did not survive\n%s", again.log())
	}
	if r := again.status(); r.Stats.Bans != 5 || !r.Store.OK {
		t.Errorf("%d bans, store %+v", r.Stats.Bans, r.Store)
	}
	for i := range 5 {
		if answer := again.hello(again.dial(10+i), wholeNick(100+i), wire.Location{}); !strings.Contains(answer, `"accepted": false`) {
			t.Errorf("banned, and got %s", answer)
		}
	}
	again.join(1, wire.Location{})
	if code := again.signal(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s, err := store.OpenReadOnly(filepath.Join(dir, "state", store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kept, err := s.History(store.Minute, minutes[0].Start, minutes[len(minutes)-1].Start.Add(time.Minute))
	if err != nil || len(kept) != len(minutes) {
		t.Fatalf("%d of %d minutes of the history are there: %v", len(kept), len(minutes), err)
	}
	for i := range kept {
		if kept[i].Start != minutes[i].Start || kept[i].Peers != minutes[i].Peers {
			t.Errorf("minute %d is %+v, was %+v", i, kept[i], minutes[i])
		}
	}
}

// keptMinutes puts an hour of history into the state of a program that has not run yet.
func keptMinutes(t *testing.T, dir string) (minutes []store.Sample) {
	t.Helper()
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(state, store.FileName), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().UTC().Truncate(time.Minute).Add(-2 * time.Hour)
	for i := range 60 {
		m := store.Sample{Start: begin.Add(time.Duration(i) * time.Minute), Up: time.Minute, Ready: time.Minute, Peers: 100 + float64(i), PeersMax: 200}
		if err := s.Append(m); err != nil {
			t.Fatal(err)
		}
		minutes = append(minutes, m)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return minutes
}

// checkNoDumps looks whether a process leaves core files and whether others of its user may look into it.
func checkNoDumps(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("process %d may leave core files: %v\n%s", pid, err, limits)
	}
	// What others of its user may not look into belongs to root (proc(5)); where root runs this test, that says nothing.
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("process %d can be looked into by user %d", pid, owner)
	}
}

// TestWhoHasAKeyLeavesNoDumps: commands have the key, too, and a search has many.
func TestWhoHasAKeyLeavesNoDumps(t *testing.T) {
	cmd := exec.Command("jm-directory-server", "key", "vanity", "zzzzzzzzzzzz", "--out", t.TempDir())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if n, err := stderr.Read(make([]byte, 1)); n == 0 { // it says how long it will take
		t.Fatal(err)
	}
	checkNoDumps(t, cmd.Process.Pid)
}
