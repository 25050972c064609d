package onion

import "runtime"

// The key is Tor's: once Tor has it, no copy of it is left in our memory. What handles it wipes the slices it made of it
// and runs by secretly, which wipes the stack. The Go runtime wipes neither by itself.

const (
	// secretRoom is the stack that what runs by secretly may use, in bytes.
	secretRoom = 32 << 10
	// ballast is what else is on that stack. The runtime moves one that is used for less than a quarter to a smaller place
	// and leaves what was on the old one; this one never is.
	ballast = 64 << 10
)

// secretly runs f on a stack of its own, of which nothing is left afterwards.
func secretly(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		weighted(f)
	}()
	<-done
}

//go:noinline
func weighted(f func()) {
	var weight [ballast]byte
	clear(weight[:])
	scrubStack() // makes room, so that the stack is not moved under f
	f()
	scrubStack()
	runtime.KeepAlive(&weight)
}

// scrubStack overwrites the stack below its caller.
//
//go:noinline
func scrubStack() {
	var room [secretRoom]byte
	wipe(room[:])
}

// wipe is clear, where the compiler does not see that nobody reads what it clears.
//
//go:noinline
func wipe(b []byte) { clear(b) }
