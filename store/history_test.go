package store

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// always are bounds that leave out nothing.
var always = [2]time.Time{time.Unix(0, 0), time.Unix(maxCount, 0)}

// history is all of one resolution.
func history(t testing.TB, s *Store, res Resolution) []Sample {
	t.Helper()
	list, err := s.History(res, always[0], always[1])
	must(t, err)
	return list
}

// sumUp is what the intervals of a resolution must be, in the simplest words: all counts and times summed up, means
// from the sum of peer-minutes.
func sumUp(minutes []Sample, res Resolution) []Sample {
	sums := map[time.Time]*Sample{}
	for _, m := range minutes {
		start := m.Start.Truncate(res.Span())
		s := sums[start]
		if s == nil {
			s = &Sample{Start: start, Span: res.Span()}
			sums[start] = s
		}
		s.Peers += m.Peers * m.Up.Seconds()
		s.Makers += m.Makers * m.Up.Seconds()
		s.Up += m.Up
		s.Ready += m.Ready
		for _, n := range []struct {
			to   *uint64
			from uint64
		}{
			{&s.Accepted, m.Accepted}, {&s.Handshakes, m.Handshakes}, {&s.Public, m.Public}, {&s.Private, m.Private},
			{&s.Deliveries, m.Deliveries}, {&s.BytesIn, m.BytesIn}, {&s.BytesOut, m.BytesOut}, {&s.Dropped, m.Dropped},
			{&s.Refused, m.Refused}, {&s.Evicted, m.Evicted},
		} {
			*n.to += n.from
		}
		s.PeersMax, s.OutboxMax = max(s.PeersMax, m.PeersMax), max(s.OutboxMax, m.OutboxMax)
		s.EffortMax, s.CheckMax = max(s.EffortMax, m.EffortMax), max(s.CheckMax, m.CheckMax)
		s.ChecksOK += m.ChecksOK
		s.ChecksBad += m.ChecksBad
	}
	var list []Sample
	for _, s := range sums {
		if s.Up > 0 {
			s.Peers, s.Makers = s.Peers/s.Up.Seconds(), s.Makers/s.Up.Seconds()
		}
		s.Up, s.Ready = min(s.Up, s.Span), min(s.Ready, s.Span)
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Sample) int { return a.Start.Compare(b.Start) })
	return list
}

// TestEachResolutionIsTheSumOfItsMinutes appends minutes in any order, as a clock that is set back would, with some of
// them twice.
func TestEachResolutionIsTheSumOfItsMinutes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := mustOpen(t, newPath(t), noSync)
		defer s.Close()
		var minutes []Sample
		now := 0
		for range rapid.IntRange(1, 50).Draw(r, "samples") {
			m := sampleOf(r)
			now = max(0, now+rapid.IntRange(-30, 90).Draw(r, "clock"))
			m.Start = day0.Add(12*time.Hour + time.Duration(now)*time.Minute)
			minutes = append(minutes, m)
			m.Start = m.Start.Add(time.Duration(rapid.IntRange(0, 59).Draw(r, "second"))*time.Second + 5).Local()
			must(t, s.Append(m))
		}
		for _, res := range Resolutions {
			want, got := sumUp(minutes, res), history(t, s, res)
			if diff := gocmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
				r.Fatalf("%v: %s", res, diff)
			}
		}
	})
}

func TestMeanIsThatOfTheTimeTheServerRan(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	must(t, s.Append(Sample{Start: day0, Up: 15 * time.Second, Peers: 100, Makers: 8}))
	must(t, s.Append(Sample{Start: day0.Add(time.Minute), Up: 45 * time.Second, Peers: 200, Makers: 4}))
	must(t, s.Append(Sample{Start: day0.Add(2 * time.Minute)})) // it did not run
	h := history(t, s, Hour)
	if len(h) != 1 || h[0].Peers != 175 || h[0].Makers != 5 || h[0].Up != time.Minute {
		t.Errorf("%+v", h)
	}
}

