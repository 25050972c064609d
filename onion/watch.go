package onion

import (
	"fmt"
	"strings"
	"time"

	"github.com/cretz/bine/control"
)

// watch follows Tor's events, and notices its end.
func (s *Service) watch() {
	s.work.Go(func() {
		tick := time.NewTicker(tickEvery)
		defer tick.Stop()
		for {
			select {
			case e, ok := <-s.control.events:
				if !ok {
					return
				}
				s.event(e)
			case now := <-tick.C:
				s.bootstrap.tick(now)
			}
		}
	})
	s.work.Go(func() {
		defer close(s.done)
		select {
		case <-s.closing:
		case <-s.ended:
			s.err = s.whyEnded(nil)
		case s.err = <-s.dropped:
		case <-s.control.lost:
			if err := s.guardEnded(); err != nil {
				s.err = fmt.Errorf("%w: its guard ended: %w", ErrControlLost, err)
			} else {
				s.err = s.whyEnded(fmt.Errorf("%w: %w", ErrControlLost, s.control.err))
			}
		}
		select {
		case <-s.closing: // it ended because we asked
			s.err = nil
		default:
		}
	})
}

func (s *Service) event(e control.Event) {
	switch e := e.(type) {
	case *control.StatusEvent:
		s.bootstrap.status(parseStatus(e.Raw), time.Now())
	case *control.LogEvent:
		s.log(strings.ToLower(string(e.Severity)), scrub(e.Raw))
	case *control.HSDescEvent:
		if e.Address+".onion" == s.id.Address() && s.uploads.note(e, time.Now()) {
			s.bootstrap.uploaded()
			select {
			case <-s.published:
			default:
				close(s.published)
			}
		}
	}
}

// whyEnded names the end of our Tor, if it has ended or does so at once, with
// its exit status and its last warnings; else it returns err.
func (s *Service) whyEnded(err error) error {
	if s.proc == nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(haltWait):
		return err
	}
	how := "exit status 0"
	if s.exit != nil {
		how = s.exit.Error()
	}
	if w := s.warnings.text(); w != "" {
		how += ": " + w
	}
	return fmt.Errorf("%w: %s", ErrTorEnded, how)
}
