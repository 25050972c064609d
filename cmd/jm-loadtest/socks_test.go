package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeTor is a SOCKS server that leads every onion to one directory, and notes who asked for what.
type fakeTor struct {
	to string // address of the directory

	mu    sync.Mutex
	users map[string]int
	asked map[string]int
}

func (f *fakeTor) run(t *testing.T, kind string) string {
	t.Helper()
	f.users, f.asked = map[string]int{}, map[string]int{}
	l, address := listen(t, kind)
	var streams sync.WaitGroup
	streams.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			streams.Go(func() {
				if err := f.serve(c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		streams.Wait()
	})
	return address
}

func (f *fakeTor) serve(c net.Conn) error {
	defer c.Close()
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	if b := read(3); b[0] != 5 || b[2] != 2 {
		return fmt.Errorf("greeting %x", b)
	}
	c.Write([]byte{5, 2})
	user := string(read(int(read(2)[1])))
	read(int(read(1)[0]))
	c.Write([]byte{1, 0})
	if b := read(4); b[1] != 1 || b[3] != 3 {
		return fmt.Errorf("request %x", b)
	}
	host := string(read(int(read(1)[0])))
	port := read(2)
	f.mu.Lock()
	f.users[user]++
	f.asked[host+":"+strconv.Itoa(int(port[0])<<8|int(port[1]))]++
	f.mu.Unlock()
	if f.to == "" {
		c.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0}) // host unreachable
		return nil
	}
	d, err := net.Dial("unix", f.to)
	if err != nil {
		return err
	}
	defer d.Close()
	c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(d, c)
		d.(*net.UnixConn).CloseWrite()
	}()
	io.Copy(c, d)
	c.Close()
	<-done
	return nil
}

// TestProbeOfAnOnion guards that each peer has a circuit of its own, and that the scenarios that may be used
// on one keep to the rate.
func TestProbeOfAnOnion(t *testing.T) {
	target := realDirectory(t, "unix", nil)
	for _, kind := range []string{"unix", "tcp"} {
		for _, line := range []string{
			"ramp --peers 4", "broadcast --peers 3 --duration 500ms", "private --pairs 2 --light --duration 500ms", "orderbook --makers 3 --rounds 1", "peerlist --peers 4 --rounds 1",
		} {
			tor := &fakeTor{to: strings.TrimPrefix(target, "unix:")}
			begin := time.Now()
			code, _, table := measures(t, line+" --rate 10 --target "+testOnion+" --socks "+tor.run(t, kind))
			if code != exitOK || len(tor.users) < 3 || len(tor.asked) != 1 || tor.asked[testOnion] != len(tor.users) {
				t.Errorf("%s: exit code %d, users %v, asked for %v\n%s", line, code, tor.users, tor.asked, table)
			}
			// Three peers or more, of which the first need not wait.
			if took, least := time.Since(begin), 2*time.Second/10; took < least {
				t.Errorf("%s: joined within %s", line, took)
			}
		}
	}
}

func TestOnionThatCannotBeReachedIsARefusal(t *testing.T) {
	tor := &fakeTor{}
	code, p, table := measures(t, "ramp --peers 2 --rate 10 --target "+testOnion+" --socks "+tor.run(t, "tcp"))
	if code != exitFailed || len(p.Results) != 1 || p.Results[0].Faults.any() == false || !strings.Contains(table, errSOCKS.Error()) {
		t.Errorf("exit code %d\n%s", code, table)
	}
}

// TestConnectionThatTheEndCutsOffIsNoRefusal: a visitor of the soak may be on its way when the load ends.
func TestConnectionThatTheEndCutsOffIsNoRefusal(t *testing.T) {
	for range 10 { // what is looked at first, the end or what came, is chance
		l, address := listen(t, "tcp")
		var streams sync.WaitGroup
		second := make(chan net.Conn, 1)
		streams.Go(func() {
			for i := 0; ; i++ {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if i == 0 {
					c.Close() // a refusal
				} else {
					second <- c
				}
			}
		})
		o := &options{network: "regtest", procs: 1}
		var err error
		if o.to, err = parseTarget(testOnion); err != nil {
			t.Fatal(err)
		}
		if o.through, err = parseLocal(address); err != nil {
			t.Fatal(err)
		}
		f, err := newFleet(o, newIdentities(1), 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		j, err := f.join(ctx, f.peers, 2, nil, func(done int) {
			if done == 1 {
				c := <-second
				cancel()
				io.Copy(io.Discard, c) // until it is given up
				c.Close()
				time.Sleep(5 * time.Millisecond) // and that could have been said
			}
		})
		f.close()
		l.Close()
		streams.Wait()
		if !errors.Is(err, context.Canceled) || len(j.refused) != 1 {
			t.Fatalf("%v; refused: %v", err, f.faults().Refused)
		}
	}
}

// TestInterruptEndsARun guards that what was measured so far is shown, and nothing is left running.
func TestInterruptEndsARun(t *testing.T) {
	target := realDirectory(t, "unix", nil)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(700*time.Millisecond, cancel)
	var out, errs strings.Builder
	code := execute(ctx, strings.Fields("all --scale 0.001 --duration 100ms --target "+target), &out, &errs)
	if code != exitFailed || !strings.Contains(out.String(), "ramp 10 peers") || !strings.Contains(out.String(), "ended early: context canceled") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}
