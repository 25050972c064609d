package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// listen opens a listener of a kind, "unix" or "tcp", and returns it with what --target takes.
func listen(t *testing.T, kind string) (net.Listener, string) {
	t.Helper()
	address, target := "127.0.0.1:0", ""
	if kind == "unix" {
		dir, err := os.MkdirTemp("", "load") // t.TempDir can be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "d.sock")
		target = "unix:" + address
	}
	l, err := net.Listen(kind, address)
	if err != nil {
		t.Fatal(err)
	}
	if target == "" {
		target = l.Addr().String()
	}
	return l, target
}

// realDirectory runs our server and returns what --target takes.
func realDirectory(t *testing.T, kind string, change func(*server.Options)) string {
	t.Helper()
	o := server.DefaultOptions().Unlimited()
	o.Network = "regtest"
	o.DepartureDelay = 50 * time.Millisecond
	if change != nil {
		change(&o)
	}
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	s, err := server.New(o, logger)
	if err != nil {
		t.Fatal(err)
	}
	l, target := listen(t, kind)
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return target
}

// A fakeDirectory does what a directory does, as simply as it goes, but for what a test wants it to do wrong.
type fakeDirectory struct {
	format  string                                   // of an envelope: type and quoted line
	mangle  func(to int, line []byte) (out [][]byte) // what goes out to the to-th peer; one call for a peer at a time
	refuse  func(n int) string                       // the text for the n-th that asks, or ""
	onQuery func(c *fakePeer)                        // a peer asks for the list
	onJoin  func(c *fakePeer)

	mu      sync.Mutex
	peers   map[string]*fakePeer
	asked   int
	streams sync.WaitGroup
}

type fakePeer struct {
	d    *fakeDirectory
	conn net.Conn
	n    int

	mu sync.Mutex
}

// run serves and returns what --target takes.
func (d *fakeDirectory) run(t *testing.T) string {
	t.Helper()
	if d.format == "" {
		d.format = `{"type": %d, "line": %s}`
	}
	d.peers = map[string]*fakePeer{}
	l, target := listen(t, "unix")
	d.streams.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.streams.Go(func() { d.serve(&fakePeer{d: d, conn: conn}) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		d.mu.Lock()
		for _, p := range d.peers {
			p.conn.Close()
		}
		d.mu.Unlock()
		d.streams.Wait()
	})
	return target
}

func (p *fakePeer) send(t wire.Type, line []byte) {
	b, err := wire.AppendEnvelope(nil, 0, line)
	if err != nil {
		panic(err)
	}
	quoted := strings.TrimSuffix(strings.TrimPrefix(string(b), `{"type":0,"line":`), "}\r\n")
	out := [][]byte{fmt.Appendf(nil, p.d.format+"\r\n", t, quoted)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.d.mangle != nil && (t == wire.Pubmsg || t == wire.Privmsg) {
		out = p.d.mangle(p.n, out[0])
	}
	for _, b := range out {
		if _, err := p.conn.Write(b); err != nil {
			return // it has gone
		}
	}
}

func (d *fakeDirectory) serve(p *fakePeer) {
	defer p.conn.Close()
	in := bufio.NewReader(p.conn)
	var parser wire.Parser
	nick := ""
	for {
		raw, err := in.ReadSlice('\n')
		if err != nil {
			break
		}
		env, err := parser.Parse(bytes.TrimSuffix(raw, []byte("\r\n")))
		if err != nil {
			panic(err)
		}
		if nick == "" {
			h, err := wire.ParseHandshake(env.Line, wire.HandshakeRules{Networks: []string{"regtest"}})
			if err != nil {
				panic(err)
			}
			d.mu.Lock()
			answer := ""
			if d.refuse != nil {
				answer = d.refuse(d.asked)
			}
			d.asked++
			if nick = h.Nick; answer == "" {
				p.n = len(d.peers)
				d.peers[nick] = p
			}
			d.mu.Unlock()
			p.send(wire.DirectoryHandshake, wire.DirectoryHello{Accepted: answer == "", Nick: otherNick, Network: "regtest", MOTD: answer}.AppendLine(nil))
			if answer != "" {
				return
			}
			if d.onJoin != nil {
				d.onJoin(p)
			}
			continue
		}
		m, err := wire.SplitMessage(env.Line)
		d.mu.Lock()
		var to []*fakePeer
		switch {
		case env.Type == wire.Pubmsg && err == nil:
			for other, q := range d.peers {
				if other != nick {
					to = append(to, q)
				}
			}
		case env.Type == wire.Privmsg && err == nil:
			if q := d.peers[string(m.To)]; q != nil {
				to = append(to, q)
			}
		case env.Type == wire.GetPeerlist && d.onQuery != nil:
			d.onQuery(p)
		}
		d.mu.Unlock()
		for _, q := range to {
			q.send(env.Type, env.Line)
		}
	}
	d.mu.Lock()
	delete(d.peers, nick)
	d.mu.Unlock()
}
