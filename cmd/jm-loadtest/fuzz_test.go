package main

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/wire"
)

// FuzzInput guards that nothing a directory can send ends this program, and that each message is counted once at
// most, in whatever pieces it arrives.
func FuzzInput(f *testing.F) {
	public, err := newTemplate(wire.Pubmsg, testNick, wire.Public, commitment, minSize)
	if err != nil {
		f.Fatal(err)
	}
	private, err := newTemplate(wire.Privmsg, testNick, otherNick, offer, 300)
	if err != nil {
		f.Fatal(err)
	}
	one := public.appendMessage(nil, stamp{})
	f.Add(one, uint8(0))
	f.Add(append(one, one...), uint8(7))
	f.Add(public.appendMessage(one, stamp{seq: 1}), uint8(100))
	f.Add(public.appendMessage(nil, stamp{sender: 9, slot: 9}), uint8(3))
	f.Add(private.appendMessage(nil, stamp{sender: 1}), uint8(50))
	f.Add([]byte("{\"type\":798,\"line\":\"\"}\r\n{}\r\n\n\r\n"), uint8(1))
	f.Add([]byte("{\"type\":789,\"line\":\""+testNick+";NOT-SERVING-ONION;D,x,;\"}\r\n"), uint8(1))
	f.Add([]byte("{\"type\":687,\"line\":\""+testNick+"!PUBLIC!orderbook\"}\r\n"), uint8(9))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		fleet := &fleet{network: "regtest", refused: map[string]int{}, ended: map[string]int{}}
		r, err := newReader(fleet, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[1])
		p := &peer{nick: otherNick, reader: r, fd: -1}
		fleet.readers, fleet.peers = []*reader{r}, []*peer{p}
		ph := newPhase(fleet)
		ph.id = 0
		ph.taker = p
		if err := ph.addPublic(&peer{id: -1, nick: testNick, fd: -1}, minSize); err != nil {
			t.Fatal(err)
		}
		if err := ph.addAnswer(&peer{id: -1, nick: testNick, fd: -1}); err != nil {
			t.Fatal(err)
		}
		ph.answerText = private.text
		ph.addSlots(2)
		ph.allocate()
		ph.onOrderbook = func(*peer, []byte) {}
		ph.onPeerlist = func(_ *reader, _ *peer, text []byte, _ int, _ int64) { eachEntry(text, func([]byte, bool) {}) }
		fleet.phase.Store(ph)
		r.refresh()
		r.adoptRaw(p, fds[0])
		ph.count(p)
		for rest := in; len(rest) > 0 && p.fd >= 0; {
			n := min(int(step)+1, len(rest))
			if _, errno := rawSend(fds[1], rest[:n]); errno != 0 {
				t.Fatal(errno)
			}
			rest = rest[n:]
			r.refresh()
			r.read(p)
			ph.settle(r.tally)
		}
		most := int64(bytes.Count(in, []byte("\r\n")))
		if n := r.tally.distinct + r.tally.duplicates; n > most || r.tally.latency.n > uint64(most) {
			t.Errorf("%d messages in %d lines", n, most)
		}
		if bytes.Equal(in, one) && r.tally.distinct != 1 {
			t.Error("the message is not counted")
		}
		r.drop(p, "")
	})
}
