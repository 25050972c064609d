package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jm-directory-server/server/admin"
)

// The bounds of a request to the admin socket.
const (
	adminDialTimeout = 2 * time.Second
	adminTimeout     = 10 * time.Second // of the whole
	maxAdminAnswer   = 40 << 20         // bytes; the store has at most 32 MiB
)

// notRunningError says that no server is running where it was looked for.
type notRunningError struct{ looked []string }

// Error names every place.
func (e *notRunningError) Error() string {
	text := "no server is running: " + strings.Join(e.looked, "; ")
	return text + " (--admin says where else to look)"
}

// errNotAdmin says that what answers is not package admin.
var errNotAdmin = errors.New("something else answers there, not a jm-directory-server")

// An adminClient talks to a running server. Its requests are bounded in time and size.
type adminClient struct {
	where address
	http  *http.Client
}

// newAdminClient returns a client of the server at where; close ends it.
func newAdminClient(where address) *adminClient {
	network, to := "tcp", where.tcp.String()
	if where.path != "" {
		network, to = "unix", where.path
	}
	dialer := &net.Dialer{Timeout: adminDialTimeout}
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, network, to) },
		MaxIdleConns:    1,
		IdleConnTimeout: 20 * time.Second, // the server's is longer,
	}
	return &adminClient{where: where, http: &http.Client{
		Transport:     transport,
		Timeout:       adminTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// close gives up idle connections.
func (c *adminClient) close() { c.http.CloseIdleConnections() }

// status reads the report, and returns it also as received.
func (c *adminClient) status(ctx context.Context) (*admin.Report, []byte, error) {
	r := new(admin.Report)
	code, text, err := c.ask(ctx, http.MethodGet, "/status", nil)
	if err == nil {
		err = c.read(code, text, r)
	}
	if err == nil && (r.ServerStatus == "" || r.Network == "") {
		err = c.wrap(errNotAdmin)
	}
	if err != nil {
		return nil, nil, err
	}
	return r, text, nil
}

// minutes reads the minutes of the past that started from from on, oldest first.
func (c *adminClient) minutes(ctx context.Context, from time.Time) ([]admin.HistorySample, error) {
	var past admin.History
	code, text, err := c.ask(ctx, http.MethodGet, "/history?span=minute&from="+strconv.FormatInt(from.Unix(), 10), nil)
	if err != nil {
		return nil, err
	}
	return past.Samples, c.read(code, text, &past)
}

// health asks for it; a server that is not well answers with HTTP status 503.
func (c *adminClient) health(ctx context.Context) (*admin.Health, error) {
	code, text, err := c.ask(ctx, http.MethodGet, "/health", nil)
	if err != nil {
		return nil, err
	}
	if code == http.StatusServiceUnavailable {
		code = http.StatusOK
	}
	h := new(admin.Health)
	if err := c.read(code, text, h); err != nil {
		return nil, err
	}
	if h.Problems == nil { // it is never null
		return nil, c.wrap(errNotAdmin)
	}
	return h, nil
}

// bans reads the bans in force, oldest first.
func (c *adminClient) bans(ctx context.Context) ([]admin.Ban, error) {
	var answer admin.Bans
	code, text, err := c.ask(ctx, http.MethodGet, "/bans", nil)
	if err == nil {
		err = c.read(code, text, &answer)
	}
	if err == nil && answer.Bans == nil { // it is never null
		err = c.wrap(errNotAdmin)
	}
	return answer.Bans, err
}

// store reads a copy of the server's store. It is checked where it is restored.
func (c *adminClient) store(ctx context.Context) ([]byte, error) {
	code, text, err := c.ask(ctx, http.MethodGet, "/store", nil)
	if err == nil {
		err = c.read(code, text, nil)
	}
	return text, err
}

// act posts an action and reads the answer, if answer is not nil. The server's own error comes back as it is.
func (c *adminClient) act(ctx context.Context, action string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("action %s: %w", action, err)
	}
	code, text, err := c.ask(ctx, http.MethodPost, "/actions/"+action, text)
	if err != nil {
		return err
	}
	return c.read(code, text, answer)
}

// ask sends a request and returns the HTTP status and the body of the answer.
func (c *adminClient) ask(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	host := "localhost"
	if c.where.path == "" {
		host = c.where.tcp.String()
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, c.wrap(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.wrap(dialError(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer+1))
	if err == nil && len(text) > maxAdminAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAdminAnswer)
	}
	if err != nil {
		return 0, nil, c.wrap(dialError(err))
	}
	return resp.StatusCode, text, nil
}

// read decodes an answer, or the error in it.
func (c *adminClient) read(code int, text []byte, answer any) error {
	if code/100 == 2 {
		if answer == nil {
			return nil
		}
		if err := json.Unmarshal(text, answer); err != nil {
			return c.wrap(errNotAdmin)
		}
		return nil
	}
	var refusal admin.Error
	if err := json.Unmarshal(text, &refusal); err != nil || refusal.Error == "" {
		return c.wrap(errNotAdmin)
	}
	return errors.New(cleanText(refusal.Error, 4*maxLogText))
}

func (c *adminClient) wrap(err error) error {
	return fmt.Errorf("admin socket %s: %w", oneLine(c.where.String()), err)
}

// dialError leaves out what net/http says of the request, and adds what to do.
func dialError(err error) error {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: use sudo, or be the server's user", fs.ErrPermission)
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %v", adminTimeout)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return errNotAdmin
	}
	return err
}

// absence says in words why nobody answers at a socket, or "" when err has another cause.
func absence(where address, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no " + oneLine(where.String())
	case errors.Is(err, unix.ECONNREFUSED):
		return "nobody answers at " + oneLine(where.String())
	default:
		return ""
	}
}

// findServer returns a client of the first of these places where somebody answers. The error is a *notRunningError when there
// is nobody at any.
func findServer(ctx context.Context, places []address) (*adminClient, error) {
	missing := &notRunningError{}
	for _, where := range places {
		c := newAdminClient(where)
		err := c.probe(ctx)
		if err == nil {
			return c, nil
		}
		why := absence(where, err)
		if why == "" {
			return nil, c.wrap(dialError(err))
		}
		missing.looked = append(missing.looked, why)
	}
	return nil, missing
}

// probe connects and closes.
func (c *adminClient) probe(ctx context.Context) error {
	conn, err := c.http.Transport.(*http.Transport).DialContext(ctx, "", "")
	if err != nil {
		return err
	}
	return conn.Close()
}
