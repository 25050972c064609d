package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server/wire"
)

// A fakeDirectory takes every handshake and hands private messages on, over pipes.
type fakeDirectory struct {
	mu    sync.Mutex
	peers map[string]net.Conn
}

func (d *fakeDirectory) dial() net.Conn {
	ours, theirs := net.Pipe()
	go d.serve(theirs)
	return ours
}

func (d *fakeDirectory) serve(conn net.Conn) {
	defer conn.Close()
	var parser wire.Parser
	lines := bufio.NewScanner(conn)
	lines.Split(wire.SplitLine)
	for lines.Scan() {
		env, err := parser.Parse(lines.Bytes())
		if err != nil {
			return
		}
		to, answer := conn, []byte(nil)
		d.mu.Lock()
		if env.Type == wire.ClientHandshake {
			h, _ := wire.ParseHandshake(env.Line, wire.HandshakeRules{Networks: []string{"regtest"}})
			d.peers[h.Nick] = conn
			hello := wire.DirectoryHello{Accepted: true, Nick: "J5directory11111", Network: "regtest"}
			answer, _ = wire.AppendEnvelope(nil, wire.DirectoryHandshake, hello.AppendLine(nil))
		} else if m, err := wire.SplitMessage(env.Line); err == nil {
			to = d.peers[string(m.To)]
			answer, _ = wire.AppendEnvelope(nil, env.Type, env.Line)
		}
		d.mu.Unlock()
		to.Write(answer) // fails when the peer has gone
	}
}

// checkedDirectory runs play beside a self-check of a directory that can be dialled while up is true.
func checkedDirectory(t *testing.T, config *atomic.Pointer[SelfCheckConfig], play func(c *selfCheck, up *atomic.Bool, log *lockedBuffer)) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lockedBuffer)
		logger := logrus.New()
		logger.SetOutput(log)
		var up atomic.Bool
		var owned atomic.Int32
		directory := &fakeDirectory{peers: make(map[string]net.Conn)}
		c := &selfCheck{
			config: func() SelfCheckConfig { return *config.Load() }, network: "regtest", log: logger,
			own: func(string) func() { owned.Add(1); return func() { owned.Add(-1) } },
			dial: func(ctx context.Context, _ string) (net.Conn, error) {
				if !up.Load() {
					return nil, errors.New("no descriptor")
				}
				return directory.dial(), nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.keep(ctx); close(ended) }()
		synctest.Wait()
		play(c, &up, log)
		cancel()
		<-ended
		if n := owned.Load(); n != 0 {
			t.Errorf("%d nicks are still taken for our own", n)
		}
	})
}

func TestSelfCheckThatFailsIsRepeatedSoonerAndToldOnceReadinessIsGone(t *testing.T) {
	var config atomic.Pointer[SelfCheckConfig]
	config.Store(&SelfCheckConfig{Interval: 5 * time.Minute, Timeout: time.Minute})
	checkedDirectory(t, &config, func(c *selfCheck, up *atomic.Bool, log *lockedBuffer) {
		if r := c.report(); r.Failed != 1 || r.OK || r.Reason != "dial" || !r.Enabled {
			t.Errorf("first check: %+v", r)
		}
		if p := c.problem(time.Now()); !strings.Contains(p, "never passed (dial)") {
			t.Errorf("problem %q", p)
		}
		up.Store(true)
		time.Sleep(time.Minute + time.Second) // a fifth of the interval
		synctest.Wait()
		r := c.report()
		if r.Passed != 1 || !r.OK || r.Reason != "" || r.LastOK.IsZero() {
			t.Errorf("second check: %+v", r)
		}
		if p := c.problem(time.Now()); p != "" {
			t.Errorf("problem %q although the check passed", p)
		}
		if !strings.Contains(log.String(), "passes again") {
			t.Errorf("the log does not say that all is well again: %s", log)
		}
		up.Store(false)
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if r := c.report(); r.OK {
			t.Errorf("third check: %+v", r)
		}
		if p := c.problem(time.Now()); p != "" {
			t.Errorf("problem %q after one failure", p)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if p := c.problem(time.Now()); !strings.Contains(p, "passed last 15m") {
			t.Errorf("problem %q after 15 minutes of failures", p)
		}
	})
}

func TestSelfCheckIsOffAtAnIntervalOfZeroAndCanBeSwitchedOn(t *testing.T) {
	var config atomic.Pointer[SelfCheckConfig]
	config.Store(&SelfCheckConfig{Interval: 0, Timeout: time.Minute})
	checkedDirectory(t, &config, func(c *selfCheck, _ *atomic.Bool, _ *lockedBuffer) {
		time.Sleep(time.Hour)
		synctest.Wait()
		if r := c.report(); r.Enabled || !r.At.IsZero() || c.problem(time.Now()) != "" {
			t.Errorf("it checks although it is off: %+v", r)
		}
		config.Store(&SelfCheckConfig{Interval: time.Minute, Timeout: time.Minute})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := c.report(); !r.Enabled || r.Failed != 1 {
			t.Errorf("it does not check although it was switched on: %+v", r)
		}
	})
}
