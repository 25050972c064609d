package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve serves src on an address until the test ends, and returns the listener's address.
func serve(t *testing.T, src Source, address string) net.Addr {
	t.Helper()
	l, err := Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- newServer(src).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// exchange sends a request as it stands and returns the answer's status and body.
func exchange(t *testing.T, a net.Addr, request string) (int, string) {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // what was too much is not read
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestWebSitesCannotUseTheOperatorsBrowser(t *testing.T) {
	const post = "POST /actions/drain HTTP/1.1\r\nContent-Length: 11\r\n%s\r\n{\"on\":true}"
	const json = "Content-Type: application/json\r\n"
	src := &fakeSource{report: healthy()}
	tcp := serve(t, src, "127.0.0.1:0")
	socket := serve(t, src, "unix:"+filepath.Join(t.TempDir(), "s"))
	host := "Host: " + tcp.String() + "\r\n"
	tests := []struct {
		name    string
		address net.Addr
		request string
		want    int
	}{
		{"by number", tcp, "GET /livez HTTP/1.1\r\n" + host + "\r\n", 200},
		{"by localhost", tcp, "GET /livez HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200},
		{"by the other loopback", tcp, "GET /livez HTTP/1.1\r\nHost: [::1]\r\n\r\n", 200},
		{"name that was rebound", tcp, "GET /livez HTTP/1.1\r\nHost: evil.example:9152\r\n\r\n", 403},
		{"name that was rebound, action", tcp, fmt.Sprintf(post, json+"Host: evil.example\r\nOrigin: http://evil.example\r\n"), 403},
		{"name like a number", tcp, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403},
		{"name like localhost", tcp, "GET /livez HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403},
		{"no name", tcp, "GET /livez HTTP/1.0\r\n\r\n", 403},
		{"another number", tcp, "GET /livez HTTP/1.1\r\nHost: 192.0.2.1:9152\r\n\r\n", 403},
		{"a plain name on a unix socket", socket, "GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n", 200},
		{"no name on a unix socket", socket, "GET /livez HTTP/1.0\r\n\r\n", 200},
		{"port forwarded to a unix socket", socket, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:9152\r\n\r\n", 200},
		{"name that was rebound, forwarded to a unix socket", socket, "GET /livez HTTP/1.1\r\nHost: evil.example:9152\r\n\r\n", 403},
		{"action", tcp, fmt.Sprintf(post, host+json), 200},
		{"action with a charset", tcp, fmt.Sprintf(post, host+"Content-Type: application/json; charset=utf-8\r\n"), 200},
		{"action of our own page", tcp, fmt.Sprintf(post, host+json+"Origin: http://"+tcp.String()+"\r\nSec-Fetch-Site: same-origin\r\n"), 200},
		{"action of another site", tcp, fmt.Sprintf(post, host+json+"Origin: http://evil.example\r\n"), 403},
		{"action of another port", tcp, fmt.Sprintf(post, host+json+"Sec-Fetch-Site: same-site\r\n"), 403},
		{"action of another site, without Origin", tcp, fmt.Sprintf(post, host+json+"Sec-Fetch-Site: cross-site\r\n"), 403},
		{"action of a sandboxed page", tcp, fmt.Sprintf(post, host+json+"Origin: null\r\n"), 403},
		{"action of another site on a unix socket", socket, fmt.Sprintf(post, "Host: admin\r\n"+json+"Origin: http://evil.example\r\n"), 403},
		{"form of another site", tcp, fmt.Sprintf(post, host+"Content-Type: text/plain\r\n"), 415},
		{"form", tcp, fmt.Sprintf(post, host+"Content-Type: application/x-www-form-urlencoded\r\n"), 415},
		{"no kind of content", socket, fmt.Sprintf(post, "Host: admin\r\n"), 415},
		{"question of a browser before it sends", tcp, "OPTIONS /actions/drain HTTP/1.1\r\n" + host + "Origin: http://evil.example\r\n\r\n", 405},
	}
	for _, tt := range tests {
		src.taken()
		if got, body := exchange(t, tt.address, tt.request); got != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, got, body, tt.want)
		}
		if calls := src.taken(); tt.want != 200 && calls != nil {
			t.Errorf("%s: reached the source", tt.name)
		}
	}
}

func TestEveryPathHasItsMethods(t *testing.T) {
	s := New(&fakeSource{report: healthy()}, Options{Page: http.NotFoundHandler()}, quietLogger())
	reads := []string{"/livez", "/readyz", "/health", "/status", "/history", "/metrics", "/bans", "/store", "/", "/page/x"}
	for _, path := range reads {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			w := ask(t, s, method, path, "{}")
			var e Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || err != nil || e.Error == "" {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		if w := ask(t, s, "HEAD", path, ""); w.Code == 405 {
			t.Errorf("HEAD %s is refused", path)
		}
	}
	for name := range s.actions() {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			if w := ask(t, s, method, "/actions/"+name, ""); w.Code != 405 || w.Header().Get("Allow") != "POST" {
				t.Errorf("%s %s: %d", method, name, w.Code)
			}
		}
	}
	for _, path := range []string{"/nothing", "/actions/", "/actions/stop", "/status/x", "/page"} {
		w := ask(t, newServer(&fakeSource{}), "GET", path, "")
		var e Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); w.Code != 404 || err != nil || e.Error == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestStoreIsForTheSocketOnly guards the secret in it, and that half a copy is not taken for a whole one.
func TestStoreIsForTheSocketOnly(t *testing.T) {
	ask := func(a net.Addr) (int, string, error) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(a.Network(), a.String())
		}}}
		resp, err := client.Get("http://localhost/store")
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	whole := &fakeSource{copies: []string{"one", "two"}}
	if code, text, err := ask(serve(t, whole, "127.0.0.1:0")); code != http.StatusForbidden || !strings.Contains(text, "unix socket only") {
		t.Errorf("on TCP: %d %q, %v", code, text, err)
	}
	socket := func(name string) string { return "unix:" + filepath.Join(t.TempDir(), name) }
	if code, text, err := ask(serve(t, whole, socket("whole"))); code != http.StatusOK || text != "onetwo" || err != nil {
		t.Errorf("%d %q, %v", code, text, err)
	}
	half := &fakeSource{copies: []string{"one"}, err: errors.New("the disk failed")}
	if code, text, err := ask(serve(t, half, socket("half"))); err == nil {
		t.Errorf("half a copy: %d %q", code, text)
	}
	none := &fakeSource{err: errors.New("no store")}
	if code, text, err := ask(serve(t, none, socket("none"))); code != http.StatusServiceUnavailable || text != "{\"error\":\"no store\"}\n" {
		t.Errorf("without a store: %d %q, %v", code, text, err)
	}
}

func TestThePageIsServedWhereItIsGiven(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page of "+r.URL.Path) })
	s := New(&fakeSource{}, Options{Page: page}, quietLogger())
	for _, path := range []string{"/", "/page/style.css"} {
		if w := ask(t, s, "GET", path, ""); w.Body.String() != "page of "+path {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := ask(t, newServer(&fakeSource{}), "GET", "/", ""); w.Code != 404 {
		t.Errorf("without a page: %d", w.Code)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	a := serve(t, &fakeSource{}, "unix:"+filepath.Join(t.TempDir(), "s"))
	head := "POST /actions/motd HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\n"
	body := `{"text":"` + strings.Repeat("x", maxBody) + `"}`
	if code, text := exchange(t, a, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)); code != 413 {
		t.Errorf("a large body: %d %s", code, text)
	}
	if code, _ := exchange(t, a, "GET /livez HTTP/1.1\r\nHost: admin\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n"); code != 431 {
		t.Errorf("large headers: %d", code)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, &fakeSource{}, "unix:"+path)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	answered := func(c net.Conn) error {
		if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n"); err != nil {
			return err
		}
		_, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err
	}
	for range maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if err := answered(c); err != nil {
			t.Fatal(err)
		}
	}
	late, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	result := make(chan error, 1)
	go func() { result <- answered(late) }()
	select {
	case err := <-result:
		t.Fatalf("one connection too many is served: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	conns[0].Close()
	if err := <-result; err != nil {
		t.Errorf("after another has gone: %v", err)
	}
}

func TestServeEndsWithItsContextThoughARequestHangs(t *testing.T) {
	l, err := Listen(t.Context(), "unix:"+filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(&fakeSource{}, Options{Page: page}, quietLogger()).Serve(ctx, l) }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: admin\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(release)
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Log(err) // reset or end, both are good
	}
}

func TestServeSaysWhyItCannotGoOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := newServer(&fakeSource{}).Serve(context.Background(), l); err == nil {
		t.Error("serving a closed listener succeeds")
	}
}

func TestHealth(t *testing.T) {
	stuck := errors.New("registry does not answer")
	tests := []struct {
		name                 string
		alive                error
		ready                []string
		livez, readyz, whole int
		problems             []string
		status               string
	}{
		{"well", nil, nil, 200, 200, 200, []string{}, StatusRunning},
		{"not reachable", nil, []string{"Tor starts", "no self-check yet"}, 200, 503, 503, []string{"Tor starts", "no self-check yet"}, StatusRunning},
		{"stuck", stuck, nil, 503, 200, 503, []string{"the directory does not move: registry does not answer"}, ""},
	}
	for _, tt := range tests {
		src := &fakeSource{report: healthy(), alive: tt.alive, ready: tt.ready}
		src.report.Advice = []string{"raise the file limit"}
		s := newServer(src)
		if w := ask(t, s, "GET", "/livez", ""); w.Code != tt.livez {
			t.Errorf("%s: livez %d %s", tt.name, w.Code, w.Body)
		}
		w := ask(t, s, "GET", "/readyz", "")
		if want := strings.Join(tt.ready, "\n") + "\n"; w.Code != tt.readyz || tt.ready != nil && w.Body.String() != want {
			t.Errorf("%s: readyz %d %s", tt.name, w.Code, w.Body)
		}
		w = ask(t, s, "GET", "/health", "")
		var h Health
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
			t.Fatal(err)
		}
		want := Health{Live: tt.livez == 200, Ready: tt.readyz == 200, Problems: tt.problems, Advice: []string{}, ServerStatus: tt.status}
		if want.Live {
			want.Advice, want.UptimeSeconds = src.report.Advice, src.report.UptimeSeconds
		}
		if diff := cmp.Diff(want, h); diff != "" || w.Code != tt.whole {
			t.Errorf("%s: health %d\n%s", tt.name, w.Code, diff)
		}
	}
}

// TestADirectoryThatHangsIsNotAskedForNumbers guards that monitors do not use up the connections while it does.
func TestADirectoryThatHangsIsNotAskedForNumbers(t *testing.T) {
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the page is asked") })
	s := New(hanging{&fakeSource{alive: errors.New("flusher 1 of 2 does not answer")}, t}, Options{Page: page}, quietLogger())
	for _, path := range []string{"/status", "/metrics", "/health", "/"} {
		if w := ask(t, s, "GET", path, ""); w.Code != 503 || !strings.Contains(w.Body.String(), "flusher 1 of 2") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

type hanging struct {
	*fakeSource
	t *testing.T
}

func (h hanging) Report() Report {
	h.t.Error("the report is asked for")
	return Report{}
}

func TestStatusIsTheReport(t *testing.T) {
	want := healthy()
	w := ask(t, newServer(&fakeSource{report: want}), "GET", "/status", "")
	var got Report
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want.Advice = []string{}
	if diff := cmp.Diff(want, got); diff != "" || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v\n%s", w.Code, w.Header(), diff)
	}
}
