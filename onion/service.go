package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/cretz/bine/process"

	"jm-directory-server/onion/internal/owned"
)

const (
	// startWait is how long a Tor may take until it answers and has accepted
	// the service. It is offline until then.
	startWait = 60 * time.Second
	// haltWait is how long a request may take while we close.
	haltWait = 2 * time.Second
	// tickEvery is how often we look for what did not happen.
	tickEvery = 5 * time.Second
)

// Service is one onion service and the Tor that publishes it.
type Service struct {
	config    Config
	id        identity // whose the key in keyDir is
	keyDir    string
	keyPasses bool // keyDir is removed by Close
	version   string
	features  serviceFeatures
	socket    *net.UnixListener
	listener  net.Listener
	runtime   *runtimeDir
	control   *channel
	guard     *owned.Process  // between control and Tor; nil: there is none
	caller    *caller         // of Dial; nil: it connects by itself
	noDial    error           // why Dial has no SOCKS port, if that is for good
	proc      process.Process // nil in mode External
	ended     chan struct{}   // closed when proc has ended; exit then says how
	exit      error
	quit      context.CancelFunc          // give up waiting for a Tor in our own process
	retire    func(context.Context) error // take the service off an external Tor
	keep      func(context.Context) error // put it back where that Tor has dropped it; nil: it cannot
	dropped   chan error                  // why it could not be put back
	warnings  warnings
	bootstrap *bootstrap
	uploads   uploads
	asked     asked
	socks     string // our Tor's SOCKS socket, "" if there is none
	byControl bool   // an external Tor got the key over its control port

	turn       chan struct{} // one change of the services in Tor's configuration at a time
	powChanged time.Time     // by the last SetPoW, in its turn
	powMu      sync.Mutex    // guards config.PoWQueueRate and PoWQueueBurst

	published chan struct{}
	closing   chan struct{}
	rest      context.CancelFunc // stop asking Tor; nil before there is anything to ask
	done      chan struct{}
	err       error // valid when done is closed

	work   sync.WaitGroup
	once   sync.Once
	closed error
}

