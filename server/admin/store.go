package admin

import (
	"net"
	"net/http"
)

// store hands out a copy of the store, for backups. With the secret in it one can try nicks against the bans, so it is for the
// socket only, which is the owner's alone; a loopback port is for everybody on the host.
func (s *Server) store(w http.ResponseWriter, r *http.Request) {
	if _, socket := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !socket {
		answerError(w, http.StatusForbidden, "the store is handed out on a unix socket only")
		return
	}
	begun := false
	err := s.src.CopyStore(r.Context(), writerFunc(func(b []byte) (int, error) {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		return w.Write(b)
	}))
	switch {
	case err == nil:
	case begun: // so that half a copy cannot be taken for one
		panic(http.ErrAbortHandler)
	default:
		answerError(w, http.StatusServiceUnavailable, err.Error())
	}
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
