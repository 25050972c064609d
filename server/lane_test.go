package server

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jm-directory-server/server/wire"
)

// queuedTo fills the socket of p, so that all that is sent to it waits; read takes what has come by then, and all the rest.
func queuedTo(t *testing.T, p *memPeer) (read func() []rawMessage) {
	t.Helper()
	p.lines()
	p.m.setRoom(1) // so that not even a line fits: the one that is begun stays first
	return func() []rawMessage {
		var b []byte
		for {
			synctest.Wait()
			p.m.setRoom(1 << 20)
			more := p.m.take()
			if len(more) == 0 {
				return p.parse(b)
			}
			b = append(b, more...)
		}
	}
}

// TestPrivateMessagesOvertakeBroadcastsOfOthers, and nothing that would change what one peer says to another.
func TestPrivateMessagesOvertakeBroadcastsOfOthers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		to := joinMem(t, s, testNick(1), wire.Location{})
		loud := joinMem(t, s, testNick(2), wire.Location{})
		maker := joinMem(t, s, testNick(3), testLocation(3))
		public := func(p *memPeer, body string) {
			p.send(wire.Pubmsg, p.nick+"!PUBLIC!"+body)
			synctest.Wait()
		}
		private := func(p *memPeer, body string) {
			p.send(wire.Privmsg, p.nick+"!"+to.nick+"!"+body)
			synctest.Wait()
		}
		read := queuedTo(t, to)
		public(loud, "begun")
		public(loud, "1")
		public(loud, "2")
		private(maker, "a") // before 1, with its location behind it
		public(maker, "b")
		private(maker, "c") // behind b, and so behind 1 and 2
		public(loud, "3")
		private(loud, "4") // behind 3
		private(maker, "d")
		got := read()
		want := []string{"begun", "a", "location", "1", "2", "b", "c", "3", "4", "d"}
		var bodies []string
		for _, m := range got {
			if m.Type == wire.Peerlist {
				bodies = append(bodies, "location")
				continue
			}
			parts, err := wire.SplitMessage([]byte(m.Line))
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, string(parts.Body))
		}
		if !slices.Equal(bodies, want) {
			t.Errorf("got %v, want %v", bodies, want)
		}
	})
}

// TestPrivateMessageDoesNotOvertakeTheDepartureOfAFormerOwner: the addressee would believe that the new owner has left.
func TestPrivateMessageDoesNotOvertakeTheDepartureOfAFormerOwner(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		to := joinMem(t, s, testNick(1), wire.Location{})
		loud := joinMem(t, s, testNick(2), wire.Location{})
		old := joinMem(t, s, testNick(3), testLocation(3))
		read := queuedTo(t, to)
		for i := range 3 {
			loud.send(wire.Pubmsg, fmt.Sprintf("%s!PUBLIC!%d", loud.nick, i))
		}
		synctest.Wait()
		old.m.closeClient()
		time.Sleep(2 * lingerTimeout)
		heir := joinMem(t, s, testNick(3), testLocation(4))
		heir.send(wire.Privmsg, heir.nick+"!"+to.nick+"!fill 0")
		got := read()
		gone := slices.IndexFunc(got, func(m rawMessage) bool { return m.Type == wire.Peerlist })
		fill := slices.IndexFunc(got, func(m rawMessage) bool { return m.Type == wire.Privmsg })
		if gone < 0 || fill < 0 || gone > fill {
			t.Errorf("departure at %d, message of the new owner at %d: %v", gone, fill, got)
		}
	})
}

// fillLane has another peer say more to one whose socket is full than a single write takes of a lane.
func fillLane(s *Server, to, other *memPeer) {
	for i := range laneFrames + 12 {
		other.send(wire.Privmsg, other.nick+"!"+to.nick+"!"+strconv.Itoa(i))
	}
	synctest.Wait()
}

// TestMessagesOfOneSenderKeepTheirOrderBehindALongLane: private, public and private again, when a write does not take the whole lane.
func TestMessagesOfOneSenderKeepTheirOrderBehindALongLane(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		to := joinMem(t, s, testNick(1), wire.Location{})
		maker := joinMem(t, s, testNick(3), wire.Location{})
		other := joinMem(t, s, testNick(2), wire.Location{})
		read := queuedTo(t, to)
		fillLane(s, to, other)
		maker.send(wire.Privmsg, maker.nick+"!"+to.nick+"!first")
		maker.send(wire.Pubmsg, maker.nick+"!PUBLIC!second")
		maker.send(wire.Privmsg, maker.nick+"!"+to.nick+"!third")
		synctest.Wait()
		var bodies []string
		for _, m := range read() {
			if strings.HasPrefix(m.Line, maker.nick) {
				bodies = append(bodies, m.Line[strings.LastIndex(m.Line, "!")+1:])
			}
		}
		if want := []string{"first", "second", "third"}; !slices.Equal(bodies, want) {
			t.Errorf("got %v, want %v", bodies, want)
		}
	})
}