// Start makes Tor serve an onion service and returns when Tor runs, has
// accepted it and the address is known; Tor goes on bootstrapping. ctx bounds
// the start, not the service. Errors name what to do; ErrNoEmbeddedTor,
// ErrTorTooOld, ErrInUse and ErrTorEnded can be told apart.
func Start(ctx context.Context, c Config) (*Service, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{
		config:    c,
		bootstrap: newBootstrap(time.Now(), c.Progress),
		published: make(chan struct{}),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		turn:      make(chan struct{}, 1),
		dropped:   make(chan error, 1),
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	if err := s.start(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("onion: %w", err)
	}
	var life context.Context
	life, s.rest = context.WithCancel(context.Background())
	s.work.Go(func() { s.keepAsking(life) })
	return s, nil
}

func (s *Service) start(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	run := s.launch
	if s.config.Mode == External {
		run = s.attach
	}
	if err := run(ctx); err != nil {
		return err
	}
	if err := s.callDialer(ctx); err != nil {
		return err
	}
	return s.order(ctx)
}

// prepare makes the directories, the key and the socket.
func (s *Service) prepare() error {
	var err error
	if err := os.MkdirAll(s.config.StateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if s.runtime, err = openRuntimeDir(s.config.RuntimeDir); err != nil {
		return err
	}
	s.keyPasses = s.config.Ephemeral || s.config.Credential != ""
	switch {
	case !s.keyPasses:
		s.keyDir = KeyDir(s.config.StateDir)
	case s.config.Ephemeral:
		if s.keyDir, err = os.MkdirTemp(s.config.RuntimeDir, passingKeyDir); err != nil {
			return fmt.Errorf("throw-away key: %w", err)
		}
	default:
		if s.keyDir, err = credentialKeyDir(s.config); err != nil {
			return err
		}
	}
	if s.id, err = keptIdentity(s.keyDir); err != nil {
		return err
	}
	s.socket, err = s.runtime.listen(serviceSocket)
	return err
}

// accept opens the listener, by what Tor will write on the streams.
func (s *Service) accept() {
	if s.features.circuitIDs {
		s.listener = NewProxyListener(s.socket, true)
	} else {
		s.listener = newPlainListener(s.socket)
	}
}

// options are the torrc options of our service.
func (s *Service) options() []option {
	return serviceOptions(s.config, s.keyDir, s.socket.Addr().String(), s.features)
}

// configure adds our service to those in others, without proof of work if Tor
// has none.
func (s *Service) configure(ctx context.Context, others []option) error {
	s.features = serviceFeatures{circuitIDs: true, pow: s.config.PoW, introDoS: s.config.IntroDoSDefense}
	err := s.control.setConf(ctx, append(others[:len(others):len(others)], s.options()...)...)
	var refused *textproto.Error
	if errors.As(err, &refused) && s.features.pow {
		s.noPoW()
		err = s.control.setConf(ctx, append(others[:len(others):len(others)], s.options()...)...)
	}
	if err != nil {
		return fmt.Errorf("configure the service: %w", err)
	}
	return nil
}

// takeTurn waits for the changes of others to the services in Tor's
// configuration: SETCONF sets all of them, as they were found before.
func (s *Service) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) leaveTurn() { <-s.turn }

// noPoW notes that this Tor has no proof of work although it was asked for.
func (s *Service) noPoW() {
	s.features.pow = false
	s.log("warn", "this Tor has no proof-of-work module: the service goes without that defence")
}

// log takes a line of Tor's log.
func (s *Service) log(level, msg string) {
	s.warnings.note(level, msg)
	s.bootstrap.log(level, msg, time.Now())
	s.config.Log(level, msg)
}

// Address is the service's host name, 56 characters and ".onion".
func (s *Service) Address() string { return s.id.Address() }

// Listener hands out the clients' streams, each a *Conn. Close of the service
// closes it.
func (s *Service) Listener() net.Listener { return s.listener }

// Published is closed when a directory has stored the service's descriptor for
// the first time: clients can connect from then on.
func (s *Service) Published() <-chan struct{} { return s.published }

// Done is closed when Tor has ended, the control channel is lost or a running
// Tor has dropped the service for good, and by Close. Err says which.
func (s *Service) Done() <-chan struct{} { return s.done }

// Err is why Done is closed: it wraps ErrTorEnded, with Tor's exit status and
// last warnings, ErrControlLost or ErrServiceDropped; nil before, and after a
// plain Close.
func (s *Service) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// TorVersion is what Tor calls itself, e.g. "0.4.9.11".
func (s *Service) TorVersion() string { return s.version }

// PoW says whether the proof-of-work defence is on.
func (s *Service) PoW() bool { return s.features.pow }

// CircuitIDs says whether streams carry the id of their circuit.
func (s *Service) CircuitIDs() bool { return s.features.circuitIDs }

// PID is the process id of a Tor that we started; 0 if it is not ours or runs
// in our own process.
func (s *Service) PID() int {
	if p, ok := s.proc.(*child); ok {
		return p.PID()
	}
	return 0
}

// codeUnknownCircuit is Tor's answer for a circuit it does not have.
const codeUnknownCircuit = 552

// CloseCircuit ends a client's circuit with all its streams (control-spec
// CLOSECIRCUIT). A circuit that is gone already is no error.
func (s *Service) CloseCircuit(ctx context.Context, id uint64) error {
	return s.closeCircuit(ctx, strconv.FormatUint(id, 10))
}

func (s *Service) closeCircuit(ctx context.Context, id string) error {
	_, err := s.control.request(ctx, commandCloseCircuit+id)
	var refused *textproto.Error
	if errors.As(err, &refused) && refused.Code == codeUnknownCircuit {
		return nil
	}
	if err != nil {
		return fmt.Errorf("close circuit: %w", err)
	}
	return nil
}
