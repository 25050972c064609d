package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cretz/bine/control"
	"github.com/cretz/bine/torutil"
)

// attach publishes the service through a Tor that already runs. If that Tor
// can reach our files, it gets a HiddenServiceDir like one of our own; else the
// key goes over the control port (ADD_ONION), which knows neither circuit ids
// nor the introduction DoS defence.
func (s *Service) attach(ctx context.Context) error {
	conn, err := dialControl(ctx, s.config.Control)
	if err != nil {
		return err
	}
	if conn, err = s.guarded(conn); err != nil {
		return err
	}
	if s.control, err = newChannel(ctx, conn, s.config.ControlPassword); err != nil {
		return fmt.Errorf("control port %s: %w", s.config.Control, err)
	}
	s.watch()
	text, err := s.control.info(ctx, "version")
	if err != nil {
		return err
	}
	advice, err := checkVersion(text)
	if err != nil {
		return err
	}
	_, s.version, _ = parseVersion(text)
	s.bootstrap.version(advice, time.Now())
	if err := s.control.subscribe(ctx, control.EventCodeLogWarn, control.EventCodeLogErr,
		control.EventCodeStatusClient, control.EventCodeStatusGeneral, control.EventCodeHSDesc); err != nil {
		return err
	}
	phase, err := s.control.info(ctx, "status/bootstrap-phase")
	if err != nil {
		return err
	}
	s.event(&control.StatusEvent{Raw: phase})

	uid, same, err := s.peer(ctx)
	if err != nil {
		return err
	}
	if same && !s.config.addOnion {
		err := s.addDir(ctx)
		var refused *textproto.Error
		if err == nil || !errors.As(err, &refused) {
			return err
		}
		s.log("warn", "the running Tor refuses our key directory: "+scrub(refused.Msg))
	}
	return s.addOnion(ctx, uid)
}

// dialControl connects to "unix:PATH" or "HOST:PORT".
func dialControl(ctx context.Context, where string) (net.Conn, error) {
	network, addr := "tcp", where
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		network, addr = "unix", path
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("control port %s: %w: is Tor running, and does its torrc have ControlPort or ControlSocket?", where, err)
	}
	return conn, nil
}

// peer returns the user that Tor runs as, and whether it sees our files: it
// must be the same user, or root, in the same mount namespace.
func (s *Service) peer(ctx context.Context) (uid int, same bool, err error) {
	text, err := s.control.info(ctx, "process/uid")
	if err != nil {
		return 0, false, err
	}
	if uid, err = strconv.Atoi(text); err != nil {
		return 0, false, fmt.Errorf("tor's user id %q: %w", text, err)
	}
	if uid != os.Geteuid() && uid != 0 {
		return uid, false, nil
	}
	pid, err := s.control.info(ctx, "process/pid")
	if err != nil {
		return 0, false, err
	}
	theirs, err := os.Readlink(filepath.Join("/proc", pid, "ns/mnt"))
	if err != nil { // not to be seen: another pid namespace, or not our business
		return uid, false, nil
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	return uid, err == nil && ours == theirs, nil
}

// addDir adds a HiddenServiceDir to those that Tor has. SETCONF sets all of
// them at once, so the others are repeated.
func (s *Service) addDir(ctx context.Context) error {
	others, _, err := s.services(ctx)
	if err != nil {
		return err
	}
	if err := s.configure(ctx, others); err != nil {
		return err
	}
	s.accept()
	s.keep, s.retire = s.keepDir, s.removeDir
	return nil
}

// keepDir adds our service again where Tor has dropped it: one that reads its
// torrc anew (SIGHUP, "systemctl reload tor") forgets what came by SETCONF. The
// error wraps ErrServiceDropped if Tor does not take it.
func (s *Service) keepDir(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.leaveTurn()
	if err := ctx.Err(); err != nil { // Close may have taken it off by now
		return err
	}
	others, there, err := s.services(ctx)
	if err != nil || there {
		return err
	}
	// Tor would make a key of its own, another address, or end with all its services where it cannot read the directory.
	if fi, err := os.Stat(filepath.Join(s.keyDir, secretName)); err != nil || !fi.Mode().IsRegular() {
		return errors.Join(fmt.Errorf("%w, and its key is not there any more", ErrServiceDropped), err)
	}
	s.log("warn", "the running Tor has dropped the service, as it does when it reads its torrc anew: clients were cut off; it is added again")
	err = s.control.setConf(ctx, append(others, s.options()...)...)
	var refused *textproto.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrServiceDropped, err)
	}
	return err
}

