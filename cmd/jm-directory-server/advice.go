package main

import (
	"fmt"
	"path/filepath"
	"time"

	"jm-directory-server/server/admin"
)

// Shares of a bound above which the operator is told.
const (
	nearlyFull  = 0.9
	manyFiles   = 0.85
	slowCheck   = 30 * time.Second
	highEffort  = 100 // about a second of work for a client with one core
	longStarved = 0.5
)

// advice is what the operator should do, one sentence for each thing, the worst first. What is well is not mentioned.
func advice(r *admin.Report) []string {
	all := []string{}
	say := func(when bool, format string, args ...any) {
		if when {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	if t := r.Tor; t != nil {
		say(t.Advice != "", "%s", t.Advice)
		say(t.Published && !t.LastUpload.IsZero() && r.Time.Sub(t.LastUpload) > admin.DescriptorLife,
			"The descriptor was uploaded last %s ago: look at the warnings of Tor in the log, and restart if it does not come back.", r.Time.Sub(t.LastUpload).Round(time.Minute))
		say(t.Effort >= highEffort, "Clients are asked for a proof of work of effort %d: the onion service is being flooded; nothing is to be done while the self-check passes.", t.Effort)
	}
	if c := r.Check; c != nil && c.Enabled && !c.At.IsZero() {
		say(!c.OK, "The last self-check failed (%s): if it does not pass within minutes, look at the log, and run \"jm-directory-server doctor\".", c.Reason)
		say(c.OK && c.Dial+c.Latency > slowCheck, "The self-check takes %s: the machine or Tor is overloaded.", (c.Dial + c.Latency).Round(time.Second))
	}
	say(!r.Store.OK, "The store does not work (%s): the directory goes on, but bans and history are not kept.", r.Store.Problem)
	say(r.Store.Damage != "", "%s", damageAdvice(r.Store))
	peers := float64(r.ConnectedPeers.Total) / float64(max(r.MaxPeers, 1))
	say(peers >= nearlyFull, "%d of at most %d peers are connected: raise limits.max_peers, and the limit of open files with it.", r.ConnectedPeers.Total, r.MaxPeers)
	if p := r.Process; p.MaxFDs > 0 {
		say(float64(p.FDs)/float64(p.MaxFDs) >= manyFiles, "%d of at most %d files are open: raise LimitNOFILE= (ulimit -n).", p.FDs, p.MaxFDs)
	}
	o := r.Outbox
	say(o.MaxHandshakes > 0 && float64(o.Handshaking)/float64(o.MaxHandshakes) >= nearlyFull,
		"%d connections have not finished their handshake, of at most %d: somebody opens connections and says nothing; the oldest are closed for new ones.", o.Handshaking, o.MaxHandshakes)
	say(o.LimitSeconds > 0 && o.OldestSeconds/o.LimitSeconds >= longStarved && o.Stalled > max(3, r.ConnectedPeers.Total/4),
		"%d peers take what waits for them too slowly: if most are affected, the line of this machine or its Tor is too slow.", o.Stalled)
	return all
}

// damageAdvice is for a store that was damaged when the server started.
func damageAdvice(s admin.Store) string {
	text := "Found at this start: " + s.Damage
	if s.MovedTo != "" {
		text += "; what was there is in " + filepath.Base(s.MovedTo)
	}
	return text + ". Look for errors of the disk in the kernel's log."
}
