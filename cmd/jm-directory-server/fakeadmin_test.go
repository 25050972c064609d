package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"jm-directory-server/server/admin"
)

// A fakeAdmin is the admin socket of a server that is not there: it serves recorded reports and writes down what it is
// asked to do.
type fakeAdmin struct {
	path string
	http *http.Server

	mu      sync.Mutex
	report  []byte // of /status
	health  string // of /health, with its HTTP status in front: "200 {...}"
	refuse  string // an error for every action
	actions []string
}

// startFakeAdmin serves at a unix socket until close.
func startFakeAdmin(path string, report []byte) (*fakeAdmin, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	a := &fakeAdmin{path: path, report: report, health: `200 {"live":true,"ready":true,"problems":[],"advice":[]}`}
	a.http = &http.Server{Handler: a}
	go a.http.Serve(l)
	return a, nil
}

func (a *fakeAdmin) close() { a.http.Close() }

// set changes what is answered.
func (a *fakeAdmin) set(change func(*fakeAdmin)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// ServeHTTP answers as package admin does.
func (a *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch path := r.URL.Path; {
	case path == "/status":
		w.Write(a.report)
	case path == "/health":
		var code int
		fmt.Sscan(a.health, &code)
		w.WriteHeader(code)
		io.WriteString(w, a.health[4:])
	case path == "/history":
		var report admin.Report
		json.Unmarshal(a.report, &report)
		start := report.Time.Add(-5 * time.Minute).Format(time.RFC3339)
		fmt.Fprintf(w, `{"samples":[{"start":%q,"up_seconds":60,"peers":900,"deliveries":300000}]}`, start)
	case path == "/bans":
		io.WriteString(w, `{"bans":[{"id":"5f0c21d7","kind":"key","reason":"floods","created":"2026-03-01T10:00:00Z","expires":"2026-03-02T10:00:00Z"},`+
			`{"id":"a1b2c3d4","kind":"circuit","reason":"","created":"2026-03-01T11:00:00Z"}]}`)
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"there is no such page"}`)
	case a.refuse != "":
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": a.refuse})
	default:
		body, _ := io.ReadAll(r.Body)
		a.actions = append(a.actions, path+" "+string(body)+"\n")
		switch path {
		case "/actions/kick":
			io.WriteString(w, `{"connections":2}`)
		case "/actions/ban":
			io.WriteString(w, `{"ban":{"id":"5f0c21d7","kind":"nick","reason":"","created":"2026-03-01T10:00:00Z","expires":"2026-03-02T10:00:00Z"},"warning":"the ban is not kept over a restart"}`)
		default:
			io.WriteString(w, `{}`)
		}
	}
}

// recorded returns a report of testdata/status, without its .json.
func recorded(t testing.TB, name string) (*admin.Report, []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/status", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(admin.Report)
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r, text
}

// fakeServer starts a fakeAdmin that serves a recorded report, and a client of it.
func fakeServer(t *testing.T, name string) (*fakeAdmin, *adminClient) {
	t.Helper()
	_, text := recorded(t, name)
	a, err := startFakeAdmin(filepath.Join(t.TempDir(), "s"), text)
	if err != nil {
		t.Fatal(err)
	}
	client := newAdminClient(address{path: a.path})
	t.Cleanup(func() { client.close(); a.close() })
	return a, client
}
