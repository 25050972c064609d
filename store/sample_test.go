package store

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSampleIsDecodedAsItWasEncoded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		want := sampleOf(r)
		got, err := decodeSample(Minute, seconds(want.Start.Unix()), want.encode())
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestEncodingOfASampleIsPinned(t *testing.T) {
	s := Sample{
		Up: 60 * time.Second, Ready: time.Second, Peers: 1.5, PeersMax: 1, Makers: 2, Accepted: 2, Handshakes: 3, Public: 4, Private: 5,
		Deliveries: 300, BytesIn: 7, BytesOut: 8, Dropped: 9, Refused: 10, Evicted: 11, OutboxMax: 12, EffortMax: 13,
		ChecksOK: 14, ChecksBad: 15, CheckMax: 1,
	}
	const want = "01" + "3ff8000000000000" + "4000000000000000" + "80b09dc2df01" + "8094ebdc03" + "01" +
		"01" + "02030405" + "ac02" + "0708" + "090a0b" + "0c0d" + "0e0f"
	if got := fmt.Sprintf("%x", s.encode()); got != want {
		t.Error(got)
	}
}

func TestSamplesThatAreNotValidAreRefused(t *testing.T) {
	s := mustOpen(t, newPath(t), noSync)
	for name, change := range map[string]func(*Sample){
		"":             func(m *Sample) { m.Span = 0 },
		"minute":       func(m *Sample) { m.Up = 61 * time.Second }, // a ticker may be late
		"before 1970":  func(m *Sample) { m.Start = time.Time{} },
		"far future":   func(m *Sample) { m.Start = time.Unix(maxCount+1, 0) },
		"an hour":      func(m *Sample) { m.Span = time.Hour },
		"Up":           func(m *Sample) { m.Up = -1 },
		"Ready":        func(m *Sample) { m.Ready = maxTime + 1 },
		"CheckMax":     func(m *Sample) { m.CheckMax = -1 },
		"not a number": func(m *Sample) { m.Peers = math.NaN() },
		"infinite":     func(m *Sample) { m.Makers = math.Inf(1) },
		"mean below 0": func(m *Sample) { m.Makers = -0.5 },
		"int below 0":  func(m *Sample) { m.OutboxMax = -1 },
		"ChecksBad":    func(m *Sample) { m.ChecksBad = -1 },
		"count":        func(m *Sample) { m.BytesIn = maxCount + 1 },
	} {
		m := testSample(0)
		change(&m)
		ok := name == "" || name == "minute"
		if err := s.Append(m); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSumsStayInRange guards the bounds of one sample: a day sums up all its minutes, even if the clock repeats it
// again and again.
func TestSumsStayInRange(t *testing.T) {
	minutes := 1000 * uint64(Day.Span()/time.Minute)
	if room := math.MaxInt64 / minutes; room < maxCount || room < uint64(maxTime) {
		t.Errorf("there is room for %d", room)
	}
}

// FuzzDecodeSample reads arbitrary values; what it accepts is in range, has no byte too many, and is encoded to something that is
// read the same.
func FuzzDecodeSample(f *testing.F) {
	m := testSample(7)
	key := seconds(m.Start.Unix())
	f.Add(key, m.encode())
	f.Add(key, append(m.encode(), 0))
	f.Add(seconds(m.Start.Unix()+1), m.encode())
	f.Add(seconds(60<<40), m.encode())
	f.Add([]byte{}, []byte{})
	for _, change := range []func(*Sample){
		func(m *Sample) { m.Up = -1 }, func(m *Sample) { m.Ready = -1 }, func(m *Sample) { m.CheckMax = -1 },
		func(m *Sample) { m.Peers = math.NaN() }, func(m *Sample) { m.Makers = -1 }, func(m *Sample) { m.Makers = math.Inf(1) },
		func(m *Sample) { m.PeersMax = -1 }, func(m *Sample) { m.OutboxMax = 1 << 40 }, func(m *Sample) { m.EffortMax = -1 },
		func(m *Sample) { m.ChecksOK = -1 }, func(m *Sample) { m.ChecksBad = -1 }, func(m *Sample) { m.BytesIn = 1<<64 - 1 },
	} {
		bad := m
		change(&bad)
		f.Add(key, bad.encode())
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s, err := decodeSample(Minute, key, value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		means := s.Peers + s.Makers
		if min(s.Up, s.Ready, s.CheckMax) < 0 || min(s.Peers, s.Makers) < 0 || math.IsNaN(means) || math.IsInf(means, 0) ||
			min(s.PeersMax, s.OutboxMax, s.EffortMax, s.ChecksOK, s.ChecksBad) < 0 ||
			s.Start.Unix() < 0 || s.Start.Unix() > maxCount || s.Start.Unix()%60 != 0 {
			t.Fatalf("%+v", s)
		}
		if _, err := decodeSample(Minute, key, value[:len(value)-1]); err == nil {
			t.Fatalf("%x: its last byte means nothing", value)
		}
		again, err := decodeSample(Minute, key, s.encode())
		if err != nil || *again != *s {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

// FuzzDecodeBan reads arbitrary values; what it accepts is encoded to the same bytes.
func FuzzDecodeBan(f *testing.F) {
	b := Ban{ID: "a", Kind: BanKey, Reason: "why", Created: day0, Expires: day0.Add(time.Hour)}
	f.Add([]byte(b.ID), b.encode())
	b.Reason = strings.Repeat("x", MaxReason)
	f.Add([]byte(b.ID), b.encode())
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b, err := decodeBan(key, value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if string(b.encode()) != string(value) {
			t.Fatalf("%x became %+v", value, b)
		}
	})
}
