package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jm-directory-server/server/wire"
)

// withDirectory runs play with a peer whose directory sends these bytes and then waits, or closes.
func withDirectory(t *testing.T, sends string, closes bool, play func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		p, err := newPeer("taker", false)
		if err != nil {
			t.Fatal(err)
		}
		p.attach(ours)
		go func() {
			theirs.Write([]byte(sends)) // fails when the peer has had enough
			if closes {
				theirs.Close()
			}
		}()
		play(t, p)
		p.close()
		theirs.Close()
	})
}

// TestWhatIsNotAsExpectedIsSaid guards that no step of the demo can pass by accident.
func TestWhatIsNotAsExpectedIsSaid(t *testing.T) {
	tests := []struct {
		name, sends string
		closes      bool
		want        string
	}{
		{"as expected", "{\"type\": 789, \"line\": \"a;b\"}\r\n", false, ""},
		{"another type", "{\"type\": 687, \"line\": \"x\"}\r\n", false, "expected the list of peers (789 peerlist), got 687 pubmsg \"x\""},
		{"nothing", "", false, "got nothing within 10s"},
		{"half a line", "{\"type\": 789", false, "got nothing within 10s"},
		{"the end", "", true, "got the end of the connection: EOF"},
		{"the end within a line", "{\"type\": 789", true, "got the end of the connection: unexpected EOF"},
		{"no carriage return", "{\"type\": 789, \"line\": \"a;b\"}\n", false, "does not end with CR LF"},
		{"not an envelope", "[]\r\n", false, "got the end of the connection: envelope refused"},
		{"a long line", strings.Repeat("x", wire.MaxLine+2), false, "line longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withDirectory(t, tt.sends, tt.closes, func(t *testing.T, p *peer) {
				_, err := p.receiveEntries(t.Context(), "the list of peers")
				if tt.want == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.HasPrefix(err.Error(), "taker: ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			})
		})
	}
}

func TestStopsWhenTheDemoIsStopped(t *testing.T) {
	withDirectory(t, "", false, func(t *testing.T, p *peer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.receive(ctx, wire.Pong, "an answer")
		if err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPingIsAnsweredOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		p, err := newPeer("taker", false)
		if err != nil {
			t.Fatal(err)
		}
		p.attach(ours)
		defer p.close()
		answer := make(chan string, 1)
		go func() {
			theirs.Write([]byte("{\"type\": 798, \"line\": \"\"}\r\n"))
			b := make([]byte, 100)
			n, _ := theirs.Read(b)
			answer <- string(b[:n])
			theirs.Write([]byte("{\"type\": 789, \"line\": \"a;b\"}\r\n"))
		}()
		entries, err := p.receiveEntries(t.Context(), "the list of peers")
		if err != nil || len(entries) != 1 {
			t.Errorf("got %v, %v", entries, err)
		}
		if got := <-answer; got != "{\"type\":799,\"line\":\"\"}\r\n" {
			t.Errorf("answered %q", got)
		}
	})
}

func TestHandshakeIsCheckedAsTheStrictestClientDoes(t *testing.T) {
	good := wire.DirectoryHello{Accepted: true, Nick: "J5", Network: bitcoinNetwork, MOTD: motd}
	refused := wire.DirectoryHello{Nick: "J5", Network: bitcoinNetwork, MOTD: "Rejected: full"}
	other := wire.DirectoryHello{Accepted: true, Nick: "J5", Network: "mainnet"}
	for _, tt := range []struct {
		name, line, want string
	}{
		{"accepted", string(good.AppendLine(nil)), ""},
		{"refused", string(refused.AppendLine(nil)), "expected to be accepted"},
		{"another network", string(other.AppendLine(nil)), "expected a directory of regtest"},
		{"no member", `{"app-name":"joinmarket"}`, "dn-handshake ignored by clients"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				p, err := newPeer("maker 1", true)
				if err != nil {
					t.Fatal(err)
				}
				p.attach(ours)
				defer p.close()
				go func() {
					theirs.Read(make([]byte, 1000)) // the handshake, in one write
					line, err := wire.AppendEnvelope(nil, wire.DirectoryHandshake, []byte(tt.line))
					if err == nil {
						theirs.Write(line)
					}
				}()
				_, err = p.handshake(t.Context(), bitcoinNetwork)
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			})
		})
	}
}
