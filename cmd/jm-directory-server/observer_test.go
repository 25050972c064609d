package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

// observed is a directory whose numbers a test sets.
type observed struct {
	mu     sync.Mutex
	st     server.Status
	check  admin.Check
	effort int
	ready  bool
	kept   []admin.Sample
	lost   int
}

// lock locks the numbers and returns what unlocks them.
func (o *observed) lock() func() { o.mu.Lock(); return o.mu.Unlock }

func (o *observed) observer() *observer {
	return &observer{
		status: func() server.Status { defer o.lock()(); return o.st }, check: func() admin.Check { defer o.lock()(); return o.check },
		effort: func() int { defer o.lock()(); return o.effort }, ready: func() bool { defer o.lock()(); return o.ready },
		keep: func(s admin.Sample) { o.kept = append(o.kept, s) }, lose: func() { o.lost++ },
	}
}

// observe runs play beside an observer that begins at a full minute.
func observe(t *testing.T, play func(o *observed, obs *observer)) *observed {
	o := &observed{}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(samplePeriod).Add(samplePeriod)))
		ctx, cancel := context.WithCancel(t.Context())
		obs := o.observer()
		ended := make(chan struct{})
		go func() { obs.run(ctx); close(ended) }()
		synctest.Wait()
		play(o, obs)
		cancel()
		<-ended
	})
	return o
}

func TestEveryMinuteHasASampleOfItsOwn(t *testing.T) {
	o := observe(t, func(o *observed, _ *observer) {
		unlock := o.lock()
		o.ready = true
		o.st = server.Status{Peers: 10, Makers: 4}
		unlock()
		for i := range 90 { // one message a second, 45 in each half
			time.Sleep(time.Second)
			unlock := o.lock()
			o.st.Public++
			if i == 29 {
				o.st.Peers, o.st.OutboxBytes, o.effort = 20, 700, 3
				o.check = admin.Check{OK: true, Passed: 1, Latency: time.Second}
				o.st.Reasons = map[server.Reason]uint64{server.DroppedForged: 2, server.EvictedIdle: 1, server.RefusedNick: 4, server.ClosedByPeer: 9}
			}
			if i == 69 {
				o.st.OutboxBytes, o.ready = 0, false
				o.check.Failed, o.check.OK = 1, false
			}
			unlock()
		}
		synctest.Wait()
	})
	if len(o.kept) != 2 {
		t.Fatalf("%d samples of a minute and a half, want 2", len(o.kept))
	}
	a, b := o.kept[0], o.kept[1]
	if a.Up != time.Minute || a.Ready != time.Minute || a.PeersMax != 20 || a.OutboxMax != 700 || a.EffortMax != 3 ||
		a.Dropped != 2 || a.Evicted != 1 || a.Refused != 4 || a.ChecksOK != 1 || a.ChecksBad != 0 || a.CheckMax != time.Second {
		t.Errorf("first minute: %+v", a)
	}
	if a.Peers < 14 || a.Peers > 16 || a.Makers < 3.9 || a.Makers > 4 {
		t.Errorf("means of the first minute: %v peers, %v makers, want about 15 and 4", a.Peers, a.Makers)
	}
	if !b.Start.Equal(a.Start.Add(time.Minute)) || b.Up != 30*time.Second || b.Ready >= 12*time.Second || b.Dropped != 0 || b.ChecksOK != 0 || b.ChecksBad != 1 || b.CheckMax != 0 {
		t.Errorf("second minute: %+v", b)
	}
	if sum := a.Public + b.Public; sum != 90 || a.Public < 57 || a.Public > 60 {
		t.Errorf("%d and %d public messages, want 90 in all, 58 or so in the first minute", a.Public, b.Public)
	}
}

func TestRatesAreThoseOfTheLastSeconds(t *testing.T) {
	observe(t, func(o *observed, obs *observer) {
		if r := obs.rates(); r != (admin.Rates{}) {
			t.Errorf("rates after one look: %+v", r)
		}
		time.Sleep(lookPeriod / 4) // so that nothing happens in the moment of a look
		for range 60 {
			time.Sleep(time.Second)
			unlock := o.lock()
			o.st.Deliveries += 1000
			unlock()
		}
		synctest.Wait()
		if r := obs.rates(); r.Deliveries != 1000 {
			t.Errorf("%v deliveries a second, want 1000", r.Deliveries)
		}
		time.Sleep(lookPeriod * (rateLooks + 1))
		synctest.Wait()
		if r := obs.rates(); r.Deliveries != 0 {
			t.Errorf("%v deliveries a second after %v of silence", r.Deliveries, lookPeriod*(rateLooks+1))
		}
	})
}

