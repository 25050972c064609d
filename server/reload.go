package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"jm-directory-server/server/wire"
)

// settings are Options with what follows from them. They are replaced as a whole.
type settings struct {
	Options
	motd  string
	rules wire.HandshakeRules
}

func newSettings(o Options) *settings {
	return &settings{
		Options: o,
		motd:    versionedMOTD(o.MOTD, o.Version),
		rules:   wire.HandshakeRules{Networks: append([]string{o.Network}, o.NetworkAliases...), Clearnet: o.Clearnet},
	}
}

// opt returns the settings in force.
func (s *Server) opt() *settings { return s.settings.Load() }

// fixedOptions are fields of Options that are what this server is, or how it is built.
var fixedOptions = []string{"Network", "Location", "DirectoryID", "Version", "Clearnet", "Flushers", "UnsafeLog"}

// Reload puts other options in force for all peers, those that are connected included; limits that they are above
// apply from their next message on. It is all or nothing: on an error, an *OptionError for each impossible or
// unchangeable field, joined, nothing has changed.
func (s *Server) Reload(o Options) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	errs := []error{o.Check()}
	now, then := reflect.ValueOf(s.opt().Options), reflect.ValueOf(o)
	for _, field := range fixedOptions {
		if !now.FieldByName(field).Equal(then.FieldByName(field)) {
			errs = append(errs, &OptionError{field, "not changed while the server runs: restart it"})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.put(o)
}

// put checks o and puts it in force. The lock on reload must be held.
func (s *Server) put(o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	s.settings.Store(newSettings(o))
	s.setBudgets(&o)
	s.pool.set(&o)
	s.locations.reload()
	s.registry.changes.Add(1) // the peer list's chunks may have another size, the directory's entry another feature
	s.warnUnprovable()
	return nil
}

// setBudgets puts the rates of o in force.
func (s *Server) setBudgets(o *Options) {
	for i, r := range [numScarce]Rate{
		scarceHandshakes: o.Handshakes, scarceOrderbooks: o.Orderbooks, scarcePublicBytes: o.PublicBytes, scarceDeliveries: o.Deliveries,
	} {
		s.budgets[i].setRate(r)
	}
}

// Alive returns nil once the registry and every flusher have shown that they still move, or an error that names
// who has not when ctx ends. It is for a watchdog.
func (s *Server) Alive(ctx context.Context) error {
	registry := make(chan struct{})
	go func() { // ends when the registry's lock is free; if it never is, the process is to be ended anyway
		s.registry.len()
		close(registry)
	}()
	select {
	case <-registry:
	case <-ctx.Done():
		return fmt.Errorf("registry does not answer: %w", ctx.Err())
	}
	// All are asked before the first answer is waited for.
	checks := make([]<-chan struct{}, 0, len(s.flushers))
	asked := make(chan struct{})
	go func() {
		for _, f := range s.flushers {
			checks = append(checks, f.check())
		}
		close(asked)
	}()
	select {
	case <-asked:
	case <-ctx.Done():
		return fmt.Errorf("outboxes do not answer: %w", ctx.Err())
	}
	for i, check := range checks {
		select {
		case <-check:
		case <-ctx.Done():
			return fmt.Errorf("flusher %d of %d does not answer: %w", i+1, len(checks), ctx.Err())
		}
	}
	return nil
}
