package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// limitWrites are the messages in one write that limit tries.
var limitWrites = []int{1, 4, 16}

// limit measures, without any server, what writing costs on this machine: a thread writes to each of so many
// sockets in turn, and the readers of this program read; and what a message takes there and back. It is the yardstick for a
// directory, and for the readers.
func (b *bench) limit(ctx context.Context) error {
	if err := b.limitsOf(ctx, "unix"); err != nil {
		return err
	}
	return b.limitsOf(ctx, "tcp")
}

// yardstick is limit for the kind of socket at which the target is.
func (b *bench) yardstick(ctx context.Context) error {
	if b.o.to.path != "" {
		return b.limitsOf(ctx, "unix")
	}
	return b.limitsOf(ctx, "tcp")
}

func (b *bench) limitsOf(ctx context.Context, family string) error {
	for _, n := range limitWrites {
		if err := b.limitOf(ctx, family, n); err != nil {
			return err
		}
	}
	return b.echo(ctx, family)
}

func (b *bench) limitOf(ctx context.Context, family string, perWrite int) error {
	peers := b.o.peers
	if err := raiseFileLimit(2 * peers); err != nil {
		return err
	}
	f, err := newFleet(b.o, b.ids, peers, 0)
	if err != nil {
		return err
	}
	defer f.close()
	ours, theirs, err := socketPairs(family, peers)
	defer func() {
		for _, fd := range theirs {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return err
	}
	f.each(func(r *reader) {
		for i, p := range f.peers {
			if p.reader == r {
				r.adoptRaw(p, ours[i])
			}
		}
	})
	ph := newPhase(f)
	if err := ph.addPublic(&peer{id: -1, nick: b.ids.nick(), fd: -1}, b.o.size); err != nil {
		return err
	}
	s := ph.senders[0]
	f.enter(ph)
	m, err := b.begin(f)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("limit %s %s peers, %d a write", family, number(float64(peers)), perWrite)
	type written struct {
		messages int64 // to each
		cpu      time.Duration
		wall     time.Duration
		err      error
	}
	done := make(chan written, 1)
	before := f.delivered()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var w written
		begin, cpu := time.Now(), usageOf(unix.RUSAGE_THREAD)
		var buffer []byte
		for w.err == nil && ctx.Err() == nil && time.Since(begin) < b.o.duration {
			buffer = buffer[:0]
			at := now()
			for range perWrite {
				buffer = s.template.appendMessage(buffer, stamp{ph.id, s.number, noSlot, uint32(w.messages), at})
				w.messages++
			}
			for _, fd := range theirs {
				if w.err = writeAll(fd, buffer); w.err != nil {
					break
				}
			}
		}
		w.wall, w.cpu = time.Since(begin), usageOf(unix.RUSAGE_THREAD)-cpu
		done <- w
	}()
	var w written
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case w = <-done:
			running = false
		case <-tick.C:
			m.look()
			b.progress.show("%s: %s deliveries/s", title, number(float64(f.delivered()-before)/time.Since(m.at).Seconds()))
		}
	}
	if err := errors.Join(w.err, context.Cause(ctx)); err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	ph.mu.Lock()
	s.seq, s.here = uint32(w.messages), true
	ph.expected = w.messages * int64(peers)
	ph.mu.Unlock()
	b.drain(ctx, f, ph, before)
	b.progress.clear()
	res := &result{Scenario: "limit", Title: title, Peers: peers, Size: b.o.size}
	if _, err := m.end(res); err != nil {
		return err
	}
	res.Server = nil
	t := f.exit()
	res.Latency = quantilesOf(&t.latency)
	res.Faults = ph.faults(t)
	deliveries := float64(w.messages) * float64(peers)
	read := time.Duration(res.Generator.CPUShare*res.Seconds*float64(b.o.procs)*float64(time.Second)) - w.cpu
	res.Figures = figures{
		{"deliveries_per_second", deliveries / w.wall.Seconds(), "deliveries/s"},
		{"writer_cpu_seconds_per_million", w.cpu.Seconds() / deliveries * 1e6, "s of CPU per million, writing"},
		{"reader_cpu_seconds_per_million", read.Seconds() / deliveries * 1e6, "s of CPU per million, reading"},
	}
	// The writer has a core beside those of the readers.
	u := res.Generator
	u.CPUShare = read.Seconds() / res.Seconds / float64(b.o.procs)
	u.CPUPerMillion = read.Seconds() / deliveries * 1e6
	u.judge(res.Seconds)
	b.results = append(b.results, res)
	return nil
}

// writeAll writes b to a non-blocking socket, waiting for room where it must.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, errno := rawSend(fd, b)
		switch errno {
		case 0:
			b = b[n:]
		case unix.EAGAIN:
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1000); err != nil && !errors.Is(err, unix.EINTR) {
				return os.NewSyscallError("poll", err)
			}
		default:
			return os.NewSyscallError("send", errno)
		}
	}
	return nil
}

// adoptRaw makes a socket without a directory at its other end the connection of p.
func (r *reader) adoptRaw(p *peer, fd int) {
	p.mu.Lock()
	p.fd, p.in = fd, true
	p.mu.Unlock()
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, p.event()); err != nil {
		r.end(p, os.NewSyscallError("epoll_ctl", err).Error())
	}
}

// socketPairs makes n pairs of connected non-blocking sockets. What was made is returned with an error, too.
func socketPairs(family string, n int) (ours, theirs []int, err error) {
	var l net.Listener
	if family == "tcp" {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, fmt.Errorf("limit: %w", err)
		}
		defer l.Close()
	}
	for range n {
		var a, b int
		if family == "tcp" {
			a, b, err = tcpPair(l)
		} else {
			var fds [2]int
			fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			a, b = fds[0], fds[1]
		}
		if err != nil {
			for _, fd := range ours {
				unix.Close(fd)
			}
			return nil, theirs, fmt.Errorf("limit: %w", err)
		}
		ours, theirs = append(ours, a), append(theirs, b)
	}
	return ours, theirs, nil
}

func tcpPair(l net.Listener) (a, b int, err error) {
	t, err := parseTarget(l.Addr().String())
	if err != nil {
		return -1, -1, err
	}
	if a, err = t.dial(context.Background(), 0, target{}); err != nil {
		return -1, -1, err
	}
	c, err := l.Accept()
	if err != nil {
		unix.Close(a)
		return -1, -1, err
	}
	defer c.Close() // the socket lives on in the copy
	if b, err = copyDescriptor(c); err != nil {
		unix.Close(a)
	}
	return a, b, err
}
