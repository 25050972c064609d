package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jm-directory-server/server"
	"jm-directory-server/server/wire"
)

// impatient shortens the wait for what a fake directory never sends, to a time in which it sends all else.
func impatient(t *testing.T) {
	usual := patience
	patience = 700 * time.Millisecond
	t.Cleanup(func() { patience = usual })
}

// TestEnvelopesOfOtherDirectoriesAreRead guards that a directory may write them as it likes.
func TestEnvelopesOfOtherDirectoriesAreRead(t *testing.T) {
	for _, format := range []string{`{"type": %d, "line": %s}`, `{"type":%d,"line":%s}`, `{"line": %[2]s, "type": %[1]d}`, `{"type":%d,"line":%s,"id":"x"}`} {
		d := &fakeDirectory{format: format}
		target := d.run(t)
		for _, line := range []string{"broadcast --peers 5 --duration 100ms", "private --pairs 2 --duration 100ms", "orderbook --makers 4 --rounds 2"} {
			if code, p, table := measures(t, line+" --target "+target); code != exitOK || p.Results[0].Latency == nil {
				t.Errorf("%s, %s: exit code %d\n%s", format, line, code, table)
			}
		}
	}
}

// TestWhatADirectoryDoesWrongIsFound guards every kind of fault: that it is counted as what it is, shown, and exit
// code 1. Each happens exactly once or at every message of one receiver.
func TestWhatADirectoryDoesWrongIsFound(t *testing.T) {
	type lines = [][]byte
	// once has the tenth message to peer 2 treated.
	once := func(fn func(line []byte) lines) func(to int, line []byte) lines {
		n := 0
		return func(to int, line []byte) lines {
			if to == 2 {
				if n++; n == 10 {
					return fn(line)
				}
			}
			return lines{line}
		}
	}
	var kept []byte
	keep := 0
	for _, test := range []struct {
		name   string
		mangle func(to int, line []byte) lines
		want   faults
		says   string
	}{
		{"lost", once(func([]byte) lines { return nil }), faults{Lost: 1}, "1 lost"},
		{"twice", once(func(l []byte) lines { return lines{l, l} }), faults{Duplicates: 1}, "1 came twice"},
		{"late", func(to int, l []byte) lines {
			if to != 2 {
				return lines{l}
			}
			switch keep++; keep {
			case 10:
				kept = bytes.Clone(l)
				return nil
			case 15: // the next of the same sender is out
				return lines{l, kept}
			}
			return lines{l}
		}, faults{Reordered: 1}, "1 out of order"},
		{"number changed", once(func(l []byte) lines {
			l = bytes.Clone(l)
			at := bytes.Index(l, []byte(commitment)) + len(commitment)
			l[at+31] ^= 1
			return lines{l}
		}), faults{Lost: 1, Damaged: 1}, "1 damaged"},
		{"tail cut off", once(func(l []byte) lines { return lines{bytes.Replace(l, []byte("xxxx"), nil, 1)} }), faults{Lost: 1, Damaged: 1}, "1 damaged"},
		{"sender changed", once(func(l []byte) lines {
			at := bytes.Index(l, []byte("J5"))
			return lines{bytes.Replace(l, l[at:at+wire.NickLen], []byte(testNick), 1)}
		}), faults{Lost: 1, Damaged: 1}, "1 damaged"},
		{"no JSON", once(func([]byte) lines { return lines{[]byte("{\r\n")} }), faults{Lost: 1, Malformed: 1}, "1 malformed lines"},
		{"no CR", once(func(l []byte) lines { return lines{append(bytes.Clone(l[:len(l)-2]), '\n')} }), faults{Lost: 1, Malformed: 1}, "1 malformed lines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &fakeDirectory{mangle: test.mangle}
			// A rate, so that what is missing holds up nothing: 5 senders in turn, 4 receivers.
			code, p, table := measures(t, "broadcast --peers 5 --joins 1 --rate 100 --duration 500ms --target "+d.run(t))
			if len(p.Results) != 1 {
				t.Fatalf("exit code %d\n%s", code, table)
			}
			got := p.Results[0].Faults
			got.Evicted, got.Refused = nil, nil
			if code != exitFailed || p.OK || got.String() != test.want.String() || !strings.Contains(table, test.says) {
				t.Errorf("exit code %d, found %s, want %s\n%s", code, got.String(), test.want.String(), table)
			}
		})
	}
}

