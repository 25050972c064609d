package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"jm-directory-server/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A call is what reached a fakeSource.
type call struct {
	action   string
	target   server.Target
	duration time.Duration
	text     string // reason, id, greeting or level
	on       bool
}

// A fakeSource shows what it is given and remembers what it is asked to do.
type fakeSource struct {
	report  Report
	ready   []string
	alive   error
	samples []Sample
	err     error      // of every action and of History
	ban     server.Ban // answer of Ban
	banned  []server.Ban
	copies  []string // what CopyStore writes, piece by piece, before err

	mu    sync.Mutex
	calls []call
	span  time.Duration
	from  time.Time
	to    time.Time
}

func (f *fakeSource) called(c call) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	return f.err
}

// taken returns what was called and forgets it.
func (f *fakeSource) taken() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *fakeSource) Report() Report              { return f.report }
func (f *fakeSource) Alive(context.Context) error { return f.alive }
func (f *fakeSource) Ready() []string             { return f.ready }
func (f *fakeSource) Bans() []server.Ban          { return f.banned }
func (f *fakeSource) SetDraining(on bool)         { f.called(call{action: "drain", on: on}) }
func (f *fakeSource) Unban(id string) error       { return f.called(call{action: "unban", text: id}) }
func (f *fakeSource) SetMOTD(text string) error   { return f.called(call{action: "motd", text: text}) }
func (f *fakeSource) SetLogLevel(level string) error {
	return f.called(call{action: "log-level", text: level})
}
func (f *fakeSource) Kick(t server.Target) (int, error) {
	return 2, f.called(call{action: "kick", target: t})
}
func (f *fakeSource) Ban(t server.Target, d time.Duration, reason string) (server.Ban, error) {
	return f.ban, f.called(call{action: "ban", target: t, duration: d, text: reason})
}
func (f *fakeSource) History(span time.Duration, from, to time.Time) ([]Sample, error) {
	f.span, f.from, f.to = span, from, to
	return f.samples, f.err
}

func (f *fakeSource) CopyStore(_ context.Context, w io.Writer) error {
	for _, piece := range f.copies {
		if _, err := io.WriteString(w, piece); err != nil {
			return err
		}
	}
	return f.err
}

// healthy is a directory that runs well, with a number in every member.
func healthy() Report {
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	reasons := map[string]map[string]uint64{}
	for i, r := range server.Reasons() {
		if reasons[r.Kind()] == nil {
			reasons[r.Kind()] = map[string]uint64{}
		}
		reasons[r.Kind()][r.String()] = uint64(i)
	}
	return Report{
		Network: "signet", UptimeSeconds: 3600, ServerStatus: StatusRunning, MaxPeers: 500, Version: "1.2.3", Time: now,
		Stats: Stats{Accepted: 1000, Handshakes: 900, Public: 800, Private: 700, Peerlists: 600, Held: 61, CircuitsClosed: 62, LinesIn: 500,
			BytesIn: 400, Deliveries: 300, BytesOut: 200, Bans: 3},
		ConnectedPeers: Total{70}, PassivePeers: Total{30}, ActivePeers: Total{40}, VerifiedPeers: Total{20}, ActiveConnections: 75,
		Offers:  Offers{Total: 96, ByType: map[string]int{"sw0reloffer": 64, "sw0absoffer": 24, "other": 8}},
		Located: Located{Enabled: true, Reachable: 65, Unreachable: 66, Unchecked: 67},
		Outbox: Outbox{Waiting: 63, Bytes: 12345, Stalled: 2, OldestSeconds: 1.5, LimitPerPeer: 4 << 20, LimitSeconds: 120,
			Handshaking: 5, MaxHandshakes: 1000},
		Reasons: reasons,
		Tor: &Tor{Mode: "embedded", Version: "0.4.9.11", Bootstrap: 50, Phase: "Loading", Published: true, LastUpload: now,
			Uploads: 8, UploadsFailed: 1, Circuits: 60, PoW: true, Effort: 7, QueueRate: 250, CircuitIDs: true,
			RSS: 50 << 20, CPUSeconds: 12.5, PID: 4711, StateTime: now, FirstUpload: now},
		Check: &Check{Enabled: true, At: now, OK: true, Latency: 1500 * time.Millisecond, Dial: 2 * time.Second, LastOK: now,
			Passed: 11, Failed: 1, Interval: 5 * time.Minute},
		Store:   Store{OK: true, Bytes: 65536},
		Process: Process{PID: 1, RSS: 30 << 20, CPUSeconds: 5, Goroutines: 90, FDs: 80, MaxFDs: 20000},
	}
}

// quietLogger logs to nowhere, or with -v to standard error.
func quietLogger() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	if testing.Verbose() {
		log.SetOutput(os.Stderr)
	}
	return log
}

func newServer(src Source) *Server { return New(src, Options{}, quietLogger()) }

// ask answers one request without a network.
func ask(t testing.TB, s *Server, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}
