package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noSync is for tests that write much, and do not ask what a crash leaves.
var noSync = Options{LockTimeout: time.Millisecond, noSync: true}

// day0 is when the tests' history begins, a midnight.
var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// newPath is that of a file that is not there yet.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), FileName) }

// mustOpen opens a store that the test's end closes.
func mustOpen(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // most tests have closed it
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testBan is a ban that does not expire.
func testBan(s *Store, i int) Ban {
	return Ban{
		ID: fmt.Sprintf("ban-%d", i), Kind: BanNick, Subject: [32]byte{byte(i), byte(i >> 8), 31: 0xff},
		Reason: "flood", Created: day0.Add(time.Duration(i) * time.Second),
	}
}

// testSample is that of a minute.
func testSample(minute int) Sample {
	return Sample{
		Start: day0.Add(time.Duration(minute) * time.Minute), Span: time.Minute, Up: time.Minute, Ready: 59 * time.Second,
		Peers: 100.5, PeersMax: 120, Makers: 40.25, Accepted: uint64(minute), BytesOut: 1 << 20, CheckMax: 3 * time.Second,
	}
}

// fill writes some bans and minutes.
func fill(t testing.TB, s *Store, bans, minutes int) {
	t.Helper()
	for i := range bans {
		must(t, s.PutBan(testBan(s, i)))
	}
	for i := range minutes {
		must(t, s.Append(testSample(i)))
	}
}

// content is all that can be read from a store, for comparison.
func content(t testing.TB, s *Store) string {
	t.Helper()
	bans, err := s.Bans()
	must(t, err)
	text := fmt.Sprintln(s.Secret(), bans)
	for _, res := range Resolutions {
		list, err := s.History(res, time.Unix(0, 0), time.Unix(maxCount, 0))
		must(t, err)
		text += fmt.Sprintln(res, list)
	}
	return text
}

// sampleOf draws a minute of the first few days.
func sampleOf(r *rapid.T) Sample {
	count := func(what string) uint64 { return rapid.Uint64Range(0, maxCount).Draw(r, what) }
	small := func(what string) int { return rapid.IntRange(0, maxCount).Draw(r, what) }
	span := func(what string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(r, what))
	}
	return Sample{
		Start: day0.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(r, "minute")) * time.Minute), Span: time.Minute,
		Up: span("up"), Ready: span("ready"),
		Peers: rapid.Float64Range(0, 1e6).Draw(r, "peers"), PeersMax: small("peers max"),
		Makers: rapid.Float64Range(0, 1e6).Draw(r, "makers"), Accepted: count("accepted"), Handshakes: count("handshakes"),
		Public: count("public"), Private: count("private"), Deliveries: count("deliveries"), BytesIn: count("in"),
		BytesOut: count("out"), Dropped: count("dropped"), Refused: count("refused"), Evicted: count("evicted"),
		OutboxMax: small("outbox"), EffortMax: small("effort"), ChecksOK: small("ok"), ChecksBad: small("bad"),
		CheckMax: span("check"),
	}
}

// schemaOf is a version as the meta bucket has it.
func schemaOf(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// readImageOf reads the file as Open would.
func readImageOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readImage(f)
}