// removeDir leaves Tor the other services.
func (s *Service) removeDir(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.leaveTurn()
	others, _, err := s.services(ctx)
	if err == nil {
		_, err = s.control.request(ctx, withoutOurs(others))
	}
	if err != nil {
		return fmt.Errorf("take the service off the running Tor: %w", err)
	}
	return nil
}

// services are the options of all onion services in Tor's configuration but
// ours, and whether ours is there.
func (s *Service) services(ctx context.Context) (others []option, there bool, err error) {
	r, err := s.control.request(ctx, commandServices)
	if err != nil {
		return nil, false, err
	}
	return withoutService(r.DataWithReply(), s.keyDir)
}

// withoutService reads the answer to GETCONF HiddenServiceOptions and leaves
// out the service whose directory is dir, if that is there.
func withoutService(lines []string, dir string) (others []option, there bool, err error) {
	ours := false
	for _, l := range lines {
		key, value, ok := strings.Cut(l, "=")
		if !ok { // the bare name: there is none
			continue
		}
		value, err := torutil.UnescapeSimpleQuotedStringIfNeeded(value)
		if err != nil {
			return nil, false, fmt.Errorf("services of the running Tor: %w", err)
		}
		if strings.EqualFold(key, "HiddenServiceDir") {
			ours = filepath.Clean(value) == filepath.Clean(dir)
			there = there || ours
		}
		if !ours {
			others = append(others, option{key, value})
		}
	}
	return others, there, nil
}

// addOnion hands the key over the control port. The service ends with our
// control channel.
func (s *Service) addOnion(ctx context.Context, uid int) error {
	s.features, s.byControl = serviceFeatures{pow: s.config.PoW}, true
	path := s.socket.Addr().String()
	if strings.ContainsAny(path, " \t") {
		return fmt.Errorf("socket %q: Tor's ADD_ONION takes no path with blanks: choose another runtime directory", path)
	}
	if uid != os.Geteuid() && uid != 0 {
		if err := openTo(path, uid); err != nil {
			return err
		}
	}
	// The request is a text, which stays in our memory until that is used for something else.
	add := func() error {
		key, err := LoadKey(s.keyDir)
		if err == nil {
			_, err = s.control.request(ctx, addOnionRequest(s.config, key, path, s.features.pow))
		}
		return err
	}
	err := add()
	var refused *textproto.Error
	if errors.As(err, &refused) && s.features.pow {
		s.noPoW()
		err = add()
	}
	if err != nil {
		return fmt.Errorf("add the service to the running Tor: %w", err)
	}
	s.accept()
	s.log("warn", "the running Tor got the key over its control port: circuit ids and the introduction DoS defence are off, and the number of introduction points is its own")
	s.retire = func(ctx context.Context) error {
		_, err := s.control.request(ctx, commandDelOnion+strings.TrimSuffix(s.Address(), ".onion"))
		if err != nil {
			return fmt.Errorf("take the service off the running Tor: %w", err)
		}
		return nil
	}
	return nil
}

// addOnionRequest is ADD_ONION as Tor 0.4.8 takes it (control-spec, ADD_ONION).
// bine has no fields for proof of work.
func addOnionRequest(c Config, key SecretKey, socket string, pow bool) string {
	var b strings.Builder
	b.WriteString("ADD_ONION " + key.blob())
	if c.MaxStreams > 0 {
		fmt.Fprintf(&b, " Flags=MaxStreamsCloseCircuit MaxStreams=%d", c.MaxStreams)
	}
	if pow {
		fmt.Fprintf(&b, " PoWDefensesEnabled=1 PoWQueueRate=%d PoWQueueBurst=%d", c.PoWQueueRate, c.PoWQueueBurst)
	}
	fmt.Fprintf(&b, " Port=%d,unix:%s", c.VirtualPort, socket)
	return b.String()
}

// openTo lets another user's Tor connect to our socket: its owner if we may
// change that, else every user of this host, as with a loopback port. All
// directories above must be open to it.
func openTo(socket string, uid int) error {
	dir := filepath.Dir(socket)
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("runtime directory: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		fi, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("runtime directory: %w", err)
		}
		if fi.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("tor runs as user %d, which cannot enter %s (mode %04o) and so not reach the socket %s: choose a runtime directory that it can enter, or tor mode off with a HiddenServicePort line in its torrc", uid, d, fi.Mode().Perm(), socket)
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(socket, uid, -1); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		return nil
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}
