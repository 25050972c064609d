package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"

	"jm-directory-server/server/admin"
)

// A Source is what the page shows: the part of admin.Source that looks and does not act. Its methods may be called
// from many goroutines at once.
type Source interface {
	Report() admin.Report
	Ready() []string
	History(span time.Duration, from, to time.Time) ([]admin.Sample, error)
}

// policy allows what comes from here as a file of its own, and nothing else: no inline script or style, no form, no
// frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html page.css page.js icon.svg
var files embed.FS

// assets are the files that the page refers to, and their types.
var assets = map[string]string{
	"page.css": "text/css; charset=utf-8",
	"page.js":  "text/javascript; charset=utf-8",
	"icon.svg": "image/svg+xml",
}

// revision changes whenever an asset does. It is part of their addresses, so that a browser may keep them.
var revision = func() string {
	h := sha256.New()
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		h.Write(content(name))
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

// content returns an embedded file.
func content(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // not embedded: no test would pass
	}
	return b
}

var templates = template.Must(template.ParseFS(files, "page.html"))

// Handler returns the page of src. It answers GET and HEAD at / and below /page/, and 404 to everything else; who may
// ask, and under which host, is for whoever mounts it to decide.
func Handler(src Source) http.Handler { return handler(src, time.Now) }

// handler is Handler at the time that clock says.
func handler(src Source, clock func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p := periodOf(r)
		render(w, "page", whole{Revision: revision, Now: present(src), Past: past(src, p, clock())})
	})
	mux.HandleFunc("GET /page/now", func(w http.ResponseWriter, _ *http.Request) {
		render(w, "now", present(src))
	})
	mux.HandleFunc("GET /page/past", func(w http.ResponseWriter, r *http.Request) {
		render(w, "past", past(src, periodOf(r), clock()))
	})
	for name, mime := range assets {
		body := content(name)
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mime)
			w.Header().Set("Cache-Control", "max-age=31536000, immutable")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// whole is what the template "page" shows.
type whole struct {
	Revision string
	Now      now
	Past     history
}

// render writes one template, or nothing of it.
func render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}
