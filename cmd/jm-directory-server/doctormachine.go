package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/isolation"
	"jm-directory-server/server/admin"
)

// What a peer costs, in bytes, as measured: in the directory when idle, and in Tor for its circuit.
const (
	bytesPerPeer    = 4 << 10
	bytesPerCircuit = 13 << 10
	bytesAtRest     = 120 << 20 // both processes without peers
)

// checkFiles compares the limit of open files with what the configuration needs. It is the limit of this shell or, in the
// service, that of the unit; checkServer sees the server's own.
func (d *doctor) checkFiles() {
	const check = "open files"
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		d.warn(check, "", "%v", err)
		return
	}
	need := uint64(d.Limits.MaxPeers + d.Limits.MaxHandshakes + spareFiles)
	if limit.Max < need {
		d.warn(check, "for the service the unit's LimitNOFILE= counts; elsewhere raise it (ulimit -n) or lower limits.max_peers",
			"this user may have %d, and limits.max_peers needs %d", limit.Max, need)
		return
	}
	d.ok(check, "%d allowed here, %d needed for limits.max_peers = %d", limit.Max, need, d.Limits.MaxPeers)
}

// checkMemory compares memory with what the configured peers need when they are idle.
func (d *doctor) checkMemory() {
	const check = "memory"
	available, ok := memoryAvailable()
	if !ok {
		d.warn(check, "", "the system does not say how much is available")
		return
	}
	if limit, ok := cgroupMemory(); ok && limit < available {
		available = limit
	}
	perPeer := uint64(bytesPerPeer)
	if d.Tor.Mode == "embedded" || d.Tor.Mode == "system" {
		perPeer += bytesPerCircuit
	}
	need := bytesAtRest + uint64(d.Limits.MaxPeers)*perPeer
	if need > available {
		d.warn(check, "lower limits.max_peers, or add memory", "%s available; %d idle peers need about %s", mebibytes(available), d.Limits.MaxPeers, mebibytes(need))
		return
	}
	d.ok(check, "%s available; %d idle peers need about %s", mebibytes(available), d.Limits.MaxPeers, mebibytes(need))
}

// memoryAvailable is MemAvailable of /proc/meminfo, in bytes.
func memoryAvailable() (uint64, bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	_, rest, ok := bytes.Cut(text, []byte("MemAvailable:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, false
	}
	kib, err := strconv.ParseUint(string(fields[0]), 10, 64)
	return kib << 10, err == nil
}

// cgroupMemory is the least memory.max of the control groups (version 2) of this process, in bytes; false without one.
func cgroupMemory() (least uint64, limited bool) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	_, path, ok := strings.Cut(string(text), "0::")
	if !ok {
		return 0, false
	}
	path, _, _ = strings.Cut(path, "\n")
	for dir := path; ; dir = filepath.Dir(dir) {
		if value, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", dir, "memory.max")); err == nil {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(value)), 10, 64); err == nil && (!limited || n < least) {
				least, limited = n, true
			}
		}
		if dir == "/" || dir == "." {
			return least, limited
		}
	}
}

// checkIsolation looks at what the kernel offers to keep the processes apart.
func (d *doctor) checkIsolation() {
	const check = "isolation"
	kernel := isolation.Probe()
	inForce := strings.Join(kernel.InForce(), ", ")
	lacks := strings.Join(kernel.Missing(), "; ")
	switch {
	case d.Isolation == isolationOff:
		d.warn(check, "set isolation = \"auto\"", "is off; this kernel could restrict %s", inForce)
	case lacks == "":
		d.ok(check, "of server and Tor, this kernel restricts %s", inForce)
	case d.Isolation == isolationRequire:
		d.fail(check, "use Linux 6.12 or newer with landlock in its lsm= list, or set isolation = \"auto\"", "this kernel cannot restrict %s: the server does not start", lacks)
	default:
		d.warn(check, "use Linux 6.12 or newer with landlock in its lsm= list", "this kernel cannot restrict %s", lacks)
	}
	if value, err := os.ReadFile("/proc/sys/vm/memfd_noexec"); err == nil && strings.TrimSpace(string(value)) == "2" {
		d.ok(check, "memory files may not be executed here (vm.memfd_noexec = 2): Tor is written to the runtime directory instead")
	}
}

// checkService looks at the service of systemd.
func (d *doctor) checkService(ctx context.Context) {
	const check = "service"
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() {
		d.ok(check, "this machine is not run by systemd")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", unitName, "-p", "LoadState,ActiveState,SubState,FragmentPath,DropInPaths,NRestarts,UnitFileState").Output()
	if err != nil {
		d.warn(check, "", "systemctl: %v", err)
		return
	}
	state := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		state[name] = value
	}
	d.judgeService(state)
}

