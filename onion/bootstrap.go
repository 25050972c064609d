package onion

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// stallAfter is how long Tor may stand still before we say so.
	stallAfter = 60 * time.Second
	// publishAfter is how long the descriptor may take after 100 %.
	publishAfter = 120 * time.Second
	// repeatAfter is how long the same kind of advice is not given again.
	repeatAfter = 10 * time.Minute
)

// advice kinds; each is given once per repeatAfter.
const (
	adviseStall     = "stall"
	adviseRoute     = "route"
	adviseClock     = "clock"
	adviseProtocols = "protocols"
	adviseVersion   = "version"
	advisePublish   = "publish"
)

// missingProtocols matches Tor's warning about the consensus (networkstatus.c).
var missingProtocols = regexp.MustCompile(`missing protocols are: ([A-Za-z0-9=,\- ]+)`)

// bootstrap follows Tor from the start to the first published descriptor and
// turns what it hears into progress and advice. It is told the time. emit is
// called under its lock, so that the order is kept.
type bootstrap struct {
	mu        sync.Mutex
	emit      func(Progress)
	at        Progress  // the newest, without advice
	moved     time.Time // when it last moved on
	published bool
	given     map[string]time.Time
	standing  []advice // what still applies, the latest last
}

// advice is what the operator was told, or would have been again.
type advice struct{ kind, text string }

func newBootstrap(now time.Time, emit func(Progress)) *bootstrap {
	return &bootstrap{emit: emit, moved: now, given: make(map[string]time.Time)}
}

// status takes a STATUS_CLIENT or STATUS_GENERAL event.
func (b *bootstrap) status(st status, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch st.action {
	case "BOOTSTRAP":
		b.progress(st, now)
		if st.severity == "WARN" && st.args["RECOMMENDATION"] == "warn" {
			b.problem(st, now)
		}
	case "CLOCK_SKEW":
		b.clock(st, now)
	case "DANGEROUS_VERSION":
		if st.args["REASON"] == "OBSOLETE" {
			b.advise(adviseVersion, now, fmt.Sprintf("Tor %s is obsolete by the word of the directory authorities: use a newer one; known good are %s.", st.args["CURRENT"], st.args["RECOMMENDED"]))
		}
	}
}

// progress notes a new percentage. It can also fall: Tor starts over after a
// long sleep or a new network.
func (b *bootstrap) progress(st status, now time.Time) {
	p := Progress{Percent: min(max(st.number("PROGRESS"), 0), 100), Tag: st.args["TAG"], Summary: st.args["SUMMARY"]}
	if p == b.at {
		return
	}
	b.at, b.moved = p, now
	b.withdraw(adviseStall, adviseRoute)
	delete(b.given, adviseStall)
	delete(b.given, adviseRoute)
	b.emit(p)
}

// problem takes Tor's own report of why a connection failed (control-spec,
// BOOTSTRAP, REASON).
func (b *bootstrap) problem(st status, now time.Time) {
	switch reason := st.args["REASON"]; reason {
	case "NOROUTE":
		b.advise(adviseRoute, now, "There is no route to the Tor network: check this machine's network connection, its default route and its firewall.")
	case "CONNECTREFUSED":
		b.advise(adviseRoute, now, "Connections to the Tor network are refused: check that no firewall keeps this machine from opening outbound TCP connections (ports 443, 9001 and others).")
	case "CLOCK_SKEW":
		// comes as CLOCK_SKEW as well, with the amount
	default:
		b.advise(adviseRoute, now, fmt.Sprintf("Tor cannot connect to its network (%s: %s): check this machine's network connection and that its firewall allows outbound TCP connections (ports 443, 9001 and others).", reason, scrub(st.args["WARNING"])))
	}
}

// clock takes CLOCK_SKEW; a positive SKEW means that our clock is ahead.
func (b *bootstrap) clock(st status, now time.Time) {
	skew := st.number("SKEW")
	if skew == 0 {
		skew = st.number("MIN_SKEW")
	}
	if skew == 0 {
		return
	}
	side := "ahead"
	if skew < 0 {
		side, skew = "behind", -skew
	}
	d := time.Duration(min(skew, 1<<30)) * time.Second
	b.advise(adviseClock, now, fmt.Sprintf("This machine's clock is %s %s: set it (timedatectl set-ntp true); Tor needs the right time.", d, side))
}

// log takes a line of Tor's log, for what comes as no event.
func (b *bootstrap) log(level, msg string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if level != "warn" && level != "err" {
		return
	}
	if m := missingProtocols.FindStringSubmatch(msg); m != nil {
		b.advise(adviseProtocols, now, fmt.Sprintf("This Tor is too old: the network requires the protocol %s, which it lacks. Use the embedded Tor or install a newer one (%s or later).", strings.TrimSpace(m[1]), MinVersion))
	}
}

// version gives the advice of checkVersion.
func (b *bootstrap) version(advice string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if advice != "" {
		b.advise(adviseVersion, now, advice)
	}
}

// uploaded notes that a directory has stored our descriptor, which it does only
// if the network is within reach and the clock is right.
func (b *bootstrap) uploaded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = true
	b.withdraw(adviseStall, adviseRoute, adviseClock, advisePublish)
}

// tick looks for what did not happen.
func (b *bootstrap) tick(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waited := now.Sub(b.moved).Round(time.Second)
	switch {
	case b.published:
	case b.at.Percent < 100 && waited >= stallAfter:
		b.advise(adviseStall, now, fmt.Sprintf("Tor has stood still for %s at %d %%: check this machine's network connection, that its firewall allows outbound TCP connections (ports 443, 9001 and others), and its clock. Tor goes on trying.", waited, b.at.Percent))
	case b.at.Percent == 100 && waited >= publishAfter:
		b.advise(advisePublish, now, fmt.Sprintf("Tor reached its network %s ago but no directory has stored the service's descriptor yet: check this machine's clock and the warnings of Tor. Tor goes on trying.", waited))
	}
}

// withdraw takes back advice that no longer applies.
func (b *bootstrap) withdraw(kinds ...string) {
	b.standing = slices.DeleteFunc(b.standing, func(a advice) bool { return slices.Contains(kinds, a.kind) })
}

// now is the newest progress, with the latest advice that still applies.
func (b *bootstrap) now() Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.at
	if n := len(b.standing); n > 0 {
		p.Advice = b.standing[n-1].text
	}
	return p
}

func (b *bootstrap) advise(kind string, now time.Time, text string) {
	b.withdraw(kind)
	b.standing = append(b.standing, advice{kind, text})
	if last, ok := b.given[kind]; ok && now.Sub(last) < repeatAfter {
		return
	}
	b.given[kind] = now
	p := b.at
	p.Advice = text
	b.emit(p)
}