// TestClockThatIsSetCostsNoCount sets the clock an hour on and back within a minute: every message is in one sample, and no
// sample is longer than a minute. Nothing else goes by that clock but bans and the log.
func TestClockThatIsSetCostsNoCount(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		o := &observed{ready: true}
		obs := o.observer()
		wall := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC) // without a monotonic reading, as if all clocks were set
		look := func() look { o.st.Public += 7; return obs.look(wall) }
		m := newMinute(obs.look(wall))
		for i := range 90 {
			switch wall = wall.Add(lookPeriod); i {
			case 10:
				wall = wall.Add(step)
			case 50:
				wall = wall.Add(-step)
			}
			l := look()
			obs.note(l)
			if r := obs.rates(); r.Public < 0 || r.Public > 7/lookPeriod.Seconds() {
				t.Errorf("set by %v: %v messages a second", step, r.Public)
			}
			m.add(l, 0, true)
			if !l.at.Truncate(samplePeriod).Equal(m.first.at.Truncate(samplePeriod)) {
				o.kept = append(o.kept, m.sample())
				m = newMinute(l)
			}
		}
		o.kept = append(o.kept, m.sample())
		sum := uint64(0)
		for _, s := range o.kept {
			sum += s.Public
			if s.Up < 0 || s.Up > samplePeriod || s.Ready < 0 || s.Ready > samplePeriod {
				t.Errorf("set by %v: %+v", step, s)
			}
		}
		if sum != o.st.Public {
			t.Errorf("set by %v: %d messages in the samples, %d were sent", step, sum, o.st.Public)
		}
	}
}

// TestStopGivesUpADiskThatHangs: a sample hangs in the store, and with it all that comes later.
func TestStopGivesUpADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hook := logtest.NewNullLogger()
		ctx, cancel := context.WithCancel(t.Context())
		s := &supervision{d: &daemon{log: log}, source: &adminSource{kept: &archive{}}, cancel: cancel, endCheck: cancel}
		obs := (&observed{}).observer()
		hang := make(chan struct{})
		obs.keep = func(admin.Sample) { <-hang }
		s.work.Go(func() { obs.run(ctx) })
		time.Sleep(3 * samplePeriod)
		begin := time.Now()
		s.end()
		if took := time.Since(begin); took != diskPatience {
			t.Errorf("the stop took %v, want %v", took, diskPatience)
		}
		if e := hook.LastEntry(); e == nil || e.Level != logrus.ErrorLevel || !strings.Contains(e.Message, "the disk does not answer") {
			t.Errorf("logged %v", e)
		}
		close(hang)
		synctest.Wait()
	})
}

// TestObserverGoesOnLookingWhileTheDiskHangs: rates go on, and the minutes of that time are kept when the disk works again.
func TestObserverGoesOnLookingWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &observed{}
		obs := o.observer()
		hang := make(chan struct{})
		var kept []time.Time
		obs.keep = func(s admin.Sample) {
			<-hang
			kept = append(kept, s.Start)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			obs.run(ctx)
		}()
		for i := range 70 {
			time.Sleep(time.Second)
			unlock := o.lock()
			o.st = server.Status{Public: uint64(i * 100)}
			unlock()
		}
		if r := obs.rates(); r.Public < 80 || r.Public > 120 { // what came in the same moment as a look may count or not
			t.Errorf("%v public messages a second", r.Public)
		}
		time.Sleep(2 * time.Hour) // nothing is sent any more, and the disk hangs
		if r := obs.rates(); r.Public != 0 {
			t.Errorf("two hours after the last message: %v public messages a second", r.Public)
		}
		close(hang)
		cancel()
		<-ended
		if n := len(kept); n != waitingSamples+2 { // one was being kept
			t.Errorf("%d samples are kept", n)
		}
		if all := 2*60 + 1; o.lost != all-waitingSamples-1 { // two hours and a minute, of which one was being kept
			t.Errorf("%d samples count as lost, want %d", o.lost, all-waitingSamples-1)
		}
		if !slices.IsSortedFunc(kept, time.Time.Compare) {
			t.Errorf("out of order: %v", kept)
		}
	})
}
