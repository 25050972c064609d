package server

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server/wire"
)

// TestLogsNameNobody runs a busy server at the most talkative level and looks for everything that took part.
func TestLogsNameNobody(t *testing.T) {
	for _, unsafe := range []bool{false, true} {
		var log bytes.Buffer
		logger := logrus.New()
		logger.SetOutput(&log)
		logger.SetLevel(logrus.TraceLevel)
		s := newServer(t, func(o *Options) { o.UnsafeLog = unsafe })
		s.logger = logger
		addr := listen(t, s)
		maker := join(t, addr, testNick(1), testLocation(1))
		taker := join(t, addr, testNick(2), wire.Location{}, wire.FeaturePeerlist)
		taker.public("orderbook")
		maker.expect(wire.Pubmsg)
		maker.private(taker.nick, "secretbody 1")
		taker.expect(wire.Privmsg)
		taker.expect(wire.Peerlist)
		bad := dial(t, addr)
		bad.send(wire.ClientHandshake, handshakeOf("J5victim;\x1b[31m", testLocation(3)))
		bad.expect(wire.DirectoryHandshake)
		bad.closed()
		taker.send(wire.NickProof, "{}")
		taker.closed()
		maker.close()
		eventually(t, "all have left", func() bool { return s.Status().Peers == 0 })
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := log.String()
		for _, name := range []string{testNick(1), testNick(2), testLocation(1).Host[:20]} {
			if strings.Contains(text, name) != unsafe {
				t.Errorf("unsafe=%v: log contains %q: %v\n%s", unsafe, name, !unsafe, text)
			}
		}
		for _, never := range []string{"secretbody", "victim", "\x1b"} {
			if strings.Contains(text, never) {
				t.Errorf("log contains %q\n%s", never, text)
			}
		}
		if !strings.Contains(text, "reason=proof_out_of_order") || !strings.Contains(text, "conn=") {
			t.Errorf("log lacks reasons or connection ids\n%s", text)
		}
	}
}

func TestClientStringsAreQuotedAndCut(t *testing.T) {
	got := quote("a\n\x1b[31m\u202e" + strings.Repeat("x", 1000))
	if len(got) > maxQuoted+60 || strings.ContainsAny(got, "\n\x1b\u202e") || !strings.HasSuffix(got, "...") {
		t.Errorf("quoted as %q", got)
	}
}

func TestStatusNamesNobody(t *testing.T) {
	s := newServer(t, nil)
	addr := listen(t, s)
	maker := join(t, addr, testNick(1), testLocation(1))
	maker.public("sw0reloffer 0 1 2 0 0.1")
	maker.send(wire.Ping, "")
	maker.expect(wire.Pong)
	st := s.Status()
	if st.Peers != 1 || st.Makers != 1 || st.Public != 1 {
		t.Errorf("status %+v", st)
	}
	for k, v := range st.Fields() {
		if text, ok := v.(string); ok && strings.Contains(k+text, testNick(1)) {
			t.Errorf("status field %s=%v names a peer", k, v)
		}
	}
}

func TestReasonsAreMetricLabels(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		label := r.Kind() + "/" + r.String()
		if seen[label] || strings.Trim(r.String(), "abcdefghijklmnopqrstuvwxyz_") != "" || r.String() == "" {
			t.Errorf("reason %d: label %q", r, label)
		}
		seen[label] = true
	}
}