// judgeService judges what systemctl show says of the unit.
func (d *doctor) judgeService(state map[string]string) {
	const check = "service"
	if state["LoadState"] != "loaded" {
		d.ok(check, "is not installed (%s); \"jm-directory-server install\" does so", state["LoadState"])
		return
	}
	path := state["FragmentPath"]
	switch state["ActiveState"] {
	case "active":
		d.ok(check, "is active (%s), from %s", state["SubState"], path)
	case "activating":
		d.warn(check, "systemctl status jm-directory-server says how far it is", "is starting")
	default:
		d.fail(check, "journalctl -u jm-directory-server -n 50; then systemctl start jm-directory-server", "is %s", state["ActiveState"])
	}
	if n, _ := strconv.Atoi(state["NRestarts"]); n > 0 { // 0 if it is none
		d.warn(check, "journalctl -u jm-directory-server says why", "was started anew %s", plural(n, "time"))
	}
	if state["UnitFileState"] == "disabled" {
		d.warn(check, "systemctl enable jm-directory-server", "does not start with the machine")
	}
	if text, err := os.ReadFile(path); err == nil && !sameUnit(string(text)) {
		d.warn(check, "run this file's \"install\" again, or upgrade the package; put your own changes into a drop-in (systemctl edit)", "the unit in %s is not the one of this version", path)
	}
	if state["DropInPaths"] != "" {
		d.ok(check, "is changed by %s", state["DropInPaths"])
	}
}

// sameUnit reports whether a unit is that of this version, but for where the program lies.
func sameUnit(text string) bool {
	plain := func(unit string) string {
		lines := strings.Split(unit, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "ExecStart=") {
				lines[i] = "ExecStart=" + filepath.Base(strings.TrimPrefix(line, "ExecStart="))
			}
		}
		return strings.Join(lines, "\n")
	}
	return plain(text) == plain(jmdirectoryserver.SystemdUnit)
}

// checkServer asks the running server.
func (d *doctor) checkServer(ctx context.Context, flags *adminFlags) {
	const check = "server"
	client, err := flags.connect()
	if err != nil {
		d.warn(check, adviceWithoutServer(err), "%s", why(err))
		return
	}
	defer client.close()
	r, _, err := client.status(ctx)
	if err != nil {
		d.fail(check, "systemctl restart jm-directory-server, and keep its log for a report", "%s", why(err))
		return
	}
	d.judgeServer(r)
}

// adviceWithoutServer says what to do when no server can be asked. One that is there must not be started again.
func adviceWithoutServer(err error) string {
	var none *notRunningError
	switch {
	case errors.As(err, &none):
		return "start it; if it runs elsewhere, --admin says where"
	case errors.Is(err, fs.ErrPermission):
		return "run doctor as root or as the server's user: key, state and store above are those of this user"
	default:
		return "--admin says where the server answers"
	}
}

// judgeServer judges the report of the running server.
func (d *doctor) judgeServer(r *admin.Report) {
	const check = "server"
	if r.Version != version {
		d.warn(check, "systemctl restart jm-directory-server", "runs version %s, and this file is %s", r.Version, version)
	}
	if r.Network != d.Network {
		d.warn(check, "give doctor the --config of that server; what is set by other flags of its is not known here", "serves %s, and this configuration says %s", r.Network, d.Network)
	}
	d.ok(check, "is %s, for %s, with %d of at most %d peers", r.ServerStatus, shortTime(seconds(r.UptimeSeconds).Truncate(time.Second)), r.ConnectedPeers.Total, r.MaxPeers)
	for _, advice := range r.Advice {
		d.warn(check, "", "%s", advice)
	}
	if t := r.Tor; t != nil {
		switch {
		case !t.Published && t.Bootstrap < 100:
			d.fail("onion", "allow outbound TCP, and look at the log", "Tor is at %d %% (%s)", t.Bootstrap, t.Phase)
		case !t.Published:
			d.fail("onion", "look at the clock and at the log", "Tor reached its network, and no directory has stored the descriptor")
		default:
			d.ok("onion", "the descriptor was uploaded %s ago", r.Time.Sub(t.LastUpload).Round(time.Second))
		}
		if len(t.Missing) > 0 {
			d.warn("onion", "use the embedded Tor", "the running Tor lacks %s", strings.Join(t.Missing, ", "))
		}
	}
	switch c := r.Check; {
	case c == nil:
	case !c.Enabled:
		d.warn("self-check", "set selfcheck.interval", "is switched off: nothing tells when clients cannot reach the directory")
	case c.At.IsZero():
		d.ok("self-check", "has not been made yet")
	case !c.OK:
		d.fail("self-check", "look at the log; if it does not pass within minutes, restart", "fails: %s", c.Reason)
	default:
		d.ok("self-check", "passed %s ago: %s to connect, %s for handshake and message", r.Time.Sub(c.At).Round(time.Second), c.Dial.Round(time.Millisecond), c.Latency.Round(time.Millisecond))
	}
	if p := r.Process; p.MaxFDs > 0 && p.MaxFDs < uint64(r.MaxPeers+r.Outbox.MaxHandshakes+spareFiles) {
		d.fail(check, "raise LimitNOFILE= (ulimit -n), or lower limits.max_peers", "it may have %d files open, and limits.max_peers needs %d", p.MaxFDs, r.MaxPeers+r.Outbox.MaxHandshakes+spareFiles)
	}
}
