package server

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"jm-directory-server/server/wire"
)

// A Target is whom an operator acts on: exactly one of the three.
type Target struct {
	Nick    string // of a peer
	Conn    uint64 // number of a connection, as in the debug log
	Circuit uint64 // of Tor; all connections on it
}

// ErrTarget says that a text names no target.
var ErrTarget = errors.New("must be a nick, conn:HEX or circuit:NUMBER")

// ErrNobody says that no connection is what a Target names.
var ErrNobody = errors.New("nobody here is that")

// ParseTarget reads a nick, "conn:1f" (as the debug log writes it) or "circuit:26". The error is ErrTarget.
func ParseTarget(text string) (Target, error) {
	if hex, ok := strings.CutPrefix(text, "conn:"); ok {
		id, err := strconv.ParseUint(hex, 16, 64)
		if err != nil || id == 0 {
			return Target{}, ErrTarget
		}
		return Target{Conn: id}, nil
	}
	if number, ok := strings.CutPrefix(text, "circuit:"); ok {
		id, err := strconv.ParseUint(number, 10, 64)
		if err != nil || id == 0 {
			return Target{}, ErrTarget
		}
		return Target{Circuit: id}, nil
	}
	if !wire.ValidNick([]byte(text)) {
		return Target{}, ErrTarget
	}
	return Target{Nick: text}, nil
}

// find returns the connections that t names.
func (s *Server) find(t Target) []*conn {
	if t.Nick != "" {
		if p := s.registry.get(t.Nick); p != nil {
			return []*conn{p.conn}
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*conn
	for c := range s.conns {
		if t.Conn != 0 && c.id == t.Conn || t.Circuit != 0 && c.known && c.circuit == t.Circuit {
			found = append(found, c)
		}
	}
	return found
}

// dismiss ends connections, and has the registry let go of their peers at once. Their readers would do so only when they no longer wait
// for a rate or a budget, as who is to be ended mostly does, and would pass on what they wait with.
func (s *Server) dismiss(conns []*conn, reason Reason) {
	for _, c := range conns {
		c.evict(reason)
	}
	s.registry.dismiss(conns)
}

// Kick ends the connections that t names, without what is queued to them, and returns how many there were. Who is
// kicked may come back at once; see Ban. The error is ErrNobody.
func (s *Server) Kick(t Target) (int, error) {
	conns := s.find(t)
	if len(conns) == 0 {
		return 0, ErrNobody
	}
	s.dismiss(conns, EvictedKicked)
	return len(conns), nil
}

// Ban keeps out and ends whatever t names: a nick, here or not; a connection, by its nick; a circuit. For d of 0 it lasts
// until it is taken back, and of a circuit as long as that lives. The kind of a nick's ban is BanKey if its owner has
// proven it, or if such a ban of it is in force, or else BanNick. Without a reason, the one of a ban in force stays. Errors:
// ErrNobody for a connection that is not here or has no nick yet, one for an impossible reason or duration, or that of the
// journal, with which the ban is in force all the same.
func (s *Server) Ban(t Target, d time.Duration, reason string) (Ban, error) {
	if d < 0 {
		return Ban{}, fmt.Errorf("ban: %v is no duration", d)
	}
	if err := CheckBanReason(reason); err != nil {
		return Ban{}, err
	}
	b := Ban{Reason: reason, Created: time.Now().UTC().Truncate(time.Second)}
	if d > 0 {
		b.Expires = b.Created.Add(d)
	}
	var banned []*conn
	if t.Circuit != 0 {
		b.Kind, b.Subject = BanCircuit, circuitSubject(t.Circuit)
		b = s.bans.put(b)
		banned = s.find(t)
	} else {
		var ok bool
		if b, banned, ok = s.banOwner(t, b); !ok {
			return Ban{}, ErrNobody
		}
	}
	s.dismiss(banned, EvictedBanned)
	if err := s.bans.keep(b); err != nil { // last: the disk may take its time
		return b, fmt.Errorf("the ban is in force, but not kept over a restart: %w", err)
	}
	return b, nil
}

// banOwner puts b as a ban of t's nick, of the kind that its owner deserves, and returns that owner's connection, if there is one. It
// reports false for a connection without a nick. Nobody joins meanwhile: who has the nick then is who had it when the kind was
// chosen, and whoever comes later finds the ban.
func (s *Server) banOwner(t Target, b Ban) (put Ban, owner []*conn, ok bool) {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	p := s.registry.nicks[t.Nick]
	if t.Conn != 0 {
		if p = s.registry.ownerOf(t.Conn); p == nil {
			return Ban{}, nil, false
		}
		t.Nick = p.nick
	}
	b.Kind = BanNick
	if p != nil {
		owner = []*conn{p.conn}
		if p.verified {
			b.Kind = BanKey
		}
	}
	s.bans.mu.RLock()
	b.Subject = s.bans.subject(t.Nick)
	s.bans.mu.RUnlock()
	return s.bans.put(b), owner, true
}

// CheckBanReason accepts what may be shown to a client: printable ASCII, at most MaxBanReason bytes.
func CheckBanReason(reason string) error {
	if len(reason) > MaxBanReason {
		return fmt.Errorf("ban: the reason has %d bytes, at most %d are allowed", len(reason), MaxBanReason)
	}
	for i := range len(reason) {
		if reason[i] < ' ' || reason[i] > '~' {
			return errors.New("ban: the reason must be printable ASCII")
		}
	}
	return nil
}

// Unban takes a ban back, by its id. Errors: ErrNoSuchBan, or the journal's.
func (s *Server) Unban(id string) error {
	b, ok := s.bans.remove(id)
	if !ok {
		return ErrNoSuchBan
	}
	if err := s.bans.keep(b); err != nil {
		return fmt.Errorf("the ban is lifted, but comes back with a restart: %w", err)
	}
	return nil
}

// Bans returns the bans in force, oldest first.
func (s *Server) Bans() []Ban { return s.bans.list(time.Now()) }

// bannedText is what somebody who is banned is told.
func bannedText(b Ban) string {
	text := "banned"
	if !b.Expires.IsZero() {
		text += " until " + b.Expires.UTC().Format("2006-01-02 15:04 MST")
	}
	if b.Reason != "" {
		text += ": " + b.Reason
	}
	return text
}

// SetDraining makes the server refuse newcomers, with a reason, while it goes on serving the peers it has; or ends
// that. It is for the time before maintenance: clients have several directories and use the others.
func (s *Server) SetDraining(on bool) { s.draining.Store(on) }

// Draining reports whether newcomers are refused.
func (s *Server) Draining() bool { return s.draining.Load() }

// SetMOTD changes Options.MOTD until the next Reload. The error is that of Reload.
func (s *Server) SetMOTD(text string) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	o := s.opt().Options
	o.MOTD = text
	return s.put(o)
}
