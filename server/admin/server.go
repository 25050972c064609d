package admin

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/netutil"
)

// What a client of the admin socket may take.
const (
	maxConns      = 64       // connections
	maxHeader     = 16 << 10 // bytes of headers, about
	maxBody       = 64 << 10 // bytes of a request
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // header and body
	writeTimeout  = 30 * time.Second // from the end of the header to the end of the answer
	idleTimeout   = 30 * time.Second // between requests
	aliveTimeout  = 2 * time.Second  // for the directory to show that it moves
	stopTimeout   = 2 * time.Second  // for answers in progress when Serve ends
)

// Options is what a Server can be told.
type Options struct {
	Page http.Handler // answers GET / and GET /page/…; nil: there is no page
}

// A Server answers operators about one Source.
type Server struct {
	src     Source
	log     logrus.FieldLogger
	handler http.Handler
}

// New returns a Server that is ready to serve.
func New(src Source, o Options, logger logrus.FieldLogger) *Server {
	s := &Server{src: src, log: logger.WithField("part", "admin")}
	mux := http.NewServeMux()
	mux.Handle("/livez", get(s.livez))
	mux.Handle("/readyz", get(s.readyz))
	mux.Handle("/health", get(s.health))
	mux.Handle("/status", get(s.moving(s.status)))
	mux.Handle("/history", get(s.history))
	mux.Handle("/metrics", get(s.moving(metricsHandler(src, s.log).ServeHTTP)))
	mux.Handle("/bans", get(s.bans))
	mux.Handle("/store", get(s.store))
	for name, do := range s.actions() {
		mux.Handle("/actions/"+name, s.action(do))
	}
	if o.Page != nil {
		page := get(s.moving(o.Page.ServeHTTP))
		mux.Handle("/{$}", page)
		mux.Handle("/page/", page)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusNotFound, "there is no such page; see /status, /health, /history, /metrics, /bans, /store")
	})
	s.handler = guard(mux)
	return s
}

// Handler returns what Serve serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers the connections of l, at most a few at a time, until ctx ends, and closes l. Answers in progress then have two
// seconds. It returns nil at the end of ctx, otherwise why it could not go on.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(debugLog{s.log}, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(netutil.LimitListener(l, maxConns)) }()
	select {
	case err := <-served:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := srv.Shutdown(stop)
	if err != nil { // a request that hangs must not keep the process
		err = srv.Close()
	}
	<-served
	return err
}

// debugLog takes what net/http complains of.
type debugLog struct{ log logrus.FieldLogger }

// Write implements io.Writer.
func (d debugLog) Write(b []byte) (int, error) {
	d.log.Debug(strings.TrimSpace(string(b)))
	return len(b), nil
}
