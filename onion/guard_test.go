package onion

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guardedService starts a service behind a guard, and says what the guard has written to standard error once it has ended.
func guardedService(t *testing.T, c Config) (s *Service, said func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	c.Confine = ConfineRequire
	s, err = Start(t.Context(), c)
	os.Stderr = stderr
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); r.Close() })
	return s, func() string {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
}

// TestServerDoesNotCommandItsTorBeyondWhatItNeeds tries what somebody who has taken over the server would.
func TestServerDoesNotCommandItsTorBeyondWhatItNeeds(t *testing.T) {
	c := testConfig(t)
	c.PoW, c.Socks = true, true
	attempts := []string{
		`SETCONF UseBridges=1 Bridge="192.0.2.1:443"`,
		"SETCONF SocksPort=" + quote(onionSocks(filepath.Join(c.StateDir, "run", "s"))),
		"SETCONF HiddenServiceDir=" + quote(filepath.Join(c.StateDir, "other")) + ` HiddenServicePort="22 127.0.0.1:22"`,
		"ADD_ONION NEW:BEST Flags=DiscardPK Port=1,127.0.0.1:22",
		"MAPADDRESS 192.0.2.1=192.0.2.2",
		"GETINFO config-text",
		"GETCONF DataDirectory",
		"SETEVENTS CIRC STREAM",
		"SIGNAL NEWNYM",
		"getinfo circuit-status",
	}
	refused := func(s *Service, line string) bool {
		t.Helper()
		_, err := s.control.request(t.Context(), line)
		var answer *textproto.Error
		if err != nil && (!errors.As(err, &answer) || answer.Code != 510 || !strings.Contains(answer.Msg, refusedVerb)) {
			t.Errorf("%s: %v", line, err)
		}
		return err != nil
	}

	c.Confine = Unconfined
	free := mustStart(t, c)
	for _, line := range attempts {
		if refused(free, line) {
			t.Errorf("%s is refused without a guard, too", line)
		}
	}
	if free.State().Guarded {
		t.Error("guarded although it is not confined")
	}
	free.Close()

	s, said := guardedService(t, c)
	for _, line := range attempts {
		if !refused(s, line) {
			t.Errorf("%s is passed on", line)
		}
	}
	// It is whole after that, and has all that it needs.
	if !s.State().Guarded {
		t.Error("not guarded")
	}
	if err := s.SetPoW(t.Context(), 40, 400); err != nil {
		t.Errorf("proof of work: %v", err)
	}
	if err := s.CloseCircuit(t.Context(), 1); err != nil { // there is none
		t.Errorf("close a circuit: %v", err)
	}
	if _, err := s.circuits(t.Context()); err != nil {
		t.Error(err)
	}
	var answer *textproto.Error
	if _, err := s.effort(t.Context()); !errors.As(err, &answer) || answer.Code == 510 { // it has no descriptor yet
		t.Errorf("effort: %v", err)
	}
	if got := confValue(t, s, "HiddenServicePoWQueueRate"); got != "40" {
		t.Errorf("rate %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if text := said(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=warning") || strings.Contains(text, "192.0.2") {
		t.Errorf("the guard said %q, want one line without the command", text)
	}
}

// TestAlarmIsALineOfTheLog guards that what collects the log can read it, in whichever form that is.
func TestAlarmIsALineOfTheLog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const text = `time="2026-01-02T03:04:05Z" level=warning msg="the guard of the control channel refused a command to Tor: somebody may have taken over this server" reason="too long"` + "\n"
	if got := string(alarm(refusedLong, now, false)); got != text {
		t.Errorf("said %q", got)
	}
	for _, why := range []refusal{refusedLong, refusedUnknown} {
		line := alarm(why, now, true)
		var got map[string]string
		if err := json.Unmarshal(line, &got); err != nil || bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%v: %s", err, line)
		}
		if !strings.Contains(text, strconv.Quote(got["msg"])) {
			t.Errorf("said %q", got["msg"])
		}
		delete(got, "msg")
		if want := map[string]string{"level": "warning", "reason": string(why), "time": "2026-01-02T03:04:05Z"}; !maps.Equal(got, want) {
			t.Errorf("said %q", got)
		}
	}
}

// TestGuardAlarmsInTheFormThatItWasStartedWith has a Tor that knows nothing.
func TestGuardAlarmsInTheFormThatItWasStartedWith(t *testing.T) {
	for name, asJSON := range map[string]bool{"text": false, "json": true} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			tor, theirs, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			defer tor.Close()
			conn, err := net.FileConn(theirs)
			theirs.Close()
			if err != nil {
				t.Fatal(err)
			}
			s := &Service{config: Config{Confine: ConfineRequire, JSONAlarm: asJSON}}
			stderr := os.Stderr
			os.Stderr = w
			ours, err := s.guarded(conn)
			os.Stderr = stderr
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(ours, orderVerb+"{}\r\nGETINFO config-text\r\n")
			tor.SetReadDeadline(time.Now().Add(10 * time.Second))
			if line, err := bufio.NewReader(tor).ReadString('\n'); line != refusedVerb+"\r\n" {
				t.Errorf("Tor was told %q, %v", line, err)
			}
			tor.Close()
			ours.Close()
			said, err := io.ReadAll(r)
			if e := s.guard.Wait(); e != nil || err != nil {
				t.Error(e, err)
			}
			if strings.HasPrefix(string(said), `{"level":"warning",`) != asJSON || strings.Contains(string(said), " level=warning ") == asJSON || bytes.Count(said, []byte("\n")) != 1 {
				t.Errorf("the guard said %q", said)
			}
		})
	}
}