func TestMessageForSomebodyElseIsFound(t *testing.T) {
	d := &fakeDirectory{}
	var sent atomic.Int32
	d.mangle = func(_ int, line []byte) [][]byte {
		if sent.Add(1) == 5 {
			for _, q := range d.peers { // its lock is not held: nobody joins or leaves now
				if _, err := q.conn.Write(line); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		return [][]byte{line}
	}
	code, p, table := measures(t, "private --pairs 3 --light --rate 50 --duration 400ms --target "+d.run(t))
	if f := p.Results[0].Faults; code != exitFailed || f.Misdelivered != 5 || f.Lost != 0 || !strings.Contains(table, "5 to the wrong peer") {
		t.Errorf("exit code %d\n%s", code, table)
	}
}

// TestLossInAWindowIsCounted guards that what never came to free its place is missed at the end.
func TestLossInAWindowIsCounted(t *testing.T) {
	n := 0
	d := &fakeDirectory{mangle: func(to int, line []byte) [][]byte {
		if to == 2 {
			if n++; n == 10 {
				return nil
			}
		}
		return [][]byte{line}
	}}
	code, p, table := measures(t, "broadcast --peers 5 --joins 1 --window 1 --duration 300ms --target "+d.run(t))
	if code != exitFailed || p.Results[0].Faults.Lost != 1 {
		t.Errorf("exit code %d\n%s", code, table)
	}
}

func TestEvictionIsFoundAndHoldsUpNobody(t *testing.T) {
	d := &fakeDirectory{}
	n := 0
	d.mangle = func(to int, line []byte) [][]byte {
		if to == 2 {
			if n++; n > 20 {
				d.mu.Lock()
				defer d.mu.Unlock()
				for _, q := range d.peers {
					if q.n == 2 {
						q.conn.Close()
					}
				}
				return nil
			}
		}
		return [][]byte{line}
	}
	code, p, table := measures(t, "broadcast --peers 10 --joins 1 --window 4 --duration 400ms --target "+d.run(t))
	f := p.Results[0].Faults
	if code != exitFailed || f.Evicted[endClosed]+f.Evicted[endReset] != 1 || !strings.Contains(table, "1 evicted (") {
		t.Errorf("exit code %d, %+v\n%s", code, f, table)
	}
	if f.Lost != 0 {
		t.Errorf("%d deliveries to the one that was ended, or to others, count as lost", f.Lost)
	}
}

func TestRefusedHandshakesAreCountedByTheirAnswer(t *testing.T) {
	d := &fakeDirectory{refuse: func(n int) string {
		if n == 3 || n == 5 {
			return "Rejected: not today"
		}
		return ""
	}}
	code, p, table := measures(t, "ramp --peers 10 --target "+d.run(t))
	if code != exitFailed || p.Results[0].Faults.Refused["Rejected: not today"] != 2 || p.Results[0].Latency.Count != 8 ||
		!strings.Contains(table, "2 refused (Rejected: not today)") {
		t.Errorf("exit code %d, %+v\n%s", code, p, table)
	}
}

func TestFullDirectoryIsReportedByOthersToo(t *testing.T) {
	target := realDirectory(t, "unix", func(o *server.Options) { o.MaxPeers = 5 })
	code, p, table := measures(t, "broadcast --peers 8 --target "+target)
	if code != exitFailed || !strings.Contains(p.Error, "3 of 8 peers could not join") || !strings.Contains(p.Error, "full") || !strings.Contains(table, "ended early") {
		t.Errorf("exit code %d, %q\n%s", code, p.Error, table)
	}
}

func TestIncompletePeerlistIsFound(t *testing.T) {
	impatient(t)
	d := &fakeDirectory{}
	d.onQuery = func(c *fakePeer) {
		var list []byte
		for nick, q := range d.peers {
			if q != c && q.n != 1 {
				list = append(list, fmt.Sprintf("%s,", wire.AppendEntry(nil, wire.Entry{Nick: nick}, false))...)
			}
		}
		c.send(wire.Peerlist, bytes.TrimSuffix(list, []byte(",")))
	}
	code, p, table := measures(t, "peerlist --peers 6 --rounds 1 --joins 1 --target "+d.run(t))
	if f := p.Results[0].Faults; code != exitFailed || f.Lost != 1 {
		t.Errorf("exit code %d, %+v\n%s", code, f, table)
	}
	if ms, ok := p.Results[0].Figures["milliseconds_to_last_entry"]; ok || p.Results[0].Latency != nil {
		t.Errorf("a list that was never complete has %g ms to its last entry\n%s", ms, table)
	}
}

// TestRoundsWithoutAllAnswersHaveNoTime has a directory take a request for the orderbook once only, as ours does within
// limits.orderbook_window, or never: what was not answered took no 0 ms.
func TestRoundsWithoutAllAnswersHaveNoTime(t *testing.T) {
	impatient(t)
	const makers = 4
	for taken, percent := range map[int32]float64{1: 100. / 3, 0: 0} {
		d, asked := &fakeDirectory{}, atomic.Int32{}
		d.mangle = func(_ int, line []byte) [][]byte {
			if len(line) < 150 && asked.Add(1) > taken*makers { // the question, to one maker
				return nil
			}
			return [][]byte{line}
		}
		code, p, table := measures(t, fmt.Sprintf("orderbook --makers %d --rounds %d --target %s", makers, 2*taken+1, d.run(t)))
		ms, ok := p.Results[0].Figures["milliseconds_to_last_answer"]
		if code != exitFailed || ok != (taken > 0) || ok && ms <= 0 || math.Abs(p.Results[0].Figures["complete_percent"]-percent) > 1e-6 {
			t.Errorf("taken %d times: exit code %d, %g ms (%t)\n%s", taken, code, ms, ok, table)
		}
	}
}

// TestDeparturesThatNobodyHearsOfHaveNoTime has a directory that tells nobody.
func TestDeparturesThatNobodyHearsOfHaveNoTime(t *testing.T) {
	impatient(t)
	code, p, table := measures(t, "churn --peers 4 --share 0.25 --joins 1 --target "+(&fakeDirectory{}).run(t))
	if ms, ok := p.Results[0].Figures["milliseconds_to_last_notice"]; code != exitFailed || ok || p.Results[0].Faults.Lost != 3 {
		t.Errorf("exit code %d, %g ms (%t)\n%s", code, ms, ok, table)
	}
}

func TestPingsAreAnswered(t *testing.T) {
	target := realDirectory(t, "unix", func(o *server.Options) {
		o.PingIdle, o.PongTimeout, o.SweepInterval = 20*time.Millisecond, time.Second, 10*time.Millisecond
	})
	// Receivers send nothing by themselves: without pongs all of them would be closed.
	if code, _, table := measures(t, "broadcast --peers 10 --window 1 --duration 3s --target "+target); code != exitOK {
		t.Errorf("exit code %d\n%s", code, table)
	}
}
