package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/sirupsen/logrus"

	"jm-directory-server/server/wire"
)

// A Server is one directory for one bitcoin network.
type Server struct {
	settings       atomic.Pointer[settings]
	logger         *logrus.Logger
	nick           string // the directory's own, fresh at each start (protocol.md 4.1)
	orderbookProbe []byte
	location       atomic.Pointer[wire.Location]
	directoryID    atomic.Pointer[string]
	newChallenge   func(id string) wire.Challenge // tests have it say what was recorded
	checks         chan struct{}                  // one entry for each proof that is being checked
	started        time.Time

	registry *registry
	bans     banList
	circuits circuits
	budgets  [numScarce]budget
	own      ownNicks
	// locations are the checks of where peers say that they serve.
	locations locationChecks
	draining  atomic.Bool
	pool      handshakePool
	peerlist  peerlistCache
	flushers  []*flusher
	queued    atomic.Uint64 // the queue's clock: counts what is queued; a broadcast counts once for each flusher
	pressure  pressure
	readers   readers
	nextID    atomic.Uint64
	// closeCircuit is what CloseCircuits was given.
	closeCircuit func(uint64)
	count        counters

	reload    sync.Mutex // one Reload at a time
	mu        sync.Mutex
	listener  net.Listener
	poller    *poller // from Serve on
	conns     map[*conn]struct{}
	closing   bool
	stopSweep context.CancelFunc
	wg        sync.WaitGroup // connections, waits for full sockets, heartbeat
	flushWG   sync.WaitGroup // flushers
	stopping  chan struct{}  // closed when the server begins to stop: nobody is held back any more
	killed    chan struct{}  // closed when the time to flush is over
	killOnce  sync.Once
}

// ErrClosed is returned by Serve on a server that was shut down.
var ErrClosed = errors.New("server: closed")

// New makes a server and starts its flushers and its heartbeat; Shutdown ends them. It fails with the errors of
// Options.Check.
func New(o Options, logger *logrus.Logger) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, fmt.Errorf("directory nick: %w", err)
	}
	nick, err := wire.NickFromPubKey(key.PubKey().SerializeCompressed())
	if err != nil {
		return nil, fmt.Errorf("directory nick: %w", err)
	}
	s := &Server{
		logger: logger, nick: nick,
		orderbookProbe: []byte(nick + "!" + wire.Public + "!orderbook"),
		newChallenge:   wire.NewChallenge,
		checks:         make(chan struct{}, checksAtOnce()),
		started:        time.Now(),
		conns:          make(map[*conn]struct{}),
		killed:         make(chan struct{}),
		stopping:       make(chan struct{}),
	}
	s.bans.init()
	s.readers.init()
	for i := range s.budgets {
		s.budgets[i].of, s.budgets[i].now = scarce(i), s.now
	}
	s.setBudgets(&o)
	s.pool.set(&o)
	s.settings.Store(newSettings(o))
	s.registry = newRegistry(s)
	s.pressure.peers, s.pressure.now = s.registry.peers.Load, s.now
	s.peerlist.s = s
	s.locations.s = s
	s.setDirectoryID(o.DirectoryID)
	if o.Location.Serving() {
		s.SetLocation(o.Location)
	}
	n := o.Flushers
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for range n {
		f := newFlusher(s)
		s.flushers = append(s.flushers, f)
		s.flushWG.Go(f.run)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stopSweep = cancel
	s.wg.Go(func() { s.heartbeat(ctx) })
	return s, nil
}

// now is the time since the start in ns, on the monotonic clock; never 0, which means "never" in fields.
func (s *Server) now() int64 { return int64(time.Since(s.started)) + 1 }

// Nick returns the directory's own nick.
func (s *Server) Nick() string { return s.nick }

// SetLocation makes known where clients reach this directory, for its own peerlist entry, and unless
// Options.DirectoryID is set, for proofs of nicks.
func (s *Server) SetLocation(l wire.Location) {
	s.location.Store(&l)
	if s.opt().DirectoryID == "" {
		s.setDirectoryID(l.String())
	}
	s.registry.changes.Add(1)
}

// Serve accepts connections from l until ctx ends (nil), Shutdown is called (nil), or l fails (its error).
// It closes l. Connections must be sockets; where they have a method CircuitID they are asked for it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		l.Close()
		return ErrClosed
	}
	if s.poller == nil {
		p, err := newPoller()
		if err != nil {
			s.mu.Unlock()
			l.Close()
			return err
		}
		s.poller = p
	}
	a, err := newAcceptor(l, s.poller)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.listener = a
	s.mu.Unlock()
	s.warnUnprovable()
	stop := context.AfterFunc(ctx, func() { a.Close() })
	defer stop()
	defer a.Close()
	for pause := time.Duration(0); ; {
		t, from, refused, err := a.next()
		switch {
		case err == nil:
			pause = 0
			s.admit(t, from, refused)
			continue
		case ctx.Err() != nil || s.isClosing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		}
		// Out of descriptors or memory: what is connected goes on; try again when some may be free.
		if pause = min(max(2*pause, 10*time.Millisecond), time.Second); pause == 10*time.Millisecond {
			s.logger.WithError(err).Warn("cannot accept connections for now")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// admit begins with one connection, which the listener handed out as from. When there are no descriptors left for it, it is
// closed already, which frees one: whoever waits behind it is not held up.
func (s *Server) admit(t *socket, from any, refused error) {
	s.count.accepted.Add(1)
	switch {
	case errors.Is(refused, errNoSocket):
		s.logger.WithError(refused).Error("connection refused")
	case refused != nil:
		s.count.reasons[EvictedNoFile].Add(1)
	default:
		s.start(s.newConn(t, from))
	}
}

// start has a reader begin with c.
func (s *Server) start(c *conn) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		c.t.close()
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	s.readers.run(c)
}

// ended forgets c, as the last thing that is done with it.
func (s *Server) ended(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Shutdown stops accepting and reading, writes what is queued for at most Options.ShutdownTimeout or until ctx
// ends, closes every connection and waits for every goroutine of the server. It returns ctx's error when that
// cut the flush short.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	listener := s.listener
	s.mu.Unlock()
	if first {
		if listener != nil {
			listener.Close()
		}
		s.stopSweep()
		s.registry.close()
		for i := range s.budgets {
			s.budgets[i].stop()
		}
	}
	for _, c := range conns {
		c.retire(EvictedShutdown)
	}
	if first {
		close(s.stopping) // only now: whoever waits for something has its reason to end
	}
	gone := make(chan struct{})
	go func() { s.wg.Wait(); close(gone) }()
	timer := time.NewTimer(s.opt().ShutdownTimeout)
	defer timer.Stop()
	var err error
	select {
	case <-gone:
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.killOnce.Do(func() { close(s.killed) })
	for _, c := range conns {
		c.t.close()
	}
	<-gone
	for _, f := range s.flushers {
		f.stop()
	}
	s.flushWG.Wait()
	if first {
		s.readers.stop()
		if s.poller != nil {
			s.poller.close()
		}
	}
	return err
}
