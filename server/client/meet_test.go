package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/client"
	"jm-directory-server/server/wire"
)

func TestMeetWantsTheHandshakeOfThatPeer(t *testing.T) {
	const nick = "J5Ckon1LuuapPSBM"
	line := func(kind wire.Type, line []byte) string {
		b, err := wire.AppendEnvelope(nil, kind, line)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	says := func(nick, network string) string {
		return line(wire.ClientHandshake, wire.Handshake{Nick: nick, Network: network, Features: []string{"ping"}}.AppendLine(nil))
	}
	directory := line(wire.DirectoryHandshake, wire.DirectoryHello{Accepted: true, Nick: nick, Network: "regtest"}.AppendLine(nil))
	for name, tt := range map[string]struct {
		sends string
		want  error  // nil: any, with text
		text  string // "": no error
	}{
		"the peer":          {says(nick, "regtest"), nil, ""},
		"and more of it":    {says(nick, "regtest") + says(nick, "regtest"), nil, ""},
		"another peer":      {says("J58g3zmKyFpTLdeA", "regtest"), client.ErrAnotherPeer, "another"},
		"another network":   {says(nick, "mainnet"), nil, "network"},
		"a directory":       {directory, client.ErrUnexpected, "dn-handshake instead of handshake"},
		"calls itself one":  {strings.Replace(says(nick, "regtest"), "false", "true", 1), nil, "directory"},
		"another protocol":  {"HTTP/1.0 400 Bad Request\r\n\r\n", nil, "envelope"},
		"says nothing":      {"", context.DeadlineExceeded, "deadline"},
		"a message instead": {line(wire.Pubmsg, []byte(nick+"!PUBLIC!orderbook")), client.ErrUnexpected, "pubmsg instead"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ours, theirs := net.Pipe()
				defer theirs.Close()
				go func() {
					io.ReadAtLeast(theirs, make([]byte, 512), 1)
					io.WriteString(theirs, tt.sends)
				}()
				c := client.New(ours)
				defer c.Close()
				err := c.Meet(ctx, wire.Handshake{Nick: nicks(t)[0], Network: "regtest"}, nick)
				switch {
				case tt.text == "" && err != nil, tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)),
					tt.want != nil && !errors.Is(err, tt.want):
					t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
				case err != nil && strings.Contains(err.Error(), nick):
					t.Errorf("the error names the peer: %v", err)
				}
			})
		})
	}
}
