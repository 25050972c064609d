package onion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

var (
	// ErrNotLive: this service's proof of work cannot be changed while it runs.
	ErrNotLive = errors.New("proof of work cannot be changed while the service runs")
	// ErrTooSoon: proof of work was changed a short while ago.
	ErrTooSoon = errors.New("proof of work was changed less than 5 minutes ago")
)

// powPause is the least time between two changes: Tor's own pace of deciding
// about the effort (HS_UPDATE_PERIOD), and the period in which it launches a
// limited number of introduction circuits (INTRO_CIRC_RETRY_PERIOD). A third
// change within it leaves the service without introduction points until its end.
const powPause = 5 * time.Minute

// powLimits are the queue's rate and burst in force.
func (s *Service) powLimits() (rate, burst int) {
	s.powMu.Lock()
	defer s.powMu.Unlock()
	return s.config.PoWQueueRate, s.config.PoWQueueBurst
}

// SetPoW changes how many introductions per second Tor takes from the queue,
// and how many at once (Config.PoWQueueRate, PoWQueueBurst), without a restart.
// Clients' circuits stay. What a change costs, in Tor 0.4.9:
//
//   - Tor forgets the state of the defence: the effort starts from 0 again, what
//     waits in the queue is dropped, and the seed is new, so clients with the old
//     descriptor and a solution for it have to fetch the new one.
//   - For a second or two nobody new can come in. A client that is refused at every
//     introduction point in that time does not try them again for 2 to 32 minutes
//     (its Tor's HS_CACHE_CLIENT_INTRO_STATE_MAX_AGE, looked at every half an hour)
//     unless the service has others by then. Tor has no queue from the change
//     to its next housekeeping and crashes if an introduction arrives in
//     between (enqueue_rend_request), so the introduction circuits are closed
//     first. Tor builds them again, to the same relays, by itself.
//
// So it is for a lasting change of the load and not for every swing; less than
// 5 minutes after the last attempt it answers ErrTooSoon. The values in force
// again are no change. ErrNotLive is the answer without proof of work, for a key
// that went over the control port, and where the same Tor has other services
// with proof of work, which a change would endanger. ctx bounds the wait for an
// earlier change; once begun, one is carried through.
func (s *Service) SetPoW(ctx context.Context, rate, burst int) error {
	if err := checkPoW(rate, burst); err != nil {
		return fmt.Errorf("onion: %w", err)
	}
	if !s.features.pow {
		return fmt.Errorf("onion: %w: it is off", ErrNotLive)
	}
	if s.byControl {
		return fmt.Errorf("onion: %w: the running Tor got the key over its control port", ErrNotLive)
	}
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.leaveTurn()
	if r, b := s.powLimits(); r == rate && b == burst {
		return nil
	}
	if !s.powChanged.IsZero() && time.Since(s.powChanged) < powPause {
		return fmt.Errorf("onion: %w", ErrTooSoon)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWait)
	defer cancel()
	if err := s.changePoW(ctx, rate, burst); err != nil {
		return fmt.Errorf("onion: proof of work: %w", err)
	}
	return nil
}

// changePoW is called in its turn.
func (s *Service) changePoW(ctx context.Context, rate, burst int) error {
	others, _, err := s.services(ctx)
	if err != nil {
		return err
	}
	if havePoW(others) {
		return fmt.Errorf("%w: this Tor has other services with it", ErrNotLive)
	}
	s.powChanged = time.Now() // or tried to
	c := s.config
	c.PoWQueueRate, c.PoWQueueBurst = rate, burst
	options := serviceOptions(c, s.keyDir, s.socket.Addr().String(), s.features)
	if err := s.closeIntros(ctx); err != nil {
		return err
	}
	if err := s.control.setConf(ctx, append(others[:len(others):len(others)], options...)...); err != nil {
		return err
	}
	s.powMu.Lock()
	s.config.PoWQueueRate, s.config.PoWQueueBurst = rate, burst
	s.powMu.Unlock()
	// Tor may have launched new ones between the two; none of them can be ready
	// yet. Those launched after the change come after the housekeeping.
	return s.closeIntros(ctx)
}

// havePoW says whether one of the services has proof of work.
func havePoW(services []option) bool {
	return slices.ContainsFunc(services, func(o option) bool {
		return strings.EqualFold(o.key, "HiddenServicePoWDefensesEnabled") && o.value == "1"
	})
}

// closeIntros closes the introduction circuits of our service.
func (s *Service) closeIntros(ctx context.Context) error {
	n, err := s.circuits(ctx)
	if err != nil {
		return err
	}
	for _, id := range n.introIDs {
		if err := s.closeCircuit(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
