package onion

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"
)

// Mode says which Tor publishes the service.
type Mode string

const (
	// Embedded starts the Tor that our own file carries.
	Embedded Mode = "embedded"
	// System starts a tor executable found on this host, as our child.
	System Mode = "system"
	// External uses a Tor that already runs, through its control port.
	External Mode = "external"
)

// Errors that a caller may want to tell apart. All are wrapped with what the
// operator should do.
var (
	// ErrNoEmbeddedTor: this file was built without a Tor inside.
	ErrNoEmbeddedTor = errors.New("this file carries no Tor")
	// ErrTorTooOld: the Tor to be used is older than MinVersion.
	ErrTorTooOld = errors.New("this Tor is too old")
	// ErrInUse: another process uses the same runtime directory.
	ErrInUse = errors.New("already in use by another process")
	// ErrTorEnded: Tor ended although nobody asked it to.
	ErrTorEnded = errors.New("tor ended")
	// ErrControlLost: the control channel to Tor is gone.
	ErrControlLost = errors.New("control channel to tor lost")
	// ErrServiceDropped: a running Tor has dropped the service, and does not take it again.
	ErrServiceDropped = errors.New("the running tor dropped the service")
)

// Config describes one onion service. The zero value of a field has the
// default given with it; Mode and StateDir have none.
type Config struct {
	// Mode is the Tor to use.
	Mode Mode
	// StateDir is the directory (created 0700) that holds tor/, the data
	// directory of a Tor we start, and onion/, the key and the address.
	StateDir string
	// RuntimeDir is the directory (created 0700) for what lives no longer
	// than the process: the sockets, a throw-away key, the executable where
	// memory files cannot be executed. Default: StateDir/run.
	RuntimeDir string
	// Credential is a file with the key that the service manager hands over, in
	// a form that ReadKey takes. The state directory holds no key then: the
	// files for Tor are in RuntimeDir, outside of StateDir, until Close.
	// Default: the key lies in StateDir/onion.
	Credential string
	// Ephemeral asks for a new address that is forgotten by Close; it comes
	// before Credential.
	Ephemeral bool
	// VirtualPort is the port clients ask for. Default 5222.
	VirtualPort int

	// TorPath is the executable for mode System. Default: tor on PATH, then
	// in the usual places.
	TorPath string
	// Control is where mode External finds Tor's control port: "unix:PATH" or
	// "HOST:PORT".
	Control string
	// ControlPassword is the password of that control port. Default: no
	// password, or the cookie file that Tor names.
	ControlPassword string

	// PoW turns the proof-of-work defence on where Tor has it (Tor 0.4.8 with
	// --enable-gpl; proposal 327).
	PoW bool
	// PoWQueueRate is how many introductions per second are taken from the
	// queue. Default 250.
	PoWQueueRate int
	// PoWQueueBurst is how many may be taken at once. Default 2500.
	PoWQueueBurst int
	// IntroDoSDefense asks the introduction points to limit how fast they
	// pass requests on (Tor's HiddenServiceEnableIntroDoSDefense).
	IntroDoSDefense bool
	// IntroDoSRate is how many requests per second each of them then passes
	// on, IntroDoSBurst how many at once. Default: Tor's, 25 and 200.
	IntroDoSRate, IntroDoSBurst int
	// IntroPoints is how many introduction points the service has, 3 to 20.
	// Default: Tor's, 3.
	IntroPoints int
	// MaxStreams is how many streams one circuit may have at a time; a
	// circuit that asks for more is closed. 0 means no limit; at most 65535.
	MaxStreams int

	// Socks opens a SOCKS port for Dial in a Tor that we start: a unix socket
	// in RuntimeDir that leads to onion services only.
	Socks bool

	// ExtraTorrc are further torrc lines for a Tor that we start.
	ExtraTorrc []string
	// Confine takes from a Tor that we start what it does not need, and from
	// this process the command of any Tor but for what it needs (State.Guarded),
	// and the need to connect (State.Dialer). The program has to call Become first.
	Confine Confine

	// JSONAlarm has the guard of the control channel, which comes with Confine, say in JSON that it refused a command. It
	// says so on this process's standard error, by itself, in one line. Default: text.
	JSONAlarm bool

	// Log gets Tor's own log lines: level is "debug", "info", "notice",
	// "warn" or "err", and onion addresses in msg are replaced by
	// "[scrubbed].onion". Progress gets the bootstrap. Both are called from
	// the service's own goroutines, Progress never twice at a time; they must
	// return soon and must not call Close.
	Log      func(level, msg string)
	Progress func(Progress)

	// For tests: from is the Tor for mode Embedded in place of the one in our
	// file; addOnion acts as if an external Tor ran as another user.
	// askEvery is how often Tor is asked for what State tells.
	from     *source
	addOnion bool
	askEvery time.Duration
}

