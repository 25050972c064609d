package onion

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
		e := Config{Mode: External, StateDir: t.TempDir(), Control: "unix:" + socket, ControlPassword: password}
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
