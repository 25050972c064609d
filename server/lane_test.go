package server

import (
	"bytes"
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

// fillLane has another peer say more to one whose socket is full, and to whom a third has spoken before, than goes ahead of that.
func fillLane(t *testing.T, s *Server, to, other *memPeer) {
	t.Helper()
	loud := joinMem(t, s, testNick(8), wire.Location{})
	other.send(wire.Privmsg, other.nick+"!"+to.nick+"!begun")
	synctest.Wait()
	loud.send(wire.Pubmsg, loud.nick+"!PUBLIC!old")
	synctest.Wait()
	for i := range 3 * laneAhead / 2000 {
		other.send(wire.Privmsg, other.nick+"!"+to.nick+"!"+strconv.Itoa(i)+" "+strings.Repeat("x", 2000))
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
		fillLane(t, s, to, other)
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
		fillLane(t, s, to, other)
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
		fr, err := newFrame(wire.Pubmsg, bytes.Repeat([]byte("x"), 1000), 1)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		o.queue(lane).push(fr, seq)
	}
	push(false)
	const share = laneAhead/1032 + 1 // frames, with their envelopes: the next would go ahead of the share
	for range share {
		push(true)
	}
	push(false)
	push(true)
	push(false)
	push(true)
	var v vector
	v.fill(&o)
	if v.lane != share || v.n != share+2 {
		t.Errorf("a write takes %d of the lane and %d others, want %d and 2", v.lane, v.n-v.lane, share)
	}
}

// TestProbeGoesBeforeBroadcastsWhoseTurnItIs: what is put before all is not counted for the lane.
func TestProbeGoesBeforeBroadcastsWhoseTurnItIs(t *testing.T) {
	var o outbox
	defer o.discard()
	push := func(lane bool, size int, seq uint64) {
		fr, err := newFrame(wire.Pubmsg, bytes.Repeat([]byte("x"), size), 1)
		if err != nil {
			t.Fatal(err)
		}
		o.queue(lane).push(fr, seq)
		o.bytes += len(fr.b)
	}
	push(false, 10, 1)
	push(true, 10_000, 2)
	o.ahead = laneAhead
	var v vector
	if v.fill(&o); v.lane != 0 || v.n != 1 {
		t.Fatalf("a write takes %d of the lane and %d others, want 0 and 1", v.lane, v.n-v.lane)
	}
	o.taken = 0 // the write took nothing
	push(true, 0, 3)
	o.lead()
	if v.fill(&o); v.lane != 1 || v.n != 2 || v.iovs[0].Len > 100 {
		t.Errorf("a write takes %d of the lane and %d others, want the probe and 1", v.lane, v.n-v.lane)
	}
}

// TestLongPrivateMessagesDoNotHoldBroadcastsBack: what goes ahead is measured in bytes, and over all writes, however little each of
// them takes.
func TestLongPrivateMessagesDoNotHoldBroadcastsBack(t *testing.T) {
	for _, room := range []int{1000, 1 << 20} {
		t.Run(strconv.Itoa(room), func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *Server) {
				to := joinMem(t, s, testNick(1), wire.Location{})
				loud := joinMem(t, s, testNick(2), wire.Location{})
				var senders []*memPeer
				for i := range 6 {
					senders = append(senders, joinMem(t, s, testNick(10+i), wire.Location{}))
				}
				to.lines()
				to.m.setRoom(1)
				loud.send(wire.Pubmsg, loud.nick+"!PUBLIC!begun")
				synctest.Wait()
				loud.send(wire.Pubmsg, loud.nick+"!PUBLIC!waits")
				synctest.Wait()
				for _, p := range senders {
					for range 2 {
						p.send(wire.Privmsg, p.nick+"!"+to.nick+"!"+strings.Repeat("9", 39_000))
					}
				}
				synctest.Wait()
				to.m.setRoom(room)
				var got []byte
				for {
					synctest.Wait()
					more := to.m.take()
					if len(more) == 0 {
						break
					}
					got = append(got, more...)
				}
				waits := bytes.Index(got, []byte("PUBLIC!waits"))
				if most := laneAhead + wire.MaxLine + 200; waits < 0 || waits > most {
					t.Errorf("%d bytes came before it of %d, want at most %d", waits, len(got), most)
				}
				if n := len(to.parse(got)); n != 14 {
					t.Errorf("%d lines came, want 14", n)
				}
			})
		})
	}
}

// TestPongGoesBeforeAllThatWaits: a client whose ping is answered late takes us for dead.
func TestPongGoesBeforeAllThatWaits(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		to := joinMem(t, s, testNick(1), wire.Location{})
		loud := joinMem(t, s, testNick(2), wire.Location{})
		read := queuedTo(t, to)
		for range 20 {
			loud.send(wire.Pubmsg, loud.nick+"!PUBLIC!"+strings.Repeat("9", 30_000))
		}
		synctest.Wait()
		loud.send(wire.Privmsg, loud.nick+"!"+to.nick+"!fill 0")
		synctest.Wait()
		to.send(wire.Ping, "")
		got := read()
		if at := slices.Index(got, rawMessage{wire.Pong, ""}); at != 1 { // behind what was begun
			t.Errorf("the answer came at %d of %d", at, len(got))
		}
	})
}

// TestOutboxLaneKeepsBothOrders pushes to both queues of an outbox, and writes them in arbitrary parts: every frame comes whole,
// each queue keeps its order, what follows a frame is right behind it, nothing comes before an older one of the lane, neither keeps
// the other waiting for longer than its share, and probes, which are put before all, change none of that.
func TestOutboxLaneKeepsBothOrders(t *testing.T) {
	const most = 5000 // bytes of a line, roughly
	rapid.Check(t, func(r *rapid.T) {
		var o outbox
		var v vector
		var written []byte
		pushed := [2]int{}
		clock, older := uint64(0), []int{} // by frame that is not of the lane: how many of the lane are older
		var times [2][]uint64              // by frame: when it was queued
		probes := 0
		one := func(r *rapid.T, lane, follows bool) {
			q, of := o.queue(lane), 0
			if lane {
				of = 1
			}
			line := fmt.Sprintf("%d %d %s", of, pushed[of], strings.Repeat("x", rapid.IntRange(0, most).Draw(r, "padding")))
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
			times[of] = append(times[of], clock)
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
			o.lead()
			o.bytes += len(fr.b)
			o.laneBytes += len(fr.b)
			probes++
		}
		write := func(most int) {
			v.fill(&o)
			if rapid.Bool().Draw(r, "probe") { // while the write is made
				probe()
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
			"write": func(r *rapid.T) { write(rapid.IntRange(0, 10*most).Draw(r, "written")) },
		})
		for o.len() > 0 {
			write(1 << 30)
		}
		if o.bytes != 0 || o.laneBytes != 0 || o.written != 0 {
			r.Fatalf("an empty outbox has %d bytes, %d in its lane, %d written", o.bytes, o.laneBytes, o.written)
		}
		var next [2]int
		before, ahead := -1, 0
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
			switch {
			case of == 0:
				ahead = 0
			case next[0] < pushed[0] && times[0][next[0]] < times[1][n]:
				if ahead += len(m.Line); ahead > laneAhead+3*most {
					r.Fatalf("%d bytes of the lane came before number %d, which is older", ahead, next[0])
				}
			}
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