func TestServiceOfARunningTorIsGuardedToo(t *testing.T) {
	for name, how := range map[string]struct{ addOnion, tcp bool }{
		"by its directory": {}, "by its key": {addOnion: true}, "over TCP": {tcp: true},
	} {
		t.Run(name, func(t *testing.T) {
			host, c := runningTor(t)
			c.PoW, c.addOnion = true, how.addOnion
			if how.tcp {
				c.Control = controlPort(t, host)
			}
			before := servicesOf(t, host)
			s, said := guardedService(t, c)
			if !s.State().Guarded {
				t.Error("not guarded")
			}
			for _, line := range []string{commandHalt, "SIGNAL SHUTDOWN", "RESETCONF HiddenServiceOptions", "SETCONF SocksPort=0", commandInfo + infoSocks} {
				if _, err := s.control.request(t.Context(), line); err == nil {
					t.Errorf("%s is passed on", line)
				}
			}
			if _, err := s.Dial(t.Context(), ourID+".onion", 5222, ""); !errors.Is(err, ErrNoDial) { // it has no SOCKS port
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if now := servicesOf(t, host); !slices.Equal(now, before) {
				t.Errorf("left of the services: %q, before %q", now, before)
			}
			if text := said(); strings.Count(text, "\n") != 1 {
				t.Errorf("the guard said %q", text)
			}
		})
	}
}

// TestGuardHasNothingButTheTwoEnds: what it reads may come from somebody who has taken over the server.
// controlPort has a Tor open one, and returns its address.
func controlPort(t *testing.T, host *Service) string {
	t.Helper()
	if _, err := host.control.request(t.Context(), "SETCONF ControlPort=127.0.0.1:auto"); err != nil {
		t.Fatal(err)
	}
	r, err := host.control.request(t.Context(), "GETINFO net/listeners/control")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.Data {
		for _, l := range parseListeners(line) {
			if l.Network == "tcp" {
				return l.Address
			}
		}
	}
	t.Fatalf("no port in %q", r.Data)
	return ""
}

func TestGuardHasNothingButTheTwoEnds(t *testing.T) {
	s, _ := guardedService(t, testConfig(t))
	pid := s.guard.PID()
	for field, want := range map[string]string{"Seccomp": "2", "NoNewPrivs": "1"} {
		for _, got := range statusOf(t, pid, field) {
			if got != want {
				t.Errorf("%s is %s, want %s", field, got, want)
			}
		}
	}
	sockets := 0
	for fd, target := range descriptors(t, pid) {
		switch {
		case fd <= 2, strings.HasPrefix(target, "anon_inode:[event"):
		case strings.HasPrefix(target, "socket:"):
			sockets++
		default:
			t.Errorf("descriptor %d is %s", fd, target)
		}
	}
	if sockets != 2 {
		t.Errorf("it has %d sockets, want 2", sockets)
	}
	// A service manager may signal all processes of a service: the server ends it, and not before its Tor.
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.circuits(t.Context()); err != nil {
		t.Errorf("after signals: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if running(pid) {
		t.Error("it is there after Close")
	}
}

// TestWhoEndsTheGuardEndsAll: a channel without it there must not be.
func TestWhoEndsTheGuardEndsAll(t *testing.T) {
	s, _ := guardedService(t, testConfig(t))
	tor := s.PID()
	if err := syscall.Kill(s.guard.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done(), 10*time.Second, "Done")
	if err := s.Err(); !errors.Is(err, ErrControlLost) || !strings.Contains(err.Error(), "its guard ended: signal: killed") {
		t.Errorf("Err is %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if running(tor) {
		t.Error("Tor is still there")
	}
}

// TestGuardEndsWithTor: then the service says what became of Tor, not of the guard.
func TestGuardEndsWithTor(t *testing.T) {
	s, _ := guardedService(t, testConfig(t))
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done(), 10*time.Second, "Done")
	if err := s.Err(); !errors.Is(err, ErrTorEnded) {
		t.Errorf("Err is %v", err)
	}
	await(t, s.guard.Ended(), 10*time.Second, "the guard's end")
	if err := s.guard.Wait(); err != nil {
		t.Errorf("the guard ended with %v", err)
	}
}

// TestMissingGuardIsSaidOrFatal: as the isolation is configured.
func TestMissingGuardIsSaidOrFatal(t *testing.T) {
	for confine, goesOn := range map[Confine]bool{ConfineAuto: true, ConfineRequire: false} {
		warned := false
		s := &Service{bootstrap: newBootstrap(time.Now(), func(Progress) {}), config: Config{Confine: confine,
			Log: func(level, msg string) { warned = level == "warn" && strings.Contains(msg, "has no guard") }}}
		ours, theirs := net.Pipe() // which no process can inherit
		defer theirs.Close()
		conn, err := s.guarded(ours)
		if (err == nil) != goesOn || warned != goesOn || s.State().Guarded {
			t.Errorf("%s: error %v, warned %v", confine, err, warned)
		}
		if goesOn && conn != ours {
			t.Errorf("%s: another connection", confine)
		}
		ours.Close()
	}
}
