package onion

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// step is something that happens to a bootstrap, some time after the start.
type step struct {
	after     time.Duration
	status    string // an event
	log       string // a warning of Tor
	published bool
	says      []string // what must be said now: percent changes as "5", advice by a part of it
}

func TestBootstrapAdvice(t *testing.T) {
	cases := map[string][]step{
		"a good start says nothing but progress": {
			{0, `NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay"`, "", false, []string{"5 conn Connecting to a relay"}},
			{time.Second, `NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay"`, "", false, nil},
			{50 * time.Second, `NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"`, "", false, []string{"100 done Done"}},
			{60 * time.Second, "", "", true, nil},
			{time.Hour, "", "", false, nil},
		},
		"no progress for 60 s": {
			{59 * time.Second, "", "", false, nil},
			{60 * time.Second, "", "", false, []string{"stood still for 1m0s at 0 %"}},
			{65 * time.Second, "", "", false, nil},
			{70 * time.Second, `NOTICE BOOTSTRAP PROGRESS=10 TAG=conn_done SUMMARY="Connected"`, "", false, []string{"10 conn_done Connected"}},
			{129 * time.Second, "", "", false, nil},
			{130 * time.Second, "", "", false, []string{"at 10 %"}},
			{130*time.Second + repeatAfter, "", "", false, []string{"at 10 %"}},
		},
		"no route": {
			{0, `WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting" WARNING="No route to host" REASON=NOROUTE COUNT=10 RECOMMENDATION=warn HOSTID="X" HOSTADDR="1.2.3.4:9001"`, "", false, []string{"5 conn Connecting", "no route"}},
			{time.Second, `WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting" WARNING="No route to host" REASON=NOROUTE COUNT=11 RECOMMENDATION=warn`, "", false, nil},
		},
		"refused, but Tor thinks nothing of it": {
			{0, `WARN BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY="Starting" WARNING="Connection refused" REASON=CONNECTREFUSED COUNT=1 RECOMMENDATION=ignore`, "", false, []string{"0 starting Starting"}},
		},
		"refused": {
			{0, `WARN BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY="Starting" WARNING="Connection refused" REASON=CONNECTREFUSED COUNT=10 RECOMMENDATION=warn`, "", false, []string{"0 starting Starting", "firewall"}},
		},
		"another reason is named": {
			{0, `WARN BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY="Starting" WARNING="TLS \"x\" ` + someOnion + `" REASON=TLS_ERROR COUNT=10 RECOMMENDATION=warn`, "", false, []string{"0 starting Starting", `TLS_ERROR: TLS "x" [scrubbed]`}},
		},
		"clock behind": {
			{0, `WARN CLOCK_SKEW SKEW=-5400 SOURCE=OR:1.2.3.4:9001`, "", false, []string{"1h30m0s behind"}},
		},
		"clock ahead": {
			{0, `WARN CLOCK_SKEW MIN_SKEW=120 SOURCE=CONSENSUS`, "", false, []string{"2m0s ahead"}},
			{time.Second, `WARN CLOCK_SKEW SKEW=120 SOURCE=CONSENSUS`, "", false, nil},
		},
		"clock: the way out is named": {
			{0, `WARN CLOCK_SKEW SKEW=-3 SOURCE=x`, "", false, []string{"timedatectl"}},
		},
		"missing protocol": {
			{0, "", "At least one protocol listed as required in the consensus is not supported by this version of Tor. You should upgrade. This version of Tor will not work as a client on the Tor network. The missing protocols are: FlowCtrl=1", false, []string{"requires the protocol FlowCtrl=1"}},
		},
		"obsolete version": {
			{0, `WARN DANGEROUS_VERSION CURRENT=0.4.8.1 REASON=OBSOLETE RECOMMENDED="0.4.8.17,0.4.9.11"`, "", false, []string{"0.4.8.17,0.4.9.11"}},
		},
		"a newer version than recommended is no trouble": {
			{0, `WARN DANGEROUS_VERSION CURRENT=0.4.9.99 REASON=NEW RECOMMENDED="0.4.8.17"`, "", false, nil},
		},
		"descriptor not up 120 s after 100 %": {
			{10 * time.Second, `NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"`, "", false, []string{"100 done Done"}},
			{129 * time.Second, "", "", false, nil},
			{130 * time.Second, "", "", false, []string{"descriptor"}},
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1e9, 0)
			var said []string
			b := newBootstrap(start, func(p Progress) {
				if p.Advice != "" {
					said = append(said, p.Advice)
				} else {
					said = append(said, fmt.Sprintf("%d %s %s", p.Percent, p.Tag, p.Summary))
				}
			})
			for i, s := range steps {
				now := start.Add(s.after)
				said = nil
				if s.status != "" {
					b.status(parseStatus(s.status), now)
				}
				if s.log != "" {
					b.log("notice", s.log, now) // only warnings count
					b.log("warn", s.log, now)
				}
				if s.published {
					b.uploaded()
				}
				b.tick(now)
				if len(said) != len(s.says) {
					t.Fatalf("step %d: said %q, want %q", i, said, s.says)
				}
				for j, want := range s.says {
					if !strings.Contains(said[j], want) {
						t.Errorf("step %d: said %q, want %q", i, said[j], want)
					}
				}
			}
		})
	}
}