// TestDepartureComesBehindAllThatWasSaidInALongLane: a client that hears of a departure gives the peer up, and its last message with it.
func TestDepartureComesBehindAllThatWasSaidInALongLane(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		to := joinMem(t, s, testNick(1), wire.Location{})
		maker := joinMem(t, s, testNick(3), testLocation(3))
		other := joinMem(t, s, testNick(2), wire.Location{})
		read := queuedTo(t, to)
		fillLane(s, to, other)
		last := rawMessage{wire.Privmsg, maker.nick + "!" + to.nick + "!last"}
		maker.send(last.Type, last.Line)
		synctest.Wait()
		maker.m.closeClient()
		time.Sleep(2 * lingerTimeout)
		got := read()
		said := slices.Index(got, last)
		gone := slices.Index(got, rawMessage{wire.Peerlist, entryOf(maker.nick, testLocation(3)) + ";D"})
		if said < 0 || gone < 0 || said > gone {
			t.Errorf("message at %d, departure of its sender at %d of %d", said, gone, len(got))
		}
	})
}

// TestBroadcastsGoOutBesideALongLane: those that are older than what the write leaves of the lane, and they alone.
func TestBroadcastsGoOutBesideALongLane(t *testing.T) {
	var o outbox
	defer o.discard()
	seq := uint64(0)
	push := func(lane bool) {
		fr, err := newFrame(wire.Pubmsg, []byte("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		o.queue(lane).push(fr, seq)
	}
	push(false)
	for range laneFrames {
		push(true)
	}
	push(false)
	push(true)
	push(false)
	push(true)
	var v vector
	v.fill(&o)
	if v.lane != laneFrames || v.n != laneFrames+2 {
		t.Errorf("a write takes %d of the lane and %d others, want %d and 2", v.lane, v.n-v.lane, laneFrames)
	}
}

// TestOutboxLaneKeepsBothOrders pushes to both queues of an outbox, and writes them in arbitrary parts: every frame comes whole,
// each queue keeps its order, what follows a frame is right behind it, nothing comes before an older one of the lane, neither keeps
// the other waiting for ever, and probes, which are put before all, change none of that.
func TestOutboxLaneKeepsBothOrders(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var o outbox
		var v vector
		var written []byte
		pushed := [2]int{}
		clock, older := uint64(0), []int{} // by frame that is not of the lane: how many of the lane are older
		probes := 0
		one := func(r *rapid.T, lane, follows bool) {
			q, of := o.queue(lane), 0
			if lane {
				of = 1
			}
			line := fmt.Sprintf("%d %d %s", of, pushed[of], rapid.StringMatching(`x{0,300}`).Draw(r, "padding"))
			fr, err := newFrame(wire.Pubmsg, []byte(line), 1)
			if err != nil {
				r.Fatal(err)
			}
			if fr.follows = follows; follows {
				fr.b = append(fr.b[:len(fr.b)-4], ` follows"}`+"\r\n"...)
			}
			if !lane {
				older = append(older, pushed[1])
			}
			pushed[of]++
			if !follows {
				clock++
			}
			q.push(fr, clock)
			o.bytes += len(fr.b)
			if lane {
				o.laneBytes += len(fr.b)
			}
		}
		push := func(r *rapid.T, lane bool) {
			one(r, lane, false)
			if rapid.IntRange(0, 3).Draw(r, "follows") == 0 {
				one(r, lane, true)
			}
		}
		probe := func() {
			fr, err := newFrame(wire.Ping, nil, 1)
			if err != nil {
				r.Fatal(err)
			}
			clock++
			o.lane.push(fr, clock)
			o.lane.lead(o.begun())
			o.bytes += len(fr.b)
			o.laneBytes += len(fr.b)
			probes++
		}
		write := func(most int) {
			v.fill(&o)
			if rapid.Bool().Draw(r, "probe") { // while the write is made
				probe()
			}
			if o.frames.n > v.ahead && v.lane > laneFrames+1 {
				r.Fatalf("a write took %d from the lane, and others wait", v.lane)
			}
			n := min(most, v.bytes)
			left := n
			v.each(func(b []byte) {
				k := min(left, len(b))
				written = append(written, b[:k]...)
				left -= k
			})
			v.clear()
			o.advance(n, &v)
		}
		r.Repeat(map[string]func(*rapid.T){
			"push": func(r *rapid.T) { push(r, false) },
			"lane": func(r *rapid.T) { push(r, true) },
			"lanes": func(r *rapid.T) {
				for range 20 {
					push(r, true)
				}
			},
			"probe": func(*rapid.T) { probe() },
			"write": func(r *rapid.T) { write(rapid.IntRange(0, 3000).Draw(r, "written")) },
		})
		for o.len() > 0 {
			write(1 << 30)
		}
		if o.bytes != 0 || o.laneBytes != 0 || o.written != 0 {
			r.Fatalf("an empty outbox has %d bytes, %d in its lane, %d written", o.bytes, o.laneBytes, o.written)
		}
		var next [2]int
		before := -1
		for _, m := range (&memPeer{t: t}).parse(written) {
			if m.Type == wire.Ping {
				probes--
				before = -1
				continue
			}
			var of, n int
			if _, err := fmt.Sscanf(m.Line, "%d %d", &of, &n); err != nil {
				r.Fatalf("%q: %v", m.Line, err)
			}
			if n != next[of] {
				r.Fatalf("queue %d: %d came in the place of %d", of, n, next[of])
			}
			next[of]++
			if of == 0 && next[1] < older[n] {
				r.Fatalf("number %d came before %d that are older, of the lane", n, older[n]-next[1])
			}
			if len(m.Line) > 8 && m.Line[len(m.Line)-8:] == " follows" && before != of {
				r.Fatalf("something came before %q", m.Line)
			}
			before = of
		}
		if next != pushed || probes != 0 {
			r.Fatalf("%v came of %v, and %d probes did not", next, pushed, probes)
		}
		o.discard()
	})
}
