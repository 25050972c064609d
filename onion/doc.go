// Package onion publishes one v3 onion service and hands out its streams.
//
// A Service is a Tor that we start ourselves (carried inside our own file, or
// found on the host) or one that already runs and lets us in through its
// control port. Tor hands each client stream to a unix socket of ours; the
// first line of a stream names the circuit it came on, which is the only
// identity a client has.
//
//	s, err := onion.Start(ctx, onion.Config{Mode: onion.Embedded, StateDir: dir})
//	...
//	for {
//		c, err := s.Listener().Accept() // *onion.Conn
//		...
//	}
//
// Start returns as soon as Tor has accepted the service and the address is
// known; it goes on bootstrapping and says so through Config.Progress.
// Published is closed when the first descriptor has been stored.
//
// State tells how the service is doing without asking Tor; what has to be asked
// for (circuits, the effort that proof of work demands) a goroutine asks for
// every 15 s. Tor tells the effort nowhere but in the descriptor, which is
// decrypted for it as any client would. SetPoW changes the limits of proof of
// work while the service runs. Dial reaches onion services through the same Tor,
// on a unix socket (Config.Socks) that leads nowhere else.
//
// Who takes over this process must not command Tor. So, with Config.Confine, the
// control channel leads through a guard, our own program in a process of its
// own, which passes on what this service has to say once it has started, and
// nothing else (commands, relay, guard.go). Nor should it connect anywhere: Dial
// asks a dialer, one more process of ours, which brings connections to Tor's
// SOCKS port, and to nothing else, to a socket that this one listens on (caller,
// dialer). So this one can do without connect(2); Needs says whether it can.
//
// Processes. The child is ours alone: its control channel is an inherited
// socketpair end (__OwningControllerFD), it watches our process id
// (__OwningControllerProcess) and the kernel kills it when we die
// (PR_SET_PDEATHSIG). It listens on no port, and on a unix socket only for Dial.
//
// Goroutines. A Service owns the goroutines that read the control channel,
// watch events, ask Tor, read its log and wait for the child, and the listener
// those that accept and read PROXY lines; all have ended when Close returns.
//
// Build tags. embedtor puts the executable made by scripts/build-tor.sh into
// the binary. golibtor links github.com/ipsn/go-libtor instead and runs Tor in
// our own process; see libtor.go for what that costs. Without either, mode
// Embedded answers ErrNoEmbeddedTor.
package onion
