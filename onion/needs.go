package onion

import (
	"context"
	"path/filepath"
)

// Needs are what a Service needs of the system once Start has returned, for a
// process that wants to give up the rest.
type Needs struct {
	// Remove are directories from which Close removes something.
	Remove []string
	// Sockets are unix sockets that Dial connects to; Ports are TCP ports of
	// this host, where an external Tor offers no other. With a dialer there are none.
	Sockets []string
	Ports   []uint16
	// PID is the process that Close may have to signal; 0: none.
	PID int
	// Internet says that Tor runs in our own process; it needs the network, and
	// writes to the directories Write.
	Internet bool
	Write    []string
}

// Needs asks an external Tor where its SOCKS ports are.
func (s *Service) Needs(ctx context.Context) Needs {
	n := Needs{Remove: []string{s.config.RuntimeDir}, PID: s.PID()}
	if s.runtime.short != "" {
		n.Remove = append(n.Remove, filepath.Dir(s.runtime.short))
	}
	if s.proc != nil && n.PID == 0 {
		n.Internet, n.Write = true, []string{s.config.StateDir, s.config.RuntimeDir}
	}
	if !s.connects() {
		return n
	}
	ports, _ := s.socksPorts(ctx) // without, Dial finds none either
	for _, p := range ports {
		if p.Network == "unix" {
			n.Sockets = append(n.Sockets, p.Address)
		}
	}
	if len(n.Sockets) == 0 {
		for _, p := range ports {
			n.Ports = append(n.Ports, p.port())
		}
	}
	return n
}
