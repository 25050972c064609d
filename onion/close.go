package onion

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Close ends the service. A Tor of our own is told to halt over the control
// channel, then by SIGTERM, then killed, within 15 s in all; an external one
// only loses our service. The socket and a throw-away key are removed. Streams
// that were handed out end with Tor. It returns when all is done; calling it
// again returns the same.
func (s *Service) Close() error {
	s.once.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Service) close() error {
	close(s.closing)
	if s.rest != nil {
		s.rest()
	}
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.listener != nil {
		note(s.listener.Close()) // removes the socket too
	} else if s.socket != nil {
		note(s.socket.Close())
	}
	note(s.stopTor())
	if s.control != nil {
		note(s.control.close())
	}
	if s.caller != nil {
		note(s.caller.close())
	}
	if s.guard != nil {
		s.guard.Stop(exitWait) // it ends with the channel
	}
	s.work.Wait()
	if s.keyPasses && s.keyDir != "" {
		note(os.RemoveAll(s.keyDir))
	}
	if s.runtime != nil {
		note(s.runtime.close())
	}
	return errors.Join(errs...)
}

// stopTor asks over the control channel first. That the channel may be gone, or
// ends before the answer, is no error: what counts is that Tor has ended.
func (s *Service) stopTor() error {
	ctx, cancel := context.WithTimeout(context.Background(), haltWait)
	defer cancel()
	if s.retire != nil {
		err := s.retire(ctx)
		if errors.Is(err, ErrControlLost) {
			return nil // and the service with it
		}
		return err
	}
	if s.proc == nil {
		return nil
	}
	if s.control != nil {
		s.control.request(ctx, commandHalt)
	}
	if p, ok := s.proc.(*child); ok {
		p.Stop(exitWait)
		p.unwatch()
	} else {
		select {
		case <-s.ended:
		case <-time.After(exitWait):
		}
	}
	s.quit()
	return nil
}
