package onion

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnotherUsersTorCanReachTheSocketOrWeSayWhyNot(t *testing.T) {
	const nobody = 65534
	top := t.TempDir()
	closed, dir := filepath.Join(top, "closed"), filepath.Join(top, "closed", "run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	err = openTo(socket, nobody)
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
		t.Errorf("closed directory above: %v", err)
	}
	for d := closed; d != "/"; d = filepath.Dir(d) { // whatever umask the test has
		if fi, err := os.Stat(d); err != nil || fi.Mode().Perm()&1 == 0 {
			if err := os.Chmod(d, 0o711); err != nil {
				t.Skip(err)
			}
		}
	}
	if err := openTo(socket, nobody); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if owner := fi.Sys().(*syscall.Stat_t).Uid; owner != nobody && fi.Mode().Perm() != 0o666 {
		t.Errorf("socket of user %d, mode %v", owner, fi.Mode())
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o711 {
		t.Errorf("directory mode %v, %v", fi.Mode(), err)
	}
}

// hashOfSesame is what tor --hash-password makes of "sesame".
const hashOfSesame = "16:AB30946F5F7E2077602C55724DA99D502264BFCAA9F5D5454C8833302A"

func TestControlPortPasswordIsUsedEvenWhereThereIsACookie(t *testing.T) {
	c := testConfig(t)
	c.Confine = Unconfined                           // its control socket is elsewhere
	private := filepath.Join(t.TempDir(), "private") // Tor insists on it
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(private, "c")
	c.ExtraTorrc = append(c.ExtraTorrc[:len(c.ExtraTorrc):len(c.ExtraTorrc)],
		"ControlSocket "+socket, "CookieAuthentication 1", "HashedControlPassword "+hashOfSesame)
	host := mustStart(t, c)
	for password, works := range map[string]bool{"sesame": true, "wrong": false, "": true} {
		e := Config{Mode: External, StateDir: t.TempDir(), Control: "unix:" + socket, ControlPassword: password, Confine: usualConfine}
		s, err := Start(t.Context(), e)
		if (err == nil) != works {
			t.Errorf("password %q: %v", password, err)
		}
		if err == nil {
			if s.TorVersion() == "" || s.Address() == host.Address() {
				t.Errorf("version %q, address %s", s.TorVersion(), s.Address())
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

// runningTor is a Tor with an onion service of its own, and the configuration of a service for it.
func runningTor(t *testing.T) (host *Service, c Config) {
	t.Helper()
	private := filepath.Join(t.TempDir(), "private") // Tor insists on it
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(private, "c")
	of := testConfig(t)
	of.Confine = Unconfined // its control socket is elsewhere
	of.ExtraTorrc = append(of.ExtraTorrc[:len(of.ExtraTorrc):len(of.ExtraTorrc)], "ControlSocket "+socket)
	host = mustStart(t, of)
	return host, Config{Mode: External, StateDir: t.TempDir(), Control: "unix:" + socket, Confine: usualConfine, askEvery: 100 * time.Millisecond,
		Log: func(level, msg string) { t.Logf("[%s] %s", level, msg) }}
}

// servicesOf are the lines of a Tor's onion services.
func servicesOf(t *testing.T, s *Service) []string {
	t.Helper()
	r, err := s.control.request(t.Context(), commandServices)
	if err != nil {
		t.Fatal(err)
	}
	return r.DataWithReply()
}

// TestReloadOfTheRunningTorDoesNotTakeTheService: a SIGHUP makes that Tor forget what came by SETCONF.
func TestReloadOfTheRunningTorDoesNotTakeTheService(t *testing.T) {
	host, c := runningTor(t)
	warned := make(chan struct{}, 1)
	log := c.Log
	c.Log = func(level, msg string) {
		log(level, msg)
		if level == "warn" && strings.Contains(msg, "has dropped the service") {
			warned <- struct{}{}
		}
	}
	s := mustStart(t, c)
	before := servicesOf(t, host)
	for range 2 {
		if err := syscall.Kill(host.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case <-warned:
		case <-s.Done():
			t.Fatal("ended: ", s.Err())
		case <-time.After(20 * time.Second):
			t.Fatal("not noticed")
		}
		deadline := time.Now().Add(20 * time.Second)
		for !slices.Equal(servicesOf(t, host), before) {
			if time.Now().After(deadline) {
				t.Fatalf("services %q, before the reload %q", servicesOf(t, host), before)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left := strings.Join(servicesOf(t, host), "\n")
	if strings.Contains(left, c.StateDir) || !strings.Contains(left, host.keyDir) {
		t.Errorf("left of the services: %s", left)
	}
}

// TestServiceThatCannotBeKeptEnds: nobody would notice otherwise that no client can come.
func TestServiceThatCannotBeKeptEnds(t *testing.T) {
	host, c := runningTor(t)
	s := mustStart(t, c)
	if err := os.RemoveAll(s.keyDir); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(host.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done(), 20*time.Second, "Done")
	if err := s.Err(); !errors.Is(err, ErrServiceDropped) {
		t.Errorf("Err is %v", err)
	}
	if now := strings.Join(servicesOf(t, host), "\n"); strings.Contains(now, c.StateDir) {
		t.Errorf("it got another key: %s", now)
	}
}
