package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"jm-directory-server/server"
)

// TestNothingThatIsWrittenNamesWhoTookPart runs a busy directory with all kinds of peers, until each reason has occurred for which a
// server refuses, drops or ends anything, and looks through everything that it writes: the log with its debug lines, what its service
// manager is told, what commands print, status, metrics, history, page, bans, the names of its process and threads, and each file of
// its state directory. None of it may have a name or a word of those who took part, or tell circuits apart but for debug lines.
func TestNothingThatIsWrittenNamesWhoTookPart(t *testing.T) {
	manager := listenNotify(t)
	b := &busyRun{wholeProgram: startProgramWith(t, busyText, newDir(t), "1024"), written: make(map[string]string)}
	b.handshakes()
	b.nicks()
	b.messages()
	b.look("while peers are here")
	b.lines()
	b.floods()
	b.operator()
	b.slow()
	b.silent()
	for _, r := range server.Reasons() {
		if elsewhere[r] == "" {
			b.reach(r)
		}
	}
	b.look("after all that")
	checkNoDumps(t, b.cmd.Process.Pid)
	b.signal(unix.SIGUSR1)
	b.eventually("the status is in the log", func() bool { return strings.Contains(b.log(), "msg=status") })
	if code := b.signal(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	b.lookAtFiles()
	for told := ""; !strings.Contains(told, "STOPPING=1"); {
		told = <-manager
		b.written["service manager"] += told + "\n"
	}
	for _, there := range [][2]string{
		{"log", "level=debug"}, {"log", "msg=stopped"}, {"log", "evicted_shutdown="}, {"service manager", "configuration is read anew"},
		{"/metrics after all that", "forged_sender"}, {"/ while peers are here", "<html"}, {b.path("state/directory.db"), "floods"},
	} {
		if !strings.Contains(b.written[there[0]], there[1]) {
			t.Errorf("%s does not contain %q", there[0], there[1])
		}
	}

	traces := b.traces()
	debug := regexp.MustCompile(`(?m)^.* level=debug .*$`)
	for what, text := range b.written {
		lower := strings.ToLower(text)
		for trace, whose := range traces {
			if strings.Contains(text, trace) || utf8.ValidString(trace) && strings.Contains(lower, strings.ToLower(trace)) {
				t.Errorf("%s contains %q, of %q", what, trace, whose)
			}
		}
		for _, trace := range []string{"fc00:dead", fmt.Sprint(firstCircuit)[:7], fmt.Sprintf("%x", firstCircuit)[:6]} {
			if strings.Contains(debug.ReplaceAllString(lower, ""), trace) { // debug lines may have numbers of circuits
				t.Errorf("%s contains %q, of a circuit", what, trace)
			}
		}
	}
}

// traces are what must not be written, with whose it is: names and keys, also cut, encoded, or hashed without a secret; and what was
// said.
func (b *busyRun) traces() map[string]string {
	names := append([]string{wholeNick(999)}, b.secrets...)
	for i := range b.peers {
		names = append(names, wholeNick(i+1))
	}
	traces := map[string]string{said: "all"}
	for _, name := range names {
		whole := strings.TrimSuffix(name, ".onion")
		traces[whole[2:10]], traces[whole[len(whole)/2:]] = name, name
		long, short, old := sha256.Sum256([]byte(name)), sha1.Sum([]byte(name)), md5.Sum([]byte(name))
		for _, raw := range [][]byte{[]byte(name), long[:], short[:], old[:]} {
			begin := raw[:len(raw)/3*3] // whose base64 is the same whatever follows
			for _, trace := range []string{
				string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(begin), base64.URLEncoding.EncodeToString(begin),
			} {
				traces[trace] = name
			}
		}
	}
	return traces
}

// say runs a command and keeps what it prints.
func (b *busyRun) say(args ...string) {
	b.t.Helper()
	b.written[fmt.Sprintf("%d: %s", len(b.written), args[0])] = b.command(args...)
}

// look keeps what can be seen of the running program.
func (b *busyRun) look(when string) {
	b.t.Helper()
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"status", "--reasons"}, {"bans"}, {"bans", "--json"}, {"doctor"}, {"health"}} {
		b.say(args...)
	}
	for _, path := range []string{"/", "/status", "/metrics", "/history", "/bans", "/health", "/livez", "/readyz", "/store"} {
		b.written[path+" "+when] = b.get(path)
	}
	process := fmt.Sprintf("/proc/%d", b.cmd.Process.Pid)
	names, err := filepath.Glob(process + "/task/*/comm")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range append(names, process+"/cmdline") {
		text, _ := os.ReadFile(name) // the thread may have ended
		b.written[name+" "+when] = string(text)
	}
}

// lookAtFiles keeps the log and each file of the state directory.
func (b *busyRun) lookAtFiles() {
	b.written["log"] = b.log()
	err := filepath.WalkDir(b.path("state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		b.written[path] = string(text)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