// Progress is a step of Tor's bootstrap or advice to the operator.
type Progress struct {
	// Percent is 0 to 100.
	Percent int
	// Tag is Tor's name of the phase, e.g. "conn_dir"; Summary says it in words.
	Tag, Summary string
	// Advice is what the operator should do, as a sentence; "" if nothing.
	Advice string
}

// What Tor does by itself (Tor manual, HiddenServiceEnableIntroDoSRatePerSec),
// and how many introduction points it takes (its hs_config.h).
const (
	torIntroDoSRate, torIntroDoSBurst = 25, 200
	minIntroPoints, maxIntroPoints    = 3, 20
)

// checkPoW refuses limits of the introduction queue that Tor would not take.
func checkPoW(rate, burst int) error {
	if rate < 1 || burst < rate || burst > math.MaxInt32 {
		return fmt.Errorf("proof-of-work queue: rate %d, burst %d: the rate must be positive and the burst not below it", rate, burst)
	}
	return nil
}

// withDefaults fills what was left out and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	switch c.Mode {
	case Embedded, System, External:
	default:
		return c, fmt.Errorf("onion: mode %q is none of embedded, system, external", c.Mode)
	}
	if c.StateDir == "" {
		return c, errors.New("onion: no state directory given")
	}
	if c.Confine != Unconfined && c.Confine != ConfineAuto && c.Confine != ConfineRequire {
		return c, fmt.Errorf("onion: confine %q is none of auto, require", c.Confine)
	}
	if c.RuntimeDir == "" {
		c.RuntimeDir = filepath.Join(c.StateDir, "run")
	}
	for _, p := range []*string{&c.StateDir, &c.RuntimeDir} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return c, fmt.Errorf("onion: %w", err)
		}
		*p = abs
	}
	for _, s := range append([]string{c.StateDir, c.RuntimeDir, c.TorPath, c.Control}, c.ExtraTorrc...) {
		if strings.ContainsAny(s, "\x00\r\n") {
			return c, fmt.Errorf("onion: %q: a line end or NUL cannot be in a path or a torrc line", s)
		}
	}
	if c.VirtualPort == 0 {
		c.VirtualPort = 5222
	}
	if c.PoWQueueRate == 0 {
		c.PoWQueueRate = 250
	}
	if c.PoWQueueBurst == 0 {
		c.PoWQueueBurst = 2500
	}
	if c.askEvery == 0 {
		c.askEvery = askEvery
	}
	if err := checkPoW(c.PoWQueueRate, c.PoWQueueBurst); err != nil {
		return c, fmt.Errorf("onion: %w", err)
	}
	introRate, introBurst := cmp.Or(c.IntroDoSRate, torIntroDoSRate), cmp.Or(c.IntroDoSBurst, torIntroDoSBurst)
	switch {
	case c.VirtualPort < 1 || c.VirtualPort > 65535:
		return c, fmt.Errorf("onion: virtual port %d is not in 1 to 65535", c.VirtualPort)
	case introRate < 1 || introBurst < introRate || introBurst > math.MaxInt32:
		return c, fmt.Errorf("onion: introduction DoS defence: rate %d, burst %d: the rate must be positive and the burst not below it", introRate, introBurst)
	case c.IntroPoints != 0 && (c.IntroPoints < minIntroPoints || c.IntroPoints > maxIntroPoints):
		return c, fmt.Errorf("onion: %d introduction points is not in %d to %d", c.IntroPoints, minIntroPoints, maxIntroPoints)
	case c.MaxStreams < 0 || c.MaxStreams > 65535:
		return c, fmt.Errorf("onion: %d streams per circuit is not in 0 to 65535", c.MaxStreams)
	case c.Mode == External && c.Control == "":
		return c, errors.New("onion: mode external needs the control port of the running Tor: unix:PATH or HOST:PORT")
	}
	if c.Log == nil {
		c.Log = func(string, string) {}
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	return c, nil
}
