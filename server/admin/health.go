package admin

import (
	"context"
	"fmt"
	"net/http"
)

// Health says whether the directory does what it is there for.
type Health struct {
	Live     bool     `json:"live"`     // registry and outboxes move
	Ready    bool     `json:"ready"`    // clients can reach the directory through its onion
	Problems []string `json:"problems"` // why it is not live or not ready, in sentences; never null
	Advice   []string `json:"advice"`   // Report.Advice; never null, and empty if it is not live

	ServerStatus  string  `json:"server_status"`  // as in Report; "" if it is not live
	UptimeSeconds float64 `json:"uptime_seconds"` // as in Report; 0 if it is not live
}

// alive returns what keeps the directory from moving, or nil.
func (s *Server) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	if err := s.src.Alive(ctx); err != nil {
		return fmt.Errorf("the directory does not move: %w", err)
	}
	return nil
}

// moving lets requests through to next, which takes locks of the directory, only while those are taken by nobody for long:
// requests that hang would use up the connections, and the operator could not ask why any more.
func (s *Server) moving(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.alive(r.Context()); err != nil {
			answerError(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		next(w, r)
	}
}

func (s *Server) livez(w http.ResponseWriter, r *http.Request) {
	if err := s.alive(r.Context()); err != nil {
		answerText(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answerText(w, http.StatusOK, "ok")
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if reasons := s.src.Ready(); len(reasons) > 0 {
		answerText(w, http.StatusServiceUnavailable, reasons...)
		return
	}
	answerText(w, http.StatusOK, "ok")
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	h := Health{Problems: []string{}, Advice: []string{}}
	err := s.alive(r.Context())
	h.Live = err == nil
	if h.Live {
		report := s.src.Report()
		h.Advice = append(h.Advice, report.Advice...)
		h.ServerStatus, h.UptimeSeconds = report.ServerStatus, report.UptimeSeconds
	} else {
		h.Problems = append(h.Problems, err.Error())
	}
	reasons := s.src.Ready()
	h.Ready = len(reasons) == 0
	h.Problems = append(h.Problems, reasons...)
	code := http.StatusOK
	if !h.Live || !h.Ready {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, h)
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	report := s.src.Report()
	if report.Advice == nil {
		report.Advice = []string{}
	}
	answer(w, http.StatusOK, report)
}
