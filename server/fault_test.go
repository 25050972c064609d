package server

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// long runs the faults at full size: go test ./server -run TestFault -faults.long
var long = flag.Bool("faults.long", false, "thousands of peers in the tests of faults, where hundreds do for every day")

// many is how many peers a fault is made of. Two descriptors each, and at most 20 000 in a process.
func many() int {
	switch {
	case *long:
		return 5000
	case testing.Short(), raceDetector:
		return 100
	}
	return 500
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
// reordered, and once the fault is over, no connection, goroutine (TestMain) or descriptor is left of it. What fault
// connects, it closes.
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
	before := descriptors(t)
	for i, c := range all.peers {
		all.done.Go(func() { all.talk(c, all.peers[(i+1)%len(all.peers)]) })
		all.done.Go(func() { all.listen(c, all.peers[(i+len(all.peers)-1)%len(all.peers)]) })
	}
	fault(s, addr, all)
	close(all.stop)
	all.done.Wait()
	eventually(t, "everything of the fault is gone", func() bool {
		st := s.Status()
		return st.Peers == len(all.peers) && st.Handshaking == 0 && st.OutboxBytes == 0 && descriptors(t) <= before
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
			conn, err := net.Dial(addr.Network(), addr.String())
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
	return r.Reader.Read(b[:min(len(b), 1000)])
}

// TestFaultSlowReaders: one, a tenth, and half of all peers read less than is sent. They hold nobody up, and get
// everything, later.
func TestFaultSlowReaders(t *testing.T) {
	for _, slow := range []int{1, 4, 20} {
		if testing.Short() && slow < 20 {
			continue
		}
		eachSocket(t, strconv.Itoa(slow)+" of 40 on ", func(t *testing.T, listen func(testing.TB, *Server) net.Addr) {
			withCompany(t, listen, nil, func(s *Server, addr net.Addr, all *company) {
				const messages = 200
				cs := joinMany(t, addr, 40, taker)
				noisy, readers := cs[39], cs[:39]
				var reading sync.WaitGroup
				for i, c := range readers {
					if i < slow {
						c.r = bufio.NewReaderSize(slowly{c.conn}, 1<<16)
					}
					reading.Go(func() { readNumbered(c, noisy.nick, messages) })
				}
				for k := range messages {
					noisy.public(fmt.Sprintf("%d %s", k, strings.Repeat("x", 500)))
				}
				reading.Wait()
				for _, c := range cs {
					c.close()
				}
			})
		})
	}
}

// readNumbered reads that many messages of one peer to all, among others.
func readNumbered(c *client, from string, messages int) {
	for k := 0; k < messages; {
		typ, line, err := c.next(3 * patience)
		if err != nil {
			c.tb.Errorf("%s waits for message %d: %v", c.nick, k, err)
			return
		}
		if typ != wire.Pubmsg || !strings.HasPrefix(line, from) {
			continue
		}
		if want := fmt.Sprintf("%s!PUBLIC!%d ", from, k); !strings.HasPrefix(line, want) {
			c.tb.Errorf("%s got %.60q, want %q", c.nick, line, want)
			return
		}
		k++
	}
}

// eachSocket runs f on unix sockets and on TCP, one after the other: descriptors are those of the whole process.
func eachSocket(t *testing.T, name string, f func(t *testing.T, listen func(testing.TB, *Server) net.Addr)) {
	t.Run(name+"unix", func(t *testing.T) { f(t, listen) })
	t.Run(name+"tcp", func(t *testing.T) { f(t, listenTCP) })
}

// TestFaultReadersThatStop: half of all peers read nothing any more. Each is closed for that reason, and for no other.
func TestFaultReadersThatStop(t *testing.T) {
	change := func(o *Options) { o.WriteTimeout = time.Second } // honest peers of a busy machine read more often
	eachSocket(t, "", func(t *testing.T, listen func(testing.TB, *Server) net.Addr) {
		withCompany(t, listen, change, func(s *Server, addr net.Addr, all *company) {
			const deaf = 10
			cs := joinMany(t, addr, deaf+1, taker)
			noisy := cs[deaf]
			go io.Copy(io.Discard, noisy.conn)
			body := strings.Repeat("x", 20_000)
			eventually(t, "those who read nothing are closed", func() bool {
				noisy.public(body)
				return s.Status().Reasons[EvictedNoProgress]+s.Status().Reasons[EvictedOutboxFull] == deaf
			})
			for _, c := range cs {
				c.close()
			}
		})
	})
}

// TestFaultResetsWithinALine: connections end in the middle of a line, of a handshake, of what is sent to them, some by a
// reset.
func TestFaultResetsWithinALine(t *testing.T) {
	withCompany(t, listenTCP, nil, func(s *Server, addr net.Addr, all *company) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range many() {
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
		cs := joinMany(t, addr, many(), testLocation)
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

// TestFaultReconnectStorm: all of a crowd drop their connections and come back at once, with the same nicks. All get in.
func TestFaultReconnectStorm(t *testing.T) {
	withCompany(t, listen, nil, func(s *Server, addr net.Addr, all *company) {
		cs := joinMany(t, addr, many(), taker)
		for _, c := range cs {
			c.close()
		}
		again := joinMany(t, addr, len(cs), taker)
		eventually(t, "all are back, and nobody else", func() bool { return s.Status().Peers == len(again)+len(all.peers) })
		for _, c := range again {
			c.close()
		}
	})
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
				readNumbered(c, sender.nick, messages)
				io.Copy(io.Discard, c.r)
			})
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		work.Wait()
	})
}
