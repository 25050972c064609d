package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/wire"
)

// A crowd is many peers that come, trade and go for a while, and some strangers who do what strangers do, so that there is
// something to look at. What becomes of a single peer is of no interest: who loses its connection comes back.
type crowd struct {
	*stage
	work   sync.WaitGroup
	makers atomic.Int64 // here now
	takers atomic.Int64
}

// Times of the crowd.
const (
	stayLeast   = 3 * time.Minute // a peer stays at least that long, and twice as long at most
	askEvery    = 8 * time.Second // mean time between the requests of one taker
	strangeTime = 15 * time.Second
	tellEvery   = 15 * time.Second
)

// keepCrowd lets the peers come one by one over the first half of the time, and keeps them until its end.
func (s *stage) keepCrowd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.crowd)
	defer cancel()
	c := &crowd{stage: s}
	s.report.step("peers", "%d of them come, for %s", s.peers, s.crowd)
	step := s.crowd / 2 / time.Duration(s.peers)
	for i := range s.peers {
		first := time.Duration(i) * step
		c.work.Go(func() { c.comeAndGo(ctx, first, i%3 == 2) })
	}
	for _, stranger := range []func(context.Context, net.Conn){c.silent, c.lost, c.elsewhere} {
		c.work.Go(func() { c.strange(ctx, stranger) })
	}
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.report.step("directory", "has %s and %s", terminal.Counted(c.makers.Load(), "maker"), terminal.Counted(c.takers.Load(), "taker"))
		case <-s.directory.ended:
			cancel()
			c.work.Wait()
			return fmt.Errorf("directory: expected it to run until it is stopped, but it ended: %v", s.directory.cmd.ProcessState)
		case <-ctx.Done():
			c.work.Wait()
			return nil
		}
	}
}

// pause waits, and says whether there is still time.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// about is a random time with that mean.
func about(d time.Duration) time.Duration { return time.Duration(rand.ExpFloat64() * float64(d)) }

// comeAndGo is one place in the crowd: a peer, and when it has left another one.
func (c *crowd) comeAndGo(ctx context.Context, first time.Duration, takes bool) {
	for wait := first; pause(ctx, wait); wait = about(tellEvery) {
		features := []string{wire.FeaturePeerlist, wire.FeaturePing}
		if rand.IntN(4) == 0 {
			features = nil // as the oldest clients
		}
		p, err := newPeer("peer", !takes, features...)
		if err != nil {
			continue
		}
		stay, cancel := context.WithTimeout(ctx, stayLeast+time.Duration(rand.Int64N(int64(stayLeast))))
		c.trade(stay, p, takes)
		cancel()
		p.close()
	}
}

// trade connects a peer and lets it do what its kind does until it leaves or loses its connection.
func (c *crowd) trade(ctx context.Context, p *peer, takes bool) {
	conn, err := c.dial(ctx, p)
	if err != nil {
		return
	}
	p.attach(conn)
	if _, err := p.handshake(ctx, bitcoinNetwork); err != nil {
		return
	}
	here := &c.makers
	if takes {
		here = &c.takers
	}
	here.Add(1)
	defer here.Add(-1)
	if takes {
		c.take(ctx, p)
	} else {
		c.make(ctx, p)
	}
}

// make is a maker: it says what it offers, and again in private to who asks.
func (c *crowd) make(ctx context.Context, p *peer) {
	offer := fmt.Sprintf("0 %d %d 0 0.%05d", 10_000*(1+rand.IntN(20)), 1_000_000*(10+rand.IntN(500)), 1+rand.IntN(50))
	if p.send(wire.Pubmsg, p.public("sw0reloffer "+offer)) != nil {
		return
	}
	c.read(ctx, p, nil, func(t wire.Type, m wire.Message) error {
		switch {
		case t == wire.Pubmsg && string(m.Body) == "orderbook":
			return p.send(wire.Privmsg, p.private(string(m.From), "sw0reloffer", offer))
		case t == wire.Privmsg:
			key, err := newSessionKey()
			if err != nil {
				return err
			}
			return p.send(wire.Privmsg, p.private(string(m.From), "pubkey", key))
		}
		return nil
	})
}

// take is a taker: now and then it asks for offers, and takes one that it has heard of, from a maker that may have left since.
func (c *crowd) take(ctx context.Context, p *peer) {
	var offers []string // nicks
	timer := time.NewTimer(about(askEvery))
	defer timer.Stop()
	asks := func() error {
		timer.Reset(about(askEvery))
		if len(offers) > 0 {
			key, err := newSessionKey()
			if err != nil {
				return err
			}
			order := fmt.Sprintf("0 20000000 %s P%064x", key, rand.Uint64())
			if err := p.send(wire.Privmsg, p.private(offers[rand.IntN(len(offers))], "fill", order)); err != nil {
				return err
			}
		}
		return p.send(wire.Pubmsg, p.public("orderbook"))
	}
	if p.send(wire.GetPeerlist, nil) != nil {
		return
	}
	c.read(ctx, p, func() (<-chan time.Time, func() error) { return timer.C, asks }, func(t wire.Type, m wire.Message) error {
		if t == wire.Privmsg {
			if offers = append(offers, string(m.From)); len(offers) > 50 {
				offers = offers[1:]
			}
		}
		return nil
	})
}

// read answers pings and hands messages on, until the end of ctx or of the connection, or until something fails. Other gives what
// else there is to do, and when.
func (c *crowd) read(ctx context.Context, p *peer, other func() (<-chan time.Time, func() error), each func(wire.Type, wire.Message) error) {
	var due <-chan time.Time
	var do func() error
	if other != nil {
		due, do = other()
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-due:
			err = do()
		case env, ok := <-p.lines:
			switch {
			case !ok:
				return
			case env.Type == wire.Ping:
				err = p.send(wire.Pong, nil)
			case env.Type == wire.Pubmsg || env.Type == wire.Privmsg:
				var m wire.Message
				if m, err = wire.SplitMessage(env.Line); err == nil {
					err = each(env.Type, m)
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// strange connects again and again without a handshake that would be accepted.
func (c *crowd) strange(ctx context.Context, do func(context.Context, net.Conn)) {
	for pause(ctx, about(strangeTime)) {
		p, err := newPeer("stranger", false)
		if err != nil {
			continue
		}
		conn, err := c.dial(ctx, p)
		if err != nil {
			continue
		}
		do(ctx, conn)
		conn.Close()
	}
}

// silent says nothing until it is sent away.
func (c *crowd) silent(ctx context.Context, conn net.Conn) {
	release := context.AfterFunc(ctx, func() { conn.Close() })
	defer release()
	io.Copy(io.Discard, conn)
}

// lost takes the directory for a web server.
func (c *crowd) lost(ctx context.Context, conn net.Conn) {
	io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	c.silent(ctx, conn)
}

// elsewhere is a client of another bitcoin network.
func (c *crowd) elsewhere(ctx context.Context, conn net.Conn) {
	p, err := newPeer("stranger", false)
	if err != nil {
		return
	}
	p.attach(conn)
	p.handshake(ctx, "mainnet") // it is refused
	p.close()
}
