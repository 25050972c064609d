package main

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSignals(t *testing.T) {
	var out bytes.Buffer
	log, err := newLogger(LogConfig{Level: "info", Format: "text"}, &out, false, true)
	if err != nil {
		t.Fatal(err)
	}
	status, reload, exits := make(chan struct{}, 1), make(chan struct{}, 1), make(chan int, 1)
	w := newSignalWatch(log, func() { status <- struct{}{} }, func() { reload <- struct{}{} }, func(code int) { exits <- code })
	w.ch <- unix.SIGUSR1
	<-status
	w.ch <- unix.SIGHUP
	<-reload
	if w.stop.Err() != nil {
		t.Error("SIGUSR1 or SIGHUP stops")
	}
	w.ch <- unix.SIGTERM
	select {
	case <-w.stop.Done():
	case <-time.After(patience):
		t.Fatal("SIGTERM does not stop")
	}
	select {
	case code := <-exits:
		t.Errorf("the first signal exits with %d", code)
	default:
	}
	w.ch <- unix.SIGINT
	if code := <-exits; code != exitFailed {
		t.Errorf("the second signal exits with %d", code)
	}
	w.close()
}

func TestTheWatchEndsWithoutASignal(t *testing.T) {
	w := watchSignals(nil, func() {}, func() {})
	w.close()
	if w.stop.Err() == nil {
		t.Error("its context is never released")
	}
}
