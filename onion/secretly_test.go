package onion

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A mask hides what is searched in memory from the search.
const mask = 0xa5

// maskedKey reads both halves of the key in dir, masked, and leaves no copy as it is.
func maskedKey(t *testing.T, dir string) (halves [2][]byte) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, secretName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 96)
	if n, err := f.Read(b); n != 96 || err != nil {
		t.Fatal(n, err)
	}
	for i := range b {
		b[i] ^= mask
	}
	return [2][]byte{b[32:64], b[64:]}
}

// inMemory counts how often both halves are in this process's memory that can be written.
func inMemory(t *testing.T, halves [2][]byte) (count int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	const step, overlap = 1 << 20, 64
	b := make([]byte, step+overlap)
	seen := 0
	for _, m := range regexp.MustCompile(`(?m)^([0-9a-f]+)-([0-9a-f]+) rw`).FindAllSubmatch(maps, -1) {
		from, _ := strconv.ParseInt(string(m[1]), 16, 64)
		to, _ := strconv.ParseInt(string(m[2]), 16, 64)
		for ; from < to; from += step {
			n, _ := mem.ReadAt(b[:min(step+overlap, to-from)], from) // what cannot be read holds nothing
			seen += n
			for i := range b[:n] {
				b[i] ^= mask
			}
			for _, half := range halves {
				count += bytes.Count(b[:n], half)
			}
			wipe(b)
		}
	}
	if seen < 4<<20 {
		t.Fatalf("only %d bytes of memory were seen", seen)
	}
	return count
}

func TestKeyIsNotInOurMemoryOnceTorHasIt(t *testing.T) {
	if raced {
		t.Skip("not with the race detector, whose memory is too large")
	}
	for name, change := range map[string]func(*testing.T, *Config){
		"new":       func(*testing.T, *Config) {},
		"kept":      func(t *testing.T, c *Config) { makeKeyElsewhere(t, KeyDir(c.StateDir)) },
		"ephemeral": func(_ *testing.T, c *Config) { c.Ephemeral = true },
		"credential": func(t *testing.T, c *Config) {
			c.RuntimeDir, c.Credential = t.TempDir(), filepath.Join(t.TempDir(), "key")
			makeKeyElsewhere(t, c.Credential)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			change(t, &c)
			s := mustStart(t, c)
			halves := maskedKey(t, s.keyDir)
			if n := inMemory(t, halves); n != 0 {
				t.Errorf("halves of the key are in memory %d times", n)
			}
			// The search would have found it.
			key, err := LoadKey(s.keyDir)
			if err != nil {
				t.Fatal(err)
			}
			if n := inMemory(t, halves); n < 2 {
				t.Errorf("a key that is there was found %d times", n)
			}
			if fmt.Sprint(key) != redacted {
				t.Error("a key prints as something else")
			}
		})
	}
}

// TestFinishedInstallLeavesNoKeyInMemory: a server that starts after one that was killed looks at both keys.
func TestFinishedInstallLeavesNoKeyInMemory(t *testing.T) {
	if raced {
		t.Skip("not with the race detector, whose memory is too large")
	}
	state := t.TempDir()
	makeKeyElsewhere(t, KeyDir(state))
	makeKeyElsewhere(t, filepath.Join(state, swapKeyDir+"1"))
	inUse := maskedKey(t, KeyDir(state))
	done, over := make(chan error), make(chan struct{})
	defer close(over)
	go func() { // its stack is nobody else's until the end
		kept, err := ClearKeyDirs(state)
		if err == nil && len(kept) != 1 {
			err = fmt.Errorf("kept %q", kept)
		}
		done <- err
		<-over
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := inMemory(t, inUse); n != 0 {
		t.Errorf("halves of the key in use are in memory %d times", n)
	}
}

// makeKeyElsewhere makes a key by another process, so that this one has never seen it.
func makeKeyElsewhere(t *testing.T, dir string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "ONION_TEST_KEY="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