func TestHistoryIsCutAtBothEnds(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	for _, i := range []int{0, 1, 2, 5, 6} {
		must(t, s.Append(testSample(i)))
	}
	at := func(i int) time.Time { return testSample(i).Start }
	for _, c := range []struct {
		from, to time.Time
		want     []int
	}{
		{at(0), at(7), []int{0, 1, 2, 5, 6}},
		{at(1), at(6), []int{1, 2, 5}},
		{at(1).Add(1), at(6).Add(1), []int{2, 5, 6}},
		{at(3), at(5), nil},
		{at(2), at(2), nil},
		{at(5), at(1), nil},
		{time.Time{}, at(1), []int{0}},
		{at(6), time.Unix(1<<60, 0), []int{6}},
		{at(0).Add(-time.Second), at(0).Add(time.Second), []int{0}},
	} {
		list, err := s.History(Minute, c.from, c.to)
		must(t, err)
		var got []int
		for _, m := range list {
			got = append(got, int(m.Accepted))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	for _, res := range []Resolution{-1, 3} {
		if _, err := s.History(res, at(0), at(1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("resolution %d: %v", res, err)
		}
	}
}

func TestResolutionsHaveNamesAndFitIntoEachOther(t *testing.T) {
	names := map[Resolution]string{Minute: "minute", Hour: "hour", Day: "day"}
	bySpan := slices.SortedFunc(maps.Keys(names), func(a, b Resolution) int { return cmp.Compare(a.Span(), b.Span()) })
	if !slices.Equal(Resolutions, bySpan) {
		t.Error("they are not in order")
	}
	for res, name := range names {
		if res.String() != name || res.Keep()%res.Span() != 0 {
			t.Errorf("%v, kept %v", res, res.Keep())
		}
	}
}

// appendMany appends minutes in few transactions.
func appendMany(t testing.TB, s *Store, n int, at func(i int) time.Time) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		must(t, s.write("history", func(tx *bbolt.Tx) error {
			for i := from; i < min(n, from+1000); i++ {
				m := testSample(i)
				m.Start = at(i)
				for _, res := range Resolutions {
					if err := appendTo(tx.Bucket(res.bucket()), res, m); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
}

// TestHistoryAndFileStayBounded appends more than two months.
func TestHistoryAndFileStayBounded(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path, noSync)
	const days = 70
	appendMany(t, s, days*24*60, func(i int) time.Time { return testSample(i).Start })
	for res, want := range map[Resolution]int{Minute: 48*60 + 1, Hour: 60*24 + 1, Day: days} {
		if n := keys(t, s, res.bucket()); n != want {
			t.Errorf("%v: %d are kept, want %d", res, n, want)
		}
	}
	// Each minute of its own transaction does not use more.
	for i := range 500 {
		must(t, s.Append(testSample(days*24*60+i)))
	}
	mustClose(t, s)
	b, err := readImageOf(path)
	if err != nil || len(b) > 4<<20 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	t.Logf("%d KiB", len(b)>>10)
}

// TestDaysAreKeptForFiveYears appends one minute a day for six.
func TestDaysAreKeptForFiveYears(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	appendMany(t, s, 6*365, func(i int) time.Time { return day0.AddDate(0, 0, i) })
	for res, want := range map[Resolution]int{Minute: 3, Hour: 61, Day: 5*365 + 1} {
		if n := keys(t, s, res.bucket()); n != want {
			t.Errorf("%v: %d are kept, want %d", res, n, want)
		}
	}
}

// TestClockThatIsWrongForAMinuteDoesNotCostTheHistory guards machines that boot in 1970, or in the next century.
func TestClockThatIsWrongForAMinuteDoesNotCostTheHistory(t *testing.T) {
	for name, wrong := range map[string]time.Time{"1970": time.Unix(0, 0), "next century": day0.AddDate(100, 0, 0)} {
		s := mustOpen(t, newPath(t), noSync)
		appendMany(t, s, 48*60, func(i int) time.Time { return testSample(i).Start })
		m := testSample(0)
		m.Start = wrong
		must(t, s.Append(m))
		must(t, s.Append(testSample(48*60)))
		if n := keys(t, s, Minute.bucket()); n < 48*60-pruneAtOnce {
			t.Errorf("%s: %d minutes are left", name, n)
		}
	}
}

// TestClockThatRunsBackwardsStaysBounded guards the bound where no interval is ever too old.
func TestClockThatRunsBackwardsStaysBounded(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	appendMany(t, s, 4*24*60, func(i int) time.Time { return testSample(-i).Start })
	if n := keys(t, s, Minute.bucket()); n != 48*60+1 {
		t.Errorf("%d minutes are kept", n)
	}
	if h := history(t, s, Minute); !h[0].Start.Equal(testSample(-4*24*60 + 1).Start) {
		t.Errorf("the last is %v", h[0].Start)
	}
}

func TestMinuteThatIsRepeatedIsNotLongerThanAMinute(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	must(t, s.Append(testSample(0)))
	must(t, s.Append(testSample(0)))
	h := history(t, s, Minute)
	if len(h) != 1 || h[0].Up != time.Minute || h[0].Ready != time.Minute || h[0].BytesOut != 2<<20 ||
		math.Abs(h[0].Peers-100.5) > 1e-9 {
		t.Errorf("%+v", h)
	}
}
