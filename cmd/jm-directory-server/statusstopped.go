package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"jm-directory-server/store"
)

// A lastKnown is what the store tells of a server that does not run. It never names a peer.
type lastKnown struct {
	ServerStatus string    `json:"server_status"` // "stopped"
	LastUp       time.Time `json:"last_up"`       // the minute; zero: never
	LastDay      pastDay   `json:"last_day"`
	Bans         int       `json:"bans"` // in force
}

// A pastDay is what the 24 hours before were like.
type pastDay struct {
	UpShare    float64 `json:"up_share"`    // of the day, 0 to 1
	ReadyShare float64 `json:"ready_share"` // of the day: reachable for clients
	Peers      float64 `json:"peers"`       // mean while it was up
	PeersMax   int     `json:"peers_max"`   // largest seen
}

// readLastKnown opens the store in a state directory for reading only. Errors are those of store.OpenReadOnly.
func readLastKnown(stateDir string, now time.Time) (*lastKnown, error) {
	s, err := store.OpenReadOnly(filepath.Join(stateDir, store.FileName))
	if err != nil {
		return nil, err
	}
	defer s.Close() // it was only read
	bans, err := s.Bans()
	if err != nil {
		return nil, err
	}
	minutes, err := s.History(store.Minute, time.Unix(0, 0), now) // the last ones stay until others follow
	if err != nil {
		return nil, err
	}
	k := &lastKnown{ServerStatus: statusStopped, LastDay: sumDay(minutes, now), Bans: len(bans)}
	if n := len(minutes); n > 0 {
		k.LastUp = minutes[n-1].Start
	}
	return k, nil
}

// sumDay adds up the minutes of the last 24 hours.
func sumDay(minutes []store.Sample, now time.Time) (d pastDay) {
	const day = 24 * time.Hour
	var up, ready time.Duration
	for _, m := range minutes {
		if now.Sub(m.Start) > day {
			continue
		}
		up += m.Up
		ready += m.Ready
		d.Peers += m.Peers * m.Up.Seconds()
		d.PeersMax = max(d.PeersMax, m.PeersMax)
	}
	if up > 0 {
		d.Peers /= up.Seconds()
	}
	d.UpShare, d.ReadyShare = min(up.Seconds()/day.Seconds(), 1), min(ready.Seconds()/day.Seconds(), 1)
	return d
}

// statusStopped is the state of a server that does not run, beside those of admin.Report.
const statusStopped = "stopped"

// rows returns the screen.
func (k *lastKnown) rows(now time.Time) []row {
	state := row{rank: rankState, cells: []cell{{"jm-directory-server", strong}, {statusStopped, bad}}}
	if k.LastUp.IsZero() {
		state.cells = append(state.cells, cell{"the store knows of no run", plain})
	} else {
		state.cells = append(state.cells, cell{"last up " + k.LastUp.Local().Format("2006-01-02 15:04") + ", " + ago(now, k.LastUp), plain})
	}
	day := row{label: "Last day", rank: rankMain, cells: []cell{{"not up", plain}}}
	if d := k.LastDay; d.UpShare > 0 {
		day.cells = []cell{{"up " + percent(d.UpShare), strong}, {"reachable " + percent(d.ReadyShare), plain},
			{fmt.Sprintf("peers %.0f on average, %d at most", d.Peers, d.PeersMax), plain}}
	}
	bans := row{label: "Store", rank: rankMain, cells: []cell{{"bans in force " + shortCount(k.Bans), plain}}}
	return []row{state, {rank: rankBlank}, day, bans}
}

// percent writes a share of 0 to 1. Only all of it is 100 %.
func percent(share float64) string {
	switch p := 100 * share; {
	case p >= 100:
		return "100 %"
	case p > 0 && p < 0.1:
		return "below 0.1 %"
	case p < 9.95:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", min(p, 99))
	}
}

// tellLastKnown prints what is known of the server that does not answer.
func (f *adminFlags) tellLastKnown(l layout, asJSON bool) error {
	now := time.Now()
	k, err := f.lastKnown(now)
	switch {
	case err != nil || k == nil:
		return err
	case asJSON:
		return json.NewEncoder(f.cmd.OutOrStdout()).Encode(k)
	default:
		return printLines(f.cmd.OutOrStdout(), l.lines(k.rows(now)))
	}
}

// lastKnown returns what is known of the server when nobody answers, nil when there is nothing to tell: --admin names another
// server than the configuration does, and one that has never run has no store.
func (f *adminFlags) lastKnown(now time.Time) (*lastKnown, error) {
	if f.cmd.Flags().Changed("admin") {
		return nil, nil
	}
	e, err := f.load()
	if err != nil {
		return nil, err
	}
	k, err := readLastKnown(e.StateDir, now)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, store.ErrInUse):
		return nil, fmt.Errorf("%w: a server runs there, and answers elsewhere", err)
	}
	return k, err
}