func TestAdviceStandsWhileItApplies(t *testing.T) {
	start := time.Unix(1e9, 0)
	b := newBootstrap(start, func(Progress) {})
	event := func(s string) func() { return func() { b.status(parseStatus(s), start) } }
	stall := func() { b.tick(start.Add(stallAfter)) }
	for i, s := range []struct {
		what func()
		want string // a part of the advice; "" for none
	}{
		{func() {}, ""},
		{stall, "stood still"},
		{event(`WARN CLOCK_SKEW SKEW=-3 SOURCE=x`), "clock is 3s behind"},
		{event(`WARN CLOCK_SKEW SKEW=-5 SOURCE=x`), "clock is 5s behind"}, // not said again, but true
		{stall, "stood still"},
		{event(`NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"`), "clock is 5s behind"},
		{b.uploaded, ""},
		{func() { b.version("Tor is old.", start) }, "Tor is old."},
		{b.uploaded, "Tor is old."},
	} {
		s.what()
		if got := b.now().Advice; (got == "") != (s.want == "") || !strings.Contains(got, s.want) {
			t.Errorf("step %d: %q, want %q", i, got, s.want)
		}
	}
	if p := b.now(); p.Percent != 100 || p.Tag != "done" || p.Summary != "Done" {
		t.Errorf("progress %+v", p)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(`NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay"`)
	f.Add(`NOTICE BOOTSTRAP PROGRESS=101 TAG=done`)
	f.Add(`NOTICE BOOTSTRAP PROGRESS=-1`)
	f.Add(`WARN CLOCK_SKEW SKEW=-9223372036854775808 SOURCE="x\`)
	f.Add(`WARN DANGEROUS_VERSION CURRENT=1 REASON=OBSOLETE RECOMMENDED="a b"`)
	f.Fuzz(func(t *testing.T, raw string) {
		now := time.Unix(1e9, 0)
		b := newBootstrap(now, func(p Progress) {
			if p.Percent < 0 || p.Percent > 100 {
				t.Errorf("%d %%", p.Percent)
			}
		})
		b.status(parseStatus(raw), now)
		b.tick(now.Add(time.Hour))
	})
}

func TestParseStatus(t *testing.T) {
	st := parseStatus(`WARN BOOTSTRAP PROGRESS=5 WORD SUMMARY="a \"quoted\" \\ word" EMPTY= LAST=x`)
	want := map[string]string{"PROGRESS": "5", "SUMMARY": `a "quoted" \ word`, "EMPTY": "", "LAST": "x"}
	if st.severity != "WARN" || st.action != "BOOTSTRAP" || len(st.args) != len(want) {
		t.Fatalf("%+v", st)
	}
	for k, v := range want {
		if st.args[k] != v {
			t.Errorf("%s=%q, want %q", k, st.args[k], v)
		}
	}
}
