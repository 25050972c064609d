package server

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/wire"
)

// TestBurstAfterARestartLosesNothing: when a directory comes back, every maker announces itself within seconds, and
// each announcement goes to all (protocol.md 9.3). Nobody may be closed for being sent too much by the server.
func TestBurstAfterARestartLosesNothing(t *testing.T) {
	peers := 1000
	if testing.Short() || raceDetector {
		peers = 200
	}
	s := newServer(t, nil)
	addr := listen(t, s)
	conns := make([]net.Conn, peers)
	for i := range conns {
		c := join(t, addr, testNick(i), testLocation(i))
		conns[i] = c.conn
	}
	var work sync.WaitGroup
	for i, conn := range conns {
		work.Go(func() {
			line, err := wire.AppendEnvelope(nil, wire.Pubmsg, []byte(testNick(i)+"!PUBLIC!sw0reloffer 0 27300 500000000 0 0.0002"))
			if err == nil {
				_, err = conn.Write(line)
			}
			if err != nil {
				t.Error(err)
			}
		})
		work.Go(func() {
			buf := make([]byte, 16<<10)
			for got := 0; got < peers-1; {
				conn.SetReadDeadline(time.Now().Add(patience))
				n, err := conn.Read(buf)
				if err != nil {
					t.Errorf("%d of %d announcements came: %v", got, peers-1, err)
					return
				}
				got += bytes.Count(buf[:n], []byte("\n"))
			}
		})
	}
	work.Wait()
	if st := s.Status(); st.Peers != peers || len(st.Reasons) != 0 {
		t.Errorf("%d peers are left of %d; %v", st.Peers, peers, st.Reasons)
	}
}
