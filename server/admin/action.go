package admin

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// LogLevels are the levels that LogLevelRequest may ask for.
var LogLevels = []string{"debug", "info", "warn", "error"}

// KickRequest is POST /actions/kick: connections end at once.
type KickRequest struct {
	Target string `json:"target"` // as server.ParseTarget reads it
}

// BanRequest is POST /actions/ban: somebody is ended and kept out.
type BanRequest struct {
	Target   string `json:"target"`             // as server.ParseTarget reads it
	Duration string `json:"duration,omitempty"` // as time.ParseDuration reads it, a second or more; "" for ever
	Reason   string `json:"reason,omitempty"`   // shown to the banned; see server.MaxBanReason; "" keeps that of a ban in force
}

// UnbanRequest is POST /actions/unban: a ban is taken back.
type UnbanRequest struct {
	ID string `json:"id"` // of a Ban
}

// DrainRequest is POST /actions/drain: newcomers are refused, or no longer.
type DrainRequest struct {
	On bool `json:"on"` // nobody new is taken
}

// MOTDRequest is POST /actions/motd: newcomers are greeted with another text until the configuration is read anew.
type MOTDRequest struct {
	Text string `json:"text"` // see wire.CheckMOTD
}

// LogLevelRequest is POST /actions/log-level: the log says more or less until the configuration is read anew.
type LogLevelRequest struct {
	Level string `json:"level"` // one of LogLevels
}

// Done is the answer to an action that was done.
type Done struct {
	Connections *int   `json:"connections,omitempty"` // kick: how many were ended
	Ban         *Ban   `json:"ban,omitempty"`         // ban: the one in force
	Warning     string `json:"warning,omitempty"`     // it is done, but for what this says
}

// Bans is the answer to /bans.
type Bans struct {
	Bans []Ban `json:"bans"` // in force, oldest first
}

// Ban is a server.Ban without whom it keeps out.
type Ban struct {
	ID      string         `json:"id"`               // to take it back by
	Kind    server.BanKind `json:"kind"`             // of what it is
	Reason  string         `json:"reason"`           // for people, shown to the banned
	Created time.Time      `json:"created"`          // UTC
	Expires time.Time      `json:"expires,omitzero"` // absent: never
}

func shownBan(b server.Ban) Ban {
	return Ban{ID: b.ID, Kind: b.Kind, Reason: b.Reason, Created: b.Created.UTC(), Expires: b.Expires}
}

func (s *Server) bans(w http.ResponseWriter, _ *http.Request) {
	bans := Bans{Bans: []Ban{}}
	for _, b := range s.src.Bans() {
		bans.Bans = append(bans.Bans, shownBan(b))
	}
	answer(w, http.StatusOK, bans)
}

// An actionFunc does what a request asks for.
type actionFunc func(body []byte) (Done, error)

// actions are all actions by their path below /actions/.
func (s *Server) actions() map[string]actionFunc {
	return map[string]actionFunc{
		"kick": s.kick, "ban": s.ban, "unban": s.unban,
		"drain": s.drain, "motd": s.motd, "log-level": s.logLevel,
	}
}

// action reads a request within bounds, does it and answers.
func (s *Server) action(do actionFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			wrongMethod(w, http.MethodPost)
			return
		}
		if !isJSON(r) {
			answerError(w, http.StatusUnsupportedMediaType, "the request must have Content-Type: application/json")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			answerError(w, http.StatusRequestEntityTooLarge, "the request is larger than 64 KiB")
			return
		}
		if err != nil {
			answerError(w, http.StatusBadRequest, "the request did not arrive whole")
			return
		}
		done, err := do(body)
		switch {
		case errors.Is(err, server.ErrNobody), errors.Is(err, server.ErrNoSuchBan):
			answerError(w, http.StatusNotFound, err.Error())
		case err != nil:
			answerError(w, http.StatusBadRequest, err.Error())
		default:
			answer(w, http.StatusOK, done)
		}
	})
}

