package server

import (
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

func TestOwnPeersAreServedButNeitherCountedListedNorAnnounced(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxPeers = 1 }, func(t *testing.T, s *Server) {
		other := joinMem(t, s, testNick(1), wire.Location{})
		release := s.Own(testNick(2))
		s.SetDraining(true)
		own := joinMem(t, s, testNick(2), testLocation(2)) // also when full and draining
		s.SetDraining(false)
		if st := s.Status(); st.Peers != 1 || st.Makers != 0 {
			t.Errorf("status counts the own peer: %+v", st)
		}
		own.send(wire.Privmsg, own.nick+"!"+other.nick+"!hello")
		if got := other.lines(); len(got) == 0 || got[0].Line != own.nick+"!"+other.nick+"!hello" {
			t.Fatalf("the own peer's message did not come: %v", got)
		}
		other.send(wire.GetPeerlist, "")
		other.wantLines(rawMessage{wire.Peerlist, ""})
		own.m.closeClient()
		time.Sleep(5 * time.Second)
		other.wantLines() // no departure
		release()
		again := connectMem(t, s, 1<<20)
		again.hello(testNick(2), wire.Location{})
		wantRefused(t, again, s, RefusedFull, "full")
	})
}
