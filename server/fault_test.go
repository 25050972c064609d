package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

// many is how many peers a fault is made of: 5000, and fewer where there are no two descriptors for each, or no time.
func many(t *testing.T) int {
	if testing.Short() || raceDetector {
		return 100
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := int(min(5000, files.Cur/2-200))
	t.Logf("%d peers", n)
	return n
}

const lastWords = "that was all"

// A company is a few honest peers that write to all and to each other without end, and know of every message that one of
// them sent whether it came, once, and in order.
type company struct {
	t     *testing.T
	peers []*client
	stop  chan struct{}
	done  sync.WaitGroup
}

// withCompany has a fault happen next to an honest company, and holds that it is none of theirs: nothing is lost, doubled or
// reordered, and once the fault is over, no connection, goroutine or descriptor is left of it, and nothing is counted for it. What
// fault connects, it closes.
func withCompany(t *testing.T, listen func(testing.TB, *Server) net.Addr, change func(*Options), fault func(s *Server, addr net.Addr, all *company)) {
	t.Helper()
	s := newServer(t, func(o *Options) {
		unlimited(o)
		o.DepartureDelay = 50 * time.Millisecond
		if change != nil {
			change(o)
		}
	})
	addr := listen(t, s)
	all := &company{t: t, stop: make(chan struct{})}
	for i := range 4 {
		all.peers = append(all.peers, join(t, addr, testNick(i), wire.Location{}))
	}
	running := func() int { return runtime.NumGoroutine() - int(s.readers.idle.Load()) } // those are kept
	before, goroutines := descriptors(t), running()+len(all.peers)
	for i, c := range all.peers {
		all.done.Go(func() { all.talk(c, all.peers[(i+1)%len(all.peers)]) })
		all.done.Go(func() { all.listen(c, all.peers[(i+len(all.peers)-1)%len(all.peers)]) })
	}
	fault(s, addr, all)
	close(all.stop)
	all.done.Wait()
	eventually(t, "everything of the fault is gone", func() bool {
		st := s.Status()
		return st.Peers == len(all.peers) && st.OutboxBytes == 0 && descriptors(t) <= before && running() <= goroutines &&
			s.leftovers() == nil
	})
	if err := s.consistent(); err != nil {
		t.Error(err)
	}
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// talk sends numbered messages until the company stops, two at least, however soon that is: those with even numbers to all, the others
// to one.
func (a *company) talk(c, to *client) {
	for k := 0; ; k += 2 {
		c.public(strconv.Itoa(k))
		c.private(to.nick, strconv.Itoa(k+1))
		select {
		case <-a.stop:
			c.public(lastWords)
			c.private(to.nick, lastWords)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// listen reads until everybody else has said that this was all. What each says comes in the order in which it was sent; friend is
// who talks to c alone, too. After that, c reads on until its end, since what others sent may come after the last words, and who
// reads nothing is closed.
func (a *company) listen(c, friend *client) {
	next := map[string]int{}              // by sender
	for left := len(a.peers); left > 0; { // three to all, one to it
		typ, line, err := c.next(3 * patience)
		if err != nil {
			a.t.Errorf("%s still listens: %v", c.nick, err)
			return
		}
		if typ == wire.Peerlist {
			for _, p := range a.peers {
				if strings.Contains(line, p.nick) {
					a.t.Errorf("%s was told %q", c.nick, line)
				}
			}
			continue
		}
		m, err := wire.SplitMessage([]byte(line))
		if err != nil {
			a.t.Errorf("%s got %q", c.nick, line)
			return
		}
		if !a.has(string(m.From)) {
			continue
		}
		from := string(m.From)
		switch {
		case string(m.Body) == lastWords:
			left--
		case (typ == wire.Privmsg) == (next[from]%2 == 1) && string(m.Body) == strconv.Itoa(next[from]):
			next[from]++
			if from != friend.nick {
				next[from]++
			}
		default:
			a.t.Errorf("%s got %v %q, want number %d", c.nick, typ, line, next[from])
			return
		}
	}
	for _, p := range a.peers {
		if p != c && next[p.nick] == 0 {
			a.t.Errorf("%s heard nothing of %s", c.nick, p.nick)
		}
	}
	go io.Copy(io.Discard, c.conn)
}

func (a *company) has(nick string) bool {
	for _, p := range a.peers {
		if p.nick == nick {
			return true
		}
	}
	return false
}

// smallBuffers lets a socket, and those that a listening one accepts, hold little: what waits then waits in outboxes.
func smallBuffers(_, _ string, raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10))
	})
	return errors.Join(err, cerr)
}

// listenSmall is listenTCP with small buffers.
func listenSmall(tb testing.TB, s *Server) net.Addr {
	tb.Helper()
	l, err := (&net.ListenConfig{Control: smallBuffers}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveOn(tb, s, l)
}

// joinMany joins n peers, many at once, the first of them with nick number 100.
func joinMany(t *testing.T, addr net.Addr, n int, location func(int) wire.Location) []*client {
	t.Helper()
	cs := make([]*client, n)
	errs := make([]error, n)
	var joins sync.WaitGroup
	slots := make(chan struct{}, 256)
	for i := range cs {
		joins.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			conn, err := (&net.Dialer{Control: smallBuffers}).Dial(addr.Network(), addr.String())
			if err != nil {
				errs[i] = err
				return
			}
			c := &client{tb: t, conn: conn, r: bufio.NewReaderSize(conn, 16<<10), nick: testNick(100 + i)}
			cs[i] = c
			if _, errs[i] = conn.Write(envelopeOf(t, wire.ClientHandshake, handshakeOf(c.nick, location(i)))); errs[i] != nil {
				return
			}
			if _, line, err := c.next(3 * patience); err != nil || !strings.Contains(line, `"accepted": true`) {
				errs[i] = fmt.Errorf("%s: %q, %w", c.nick, line, err)
			}
		})
	}
	joins.Wait()
	for _, c := range cs {
		if c != nil {
			t.Cleanup(c.close)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return cs
}

func taker(int) wire.Location { return wire.Location{} }

// slowly reads a little at a time.
type slowly struct{ io.Reader }

func (r slowly) Read(b []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return r.Reader.Read(b[:min(len(b), 50_000)])
}

// fill has noisy send numbered messages to all until enough is so, and returns how many. Another peer reads each before the next is
// sent: whoever reads is not held up, nor far behind.
func fill(t *testing.T, noisy, witness *client, size int, enough func() bool) (messages int) {
	t.Helper()
	for ; !enough(); messages++ {
		noisy.public(fmt.Sprintf("%d %s", messages, strings.Repeat("x", size)))
		if readNumbered(witness, noisy.nick, messages, messages+1) != messages+1 {
			t.FailNow()
		}
	}
	return messages
}

// fullest returns how many bytes wait for whom most waits.
func (s *Server) fullest() (bytes int) {
	for _, f := range s.flushers {
		f.mu.Lock()
		for _, c := range f.members {
			bytes = max(bytes, c.out.bytes)
		}
		f.mu.Unlock()
	}
	return bytes
}

// TestFaultSlowReaders: one, a tenth, and half of all peers read nothing until their outboxes are almost full, and then slowly; some of
// many leave instead. The others have all of it by then, and the slow ones get all of it, later.
func TestFaultSlowReaders(t *testing.T) {
	change := func(o *Options) { o.OutboxBytes, o.WriteTimeout = MinOutboxBytes, patience } // a moment on a busy machine
	for _, slow := range []int{1, 4, 20} {
		if testing.Short() && slow < 20 {
			continue
		}
		eachSocket(t, strconv.Itoa(slow)+" of 40 on ", func(t *testing.T, listen func(testing.TB, *Server) net.Addr) {
			withCompany(t, listen, change, func(s *Server, addr net.Addr, all *company) {
				cs := joinMany(t, addr, 40, taker)
				noisy, witness, fast, late := cs[39], cs[38], cs[slow:38], cs[:slow]
				go io.Copy(io.Discard, noisy.conn) // what the company says
				var reading sync.WaitGroup
				got := make([]int, len(cs))
				readAll := func(i int, c *client) { got[i] = readNumbered(c, noisy.nick, 0, math.MaxInt) }
				for i, c := range fast {
					reading.Go(func() { readAll(slow+i, c) })
				}
				messages := fill(t, noisy, witness, 10_000, func() bool { return s.fullest() > s.opt().OutboxBytes/8*7 })
				noisy.public(lastWords)
				reading.Wait()
				if n := s.Status().Stalled; n < slow {
					t.Errorf("for %d of %d slow readers something waits", n, slow)
				}
				for _, c := range append(fast, witness) {
					go io.Copy(io.Discard, c.conn)
				}
				leave := slow / 4 // with all that waits for them
				for i, c := range late {
					if i < leave {
						c.close()
						continue
					}
					c.r = bufio.NewReaderSize(slowly{c.conn}, 1<<16)
					reading.Go(func() { readAll(i, c) })
				}
				reading.Wait()
				for i := leave; i < len(late)+len(fast); i++ {
					if got[i] != messages {
						t.Errorf("%s got %d of %d messages", cs[i].nick, got[i], messages)
					}
				}
				for _, c := range cs {
					c.close()
				}
			})
		})
	}
}

// readNumbered reads messages of one peer to all, among others, from number k on until the one before end or until its last words,
// and returns the number that is next.
func readNumbered(c *client, from string, k, end int) (next int) {
	for k < end {
		typ, line, err := c.next(3 * patience)
		if err != nil {
			c.tb.Errorf("%s waits for message %d: %v", c.nick, k, err)
			return k
		}
		if typ != wire.Pubmsg || !strings.HasPrefix(line, from) {
			continue
		}
		if line == from+"!PUBLIC!"+lastWords {
			return k
		}
		if want := fmt.Sprintf("%s!PUBLIC!%d ", from, k); !strings.HasPrefix(line, want) {
			c.tb.Errorf("%s got %.60q, want %q", c.nick, line, want)
			return k
		}
		k++
	}
	return k
}

// eachSocket runs f on unix sockets and on TCP, one after the other: descriptors are those of the whole process.
func eachSocket(t *testing.T, name string, f func(t *testing.T, listen func(testing.TB, *Server) net.Addr)) {
	t.Run(name+"unix", func(t *testing.T) { f(t, listen) })
	t.Run(name+"tcp", func(t *testing.T) { f(t, listenSmall) })
}

// TestFaultReadersThatStop: half of all peers read nothing any more. Each is closed for that reason, and for no other.
func TestFaultReadersThatStop(t *testing.T) {
	change := func(o *Options) { o.WriteTimeout = time.Second }
	eachSocket(t, "", func(t *testing.T, listen func(testing.TB, *Server) net.Addr) {
		withCompany(t, listen, change, func(s *Server, addr net.Addr, all *company) {
			const deaf = 10
			cs := joinMany(t, addr, deaf+2, taker)
			noisy, witness := cs[deaf], cs[deaf+1]
			go io.Copy(io.Discard, noisy.conn)
			// No more than that: honest peers of a busy machine, with more than a socket holds, might take nothing for as long.
			fill(t, noisy, witness, 10_000, func() bool { return s.waitFor(cs[:deaf]) })
			go io.Copy(io.Discard, witness.conn)
			eventually(t, "those who read nothing are closed", func() bool { return s.Status().Reasons[EvictedNoProgress] == deaf })
			for _, c := range cs {
				c.close()
			}
		})
	})
}

// waitFor reports whether the sockets of all of these are full.
func (s *Server) waitFor(cs []*client) bool {
	for _, c := range cs {
		p := s.registry.get(c.nick)
		if p == nil {
			continue // it was closed for that
		}
		f := p.conn.f
		f.mu.Lock()
		stalled := p.conn.out.state == outboxStalled
		f.mu.Unlock()
		if !stalled {
			return false
		}
	}
	return true
}

// TestFaultResetsWithinALine: connections end in the middle of a line, of a handshake, of what is sent to them, some by a
// reset.
func TestFaultResetsWithinALine(t *testing.T) {
	withCompany(t, listenTCP, nil, func(s *Server, addr net.Addr, all *company) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range many(t) {
			c := dial(t, addr)
			c.nick = testNick(100 + i)
			hello := envelopeOf(t, wire.ClientHandshake, handshakeOf(c.nick, testLocation(i%50)))
			line := envelopeOf(t, wire.Pubmsg, c.nick+"!PUBLIC!"+strings.Repeat("x", r.IntN(5000)))
			b := append(hello, line...)
			c.raw(string(b[:1+r.IntN(len(b)-1)]))
			if i%2 == 0 {
				if err := c.conn.(*net.TCPConn).SetLinger(0); err != nil {
					t.Fatal(err)
				}
			}
			c.close()
		}
	})
}

// TestFaultMassDeparture: all of a crowd leave at once, and everybody else hears of each of them, once.
func TestFaultMassDeparture(t *testing.T) {
	withCompany(t, listen, nil, func(s *Server, addr net.Addr, all *company) {
		watcher := join(t, addr, testNick(99), wire.Location{})
		cs := joinMany(t, addr, many(t), testLocation)
		for _, c := range cs {
			c.close()
		}
		gone := map[string]bool{}
		for len(gone) < len(cs) {
			typ, line, err := watcher.next(3 * patience)
			if err != nil {
				t.Fatalf("%d of %d departures came: %v", len(gone), len(cs), err)
			}
			if typ != wire.Peerlist {
				continue
			}
			for _, e := range wire.ParsePeerlist([]byte(line)) {
				if !e.Gone || gone[e.Nick] {
					t.Fatalf("was told %+v, again: %v", e, gone[e.Nick])
				}
				gone[e.Nick] = true
			}
		}
		watcher.close()
	})
}

// TestFaultReconnectStorm: all of a crowd, half of them makers, drop their connections and come back at once, with the same nicks. All
// get in, and who listens hears of each maker that it has left, once, and then what it says.
func TestFaultReconnectStorm(t *testing.T) {
	withCompany(t, listen, nil, func(s *Server, addr net.Addr, all *company) {
		half := func(i int) (l wire.Location) {
			if i%2 == 0 {
				l = testLocation(i)
			}
			return l
		}
		watcher := join(t, addr, testNick(99), wire.Location{})
		cs := joinMany(t, addr, many(t), half)
		watched := make(chan error, 1)
		speakers := min(len(cs), 500) // all hear them
		go func() { watched <- watchReturn(watcher, cs, speakers) }()
		for _, c := range cs {
			c.close()
		}
		again := joinMany(t, addr, len(cs), half)
		for i, c := range again {
			go io.Copy(io.Discard, c.r)
			if i < speakers {
				c.public("back")
			}
		}
		if err := <-watched; err != nil {
			t.Error(err)
		}
		eventually(t, "all are back, and nobody else", func() bool { return s.Status().Peers == len(again)+len(all.peers)+1 })
		for _, c := range append(again, watcher) {
			c.close()
		}
	})
}

// watchReturn reads until each of the first of cs has said that it is back, and returns an error unless it was told once by then that
// those of cs that serve have left, and of each before it said so.
func watchReturn(watcher *client, cs []*client, speakers int) error {
	gone, back := map[string]int{}, map[string]int{}
	for _, c := range cs[:speakers] {
		back[c.nick] = 0
	}
	for left := speakers; left > 0; {
		typ, line, err := watcher.next(3 * patience)
		if err != nil {
			return fmt.Errorf("%d have not said that they are back: %w", left, err)
		}
		if typ == wire.Peerlist {
			for _, e := range wire.ParsePeerlist([]byte(line)) {
				if gone[e.Nick]++; !e.Gone || gone[e.Nick] > 1 || back[e.Nick] > 0 || !e.Location.Serving() {
					return fmt.Errorf("was told %+v, %d times, and %d times heard of it", e, gone[e.Nick], back[e.Nick])
				}
			}
			continue
		}
		m, err := wire.SplitMessage([]byte(line))
		if err != nil {
			return fmt.Errorf("got %q: %w", line, err)
		}
		nick := string(m.From)
		if _, ours := back[nick]; !ours {
			continue
		}
		if back[nick]++; back[nick] > 1 {
			return fmt.Errorf("%s is back twice", nick)
		}
		left--
	}
	for i, c := range cs {
		if serves := i%2 == 0; serves != (gone[c.nick] == 1) {
			return fmt.Errorf("%s, which serves: %t, has left %d times", c.nick, serves, gone[c.nick])
		}
	}
	return nil
}

// TestShutdownUnderLoadWritesWhatWasTaken: what the server has taken of a sender goes out to those who read, also when more of
// it waits than sockets hold, and however many still send.
func TestShutdownUnderLoadWritesWhatWasTaken(t *testing.T) {
	overSockets(t, func(t *testing.T, start func(testing.TB, *Server) net.Addr) {
		const messages, size = 150, 10_000
		s := newServer(t, func(o *Options) { unlimited(o); o.ShutdownTimeout = patience })
		addr := start(t, s)
		readers := joinMany(t, addr, 8, taker)
		sender := join(t, addr, testNick(1), wire.Location{})
		for k := range messages {
			sender.public(fmt.Sprintf("%d %s", k, strings.Repeat("x", size)))
		}
		eventually(t, "all is taken", func() bool { return s.Status().Public >= messages })
		var work sync.WaitGroup
		work.Go(func() { // and more comes all the time
			line := envelopeOf(t, wire.Pubmsg, sender.nick+"!PUBLIC!more")
			for {
				sender.conn.SetWriteDeadline(time.Now().Add(patience))
				if _, err := sender.conn.Write(line); err != nil {
					return
				}
			}
		})
		work.Go(func() { io.Copy(io.Discard, sender.conn) })
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		for _, c := range readers {
			work.Go(func() {
				readNumbered(c, sender.nick, 0, messages)
				io.Copy(io.Discard, c.r)
			})
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		work.Wait()
	})
}
