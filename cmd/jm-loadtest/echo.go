package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// echo measures, without any server, what a message takes that another thread only reads and writes back: the yardstick for a
// private message on an idle server, which wakes two threads as well.
func (b *bench) echo(ctx context.Context, family string) error {
	ours, theirs, err := socketPairs(family, 1)
	if err != nil {
		return err
	}
	here, there := ours[0], theirs[0]
	defer unix.Close(here)
	defer unix.Close(there)
	for _, fd := range []int{here, there} {
		if err := unix.SetNonblock(fd, false); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
		second := unix.NsecToTimeval(int64(time.Second)) // nothing waits for ever
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- echoes(there, b.o.size)
	}()
	var h histogram
	message := make([]byte, b.o.size)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Now()
	for err == nil && ctx.Err() == nil && time.Since(begin) < b.o.duration {
		at := now()
		if err = exchange(here, message); err == nil {
			h.record(now() - at)
		}
	}
	took := time.Since(begin)
	unix.Shutdown(here, unix.SHUT_WR)
	if err := errors.Join(err, <-done, context.Cause(ctx)); err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	b.results = append(b.results, &result{Scenario: "limit", Title: "limit " + family + " there and back", Size: b.o.size, Seconds: took.Seconds(),
		Latency: quantilesOf(&h), Figures: figures{{"messages_per_second", float64(h.n) / took.Seconds(), "messages/s"}}})
	return nil
}

// exchange writes a message to a blocking socket, and reads as many bytes.
func exchange(fd int, message []byte) error {
	if err := writeAll(fd, message); err != nil {
		return err
	}
	_, err := readAll(fd, message)
	return err
}

// echoes writes back every message of so many bytes until there are no more.
func echoes(fd, size int) error {
	message := make([]byte, size)
	for {
		if n, err := readAll(fd, message); n == 0 || err != nil {
			return err
		}
		if err := writeAll(fd, message); err != nil {
			return err
		}
	}
}

// readAll fills b from a blocking socket. At its end it returns 0 and no error.
func readAll(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Read(fd, b[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return n, fmt.Errorf("echo: %w", err)
		case m == 0:
			return 0, nil
		default:
			n += m
		}
	}
	return n, nil
}
