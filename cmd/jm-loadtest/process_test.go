package main

import (
	"os"
	"testing"
	"time"
)

func TestUseOfAProcessIsRead(t *testing.T) {
	before, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own := ownCPU()
	for ownCPU()-own < 50*time.Millisecond { // of work
	}
	after, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.cpu-before.cpu < 30*time.Millisecond || after.rss < 1<<20 {
		t.Errorf("%+v, then %+v", before, after)
	}
	if _, err := readProcess(2_000_000_000); err == nil {
		t.Error("a process that cannot be is read")
	}
}