func (s *Server) kick(body []byte) (Done, error) {
	var q KickRequest
	if err := readMembers(body, text("target", &q.Target)); err != nil {
		return Done{}, err
	}
	t, err := parseTarget(q.Target)
	if err != nil {
		return Done{}, err
	}
	n, err := s.src.Kick(t)
	s.did("kick", err, logrus.Fields{"target": targetKind(t), "connections": n})
	return Done{Connections: &n}, err
}

func (s *Server) ban(body []byte) (Done, error) {
	var q BanRequest
	if err := readMembers(body, text("target", &q.Target), optionalText("duration", &q.Duration), optionalText("reason", &q.Reason)); err != nil {
		return Done{}, err
	}
	t, err := parseTarget(q.Target)
	if err != nil {
		return Done{}, err
	}
	var d time.Duration
	if q.Duration != "" {
		if d, err = time.ParseDuration(q.Duration); err != nil || d < time.Second {
			return Done{}, &MemberError{"duration", `must be a second or more, like 90m or 720h, or "" for ever`}
		}
	}
	if err := server.CheckBanReason(q.Reason); err != nil {
		return Done{}, err
	}
	b, err := s.src.Ban(t, d, q.Reason)
	s.did("ban", err, logrus.Fields{"target": targetKind(t), "duration": d.String()})
	if b.ID == "" && err != nil {
		return Done{}, err
	}
	shown := shownBan(b)
	return Done{Ban: &shown, Warning: warning(err)}, nil
}

func (s *Server) unban(body []byte) (Done, error) {
	var q UnbanRequest
	if err := readMembers(body, text("id", &q.ID)); err != nil {
		return Done{}, err
	}
	if q.ID == "" || len(q.ID) > 64 || strings.Trim(q.ID, "0123456789abcdef") != "" {
		return Done{}, &MemberError{"id", "must be that of a ban, as /bans shows it"}
	}
	err := s.src.Unban(q.ID)
	s.did("unban", err, nil)
	if errors.Is(err, server.ErrNoSuchBan) {
		return Done{}, err
	}
	return Done{Warning: warning(err)}, nil
}

func (s *Server) drain(body []byte) (Done, error) {
	var q DrainRequest
	if err := readMembers(body, flag("on", &q.On)); err != nil {
		return Done{}, err
	}
	s.src.SetDraining(q.On)
	s.did("drain", nil, logrus.Fields{"on": q.On})
	return Done{}, nil
}

func (s *Server) motd(body []byte) (Done, error) {
	var q MOTDRequest
	if err := readMembers(body, text("text", &q.Text)); err != nil {
		return Done{}, err
	}
	if err := wire.CheckMOTD(q.Text); err != nil {
		return Done{}, &MemberError{"text", "is no greeting: " + err.Error()}
	}
	err := s.src.SetMOTD(q.Text)
	s.did("motd", err, nil)
	return Done{}, err
}

func (s *Server) logLevel(body []byte) (Done, error) {
	var q LogLevelRequest
	if err := readMembers(body, text("level", &q.Level)); err != nil {
		return Done{}, err
	}
	if !slices.Contains(LogLevels, q.Level) {
		return Done{}, &MemberError{"level", "must be one of " + strings.Join(LogLevels, ", ")}
	}
	s.did("log-level", nil, logrus.Fields{"log_level": q.Level}) // before, because afterwards info may be silent
	return Done{}, s.src.SetLogLevel(q.Level)
}

// did logs an action of the operator. The fields name nobody.
func (s *Server) did(action string, err error, fields logrus.Fields) {
	entry := s.log.WithFields(fields).WithField("action", action)
	if err != nil {
		entry = entry.WithError(err)
	}
	entry.Info("the operator acts")
}

// warning is what an error says of an action that was done all the same.
func warning(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func parseTarget(text string) (server.Target, error) {
	t, err := server.ParseTarget(text)
	if err != nil {
		return t, &MemberError{"target", err.Error()}
	}
	return t, nil
}

// targetKind says of what kind a target is, and not which.
func targetKind(t server.Target) string {
	switch {
	case t.Conn != 0:
		return "conn"
	case t.Circuit != 0:
		return "circuit"
	default:
		return "nick"
	}
}
