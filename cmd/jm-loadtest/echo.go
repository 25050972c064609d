package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	var ends [2]*os.File // blocking, so that the runtime's poller is not part of it
	for i, fd := range []int{ours[0], theirs[0]} {
		second := unix.NsecToTimeval(int64(time.Second)) // nothing waits for ever
		err = errors.Join(err, unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second))
		ends[i] = os.NewFile(uintptr(fd), "socket of limit")
		defer ends[i].Close()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- echoes(ends[1], b.o.size)
	}()
	var h histogram
	message := make([]byte, b.o.size)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Now()
	for err == nil && ctx.Err() == nil && time.Since(begin) < b.o.duration {
		at := now()
		if err = exchange(ends[0], message); err == nil {
			h.record(now() - at)
		}
	}
	took := time.Since(begin)
	unix.Shutdown(ours[0], unix.SHUT_WR)
	if err := errors.Join(err, <-done, context.Cause(ctx)); err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	b.results = append(b.results, &result{Scenario: "limit", Title: "limit " + family + " there and back", Size: b.o.size, Seconds: took.Seconds(),
		Latency: quantilesOf(&h), Figures: figures{{"messages_per_second", float64(h.n) / took.Seconds(), "messages/s"}}})
	return nil
}

// exchange writes a message, and reads as many bytes.
func exchange(end *os.File, message []byte) error {
	if _, err := end.Write(message); err != nil {
		return err
	}
	_, err := io.ReadFull(end, message)
	return err
}

// echoes writes back every message of so many bytes until there are no more.
func echoes(end *os.File, size int) error {
	message := make([]byte, size)
	for {
		if _, err := io.ReadFull(end, message); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := end.Write(message); err != nil {
			return err
		}
	}
}
