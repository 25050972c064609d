package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"jm-directory-server/onion"
	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

// An adminSource is what the admin listener shows and acts on: it joins the directory, its Tor, the self-check and the
// store, which do not know each other.
type adminSource struct {
	*server.Server
	d     *daemon
	rates func() admin.Rates
	kept  *archive

	tor      atomic.Pointer[onionService] // nil before Tor runs, and without one
	check    atomic.Pointer[selfCheck]    // nil before the descriptor is up, and without a Tor
	up       atomic.Bool                  // clients can find the directory
	stopping atomic.Bool
}

// onionState returns the state of the onion service; false before Tor runs, and without one.
func (a *adminSource) onionState() (onion.State, bool) {
	tor := a.tor.Load()
	if tor == nil {
		return onion.State{}, false
	}
	return (*tor).State(), true
}

// Report implements admin.Source.
func (a *adminSource) Report() admin.Report {
	st := a.Status()
	r := admin.Report{
		Network: st.Network, UptimeSeconds: st.Uptime.Seconds(), MaxPeers: st.MaxPeers,
		ServerStatus: a.word(st),
		Stats: admin.Stats{
			Accepted: st.Accepted, Handshakes: st.Handshakes, Public: st.Public, Private: st.Private, Peerlists: st.Peerlists,
			LinesIn: st.LinesIn, BytesIn: st.BytesIn, Deliveries: st.Deliveries, BytesOut: st.BytesOut, Bans: len(a.Bans()),
			Held: st.Held, CircuitsClosed: st.CircuitsClosed,
		},
		ConnectedPeers:    admin.Total{Total: st.Peers},
		PassivePeers:      admin.Total{Total: st.Peers - st.Makers},
		ActivePeers:       admin.Total{Total: st.Makers},
		VerifiedPeers:     admin.Total{Total: st.Verified},
		ActiveConnections: st.Peers + st.Handshaking,

		Version: version, Time: time.Now().UTC(),
		Rates:   a.rates(),
		Reasons: make(map[string]map[string]uint64),
		Store:   a.kept.health(),
		Process: ownProcess(),

		Isolation: a.d.isolationInForce(),
	}
	r.Offers = admin.Offers{Total: st.AllOffers(), ByType: make(map[string]int, len(st.Offers))}
	for kind, n := range st.Offers {
		r.Offers.ByType[kind.String()] = n
	}
	r.Located = admin.Located{
		Enabled:   a.d.inForce().LocationCheck.Enabled,
		Reachable: st.Reachable, Unreachable: st.Unreachable, Unchecked: st.Unchecked,
	}
	limits := a.d.inForce().Limits
	r.Outbox = admin.Outbox{
		Waiting: st.Waiting,
		Bytes:   st.OutboxBytes, Stalled: st.Stalled, OldestSeconds: st.Oldest.Seconds(),
		LimitPerPeer: limits.OutboxBytes, LimitSeconds: limits.OutboxAge.Seconds(),
		Handshaking: st.Handshaking, MaxHandshakes: limits.MaxHandshakes,
	}
	for _, reason := range server.Reasons() {
		kind := reason.Kind()
		if r.Reasons[kind] == nil {
			r.Reasons[kind] = make(map[string]uint64)
		}
		r.Reasons[kind][reason.String()] = st.Reasons[reason]
	}
	if state, ok := a.onionState(); ok {
		tor := reportTor(state)
		r.Tor = &tor
	}
	if c := a.check.Load(); c != nil {
		check := c.report()
		r.Check = &check
	}
	r.Advice = advice(&r)
	return r
}

// word is one of the values of admin.Report.ServerStatus.
func (a *adminSource) word(st server.Status) string {
	switch {
	case a.stopping.Load():
		return admin.StatusStopping
	case st.Draining:
		return admin.StatusDraining
	case !a.up.Load():
		return admin.StatusStarting
	default:
		return admin.StatusRunning
	}
}

// reportTor translates the state of the onion service.
func reportTor(s onion.State) admin.Tor {
	return admin.Tor{
		Mode: string(s.Mode), Version: s.TorVersion, Bootstrap: s.Percent, Phase: s.Summary, Advice: s.Advice,
		Published: s.Published, FirstUpload: s.FirstUpload, LastUpload: s.LastUpload,
		Uploads: uint64(s.Uploads), UploadsFailed: uint64(s.UploadFailures),
		Circuits: s.Circuits, StateTime: s.CircuitsAt,
		PoW: s.PoW, Effort: s.Effort, QueueRate: s.PoWQueueRate,
		CircuitIDs: s.CircuitIDs, IntroDoS: s.IntroDoS, Missing: s.Missing,
		RSS: uint64(max(s.TorRSS, 0)), CPUSeconds: s.TorCPU.Seconds(), PID: s.TorPID,
	}
}

// Ready implements admin.Source: what keeps clients from reaching the directory.
func (a *adminSource) Ready() []string {
	var problems []string
	switch {
	case a.stopping.Load():
		problems = append(problems, "the server stops")
	case !a.up.Load():
		what := "the descriptor of the onion service is not uploaded yet"
		if state, ok := a.onionState(); ok {
			what += fmt.Sprintf(": Tor is at %d %%", state.Percent)
			if state.Advice != "" {
				what += ": " + state.Advice
			}
		}
		problems = append(problems, what)
	case a.Draining():
		problems = append(problems, admin.ProblemDraining)
	}
	if c := a.check.Load(); c != nil {
		if p := c.problem(time.Now()); p != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

// ready reports whether clients can reach the directory.
func (a *adminSource) ready() bool { return len(a.Ready()) == 0 }

// effort is the suggested proof-of-work effort, -1 while not known.
func (a *adminSource) effort() int {
	if state, ok := a.onionState(); ok {
		return state.Effort
	}
	return -1
}

// lastCheck is how the last self-check went; zero without one.
func (a *adminSource) lastCheck() admin.Check {
	if c := a.check.Load(); c != nil {
		return c.report()
	}
	return admin.Check{}
}

// History implements admin.Source.
func (a *adminSource) History(span time.Duration, from, to time.Time) ([]admin.Sample, error) {
	return a.kept.history(span, from, to)
}

// CopyStore implements admin.Source.
func (a *adminSource) CopyStore(ctx context.Context, w io.Writer) error { return a.kept.copyTo(ctx, w) }

// SetLogLevel implements admin.Source.
func (a *adminSource) SetLogLevel(level string) error {
	l, err := logrus.ParseLevel(level)
	if err != nil {
		return fmt.Errorf("log level: must be one of %v", logLevels)
	}
	a.d.log.SetLevel(l)
	return nil
}

// ownProcess is what this process takes of the machine.
func ownProcess() admin.Process {
	p := admin.Process{PID: os.Getpid(), Goroutines: runtime.NumGoroutine()}
	p.RSS, p.CPUSeconds = processUsage()
	p.FDs, p.MaxFDs = fileUsage()
	return p
}

var _ admin.Source = (*adminSource)(nil)
