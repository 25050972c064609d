package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	settleTime = 100 * time.Millisecond
	goleak.VerifyTestMain(m)
}

// runs runs the program.
func runs(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

const testOnion = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:5222"

func TestCommandLineThatMakesNoSenseIsExitCode2(t *testing.T) {
	for _, test := range []struct{ line, says string }{
		{"brodcast", `did you mean "broadcast"?`},
		{"ramp", "--target is missing"},
		{"ramp --unknown", "unknown flag"},
		{"ramp --unknown", `See "jm-loadtest ramp --help".`},
		{"ramp more --target unix:x", "takes no argument"},
		{"ramp --target 192.0.2.1:5222", "only a directory on this machine can be loaded"},
		{"ramp --target unix:x --peers 1", "must be 2 to"},
		{"ramp --target unix:x --peers 30000", "must be 2 to"},
		{"ramp --target unix:x --network bitcoin", "--network"},
		{"ramp --target unix:x --pid 2000000000", "--pid"},
		{"ramp --target unix:x --socks 127.0.0.1:9050", "--socks is for an onion"},
		{"broadcast --target unix:x --size 10", "--size 10"},
		{"broadcast --target unix:x --size 40000", "--size 40000"},
		{"broadcast --target unix:x --burst --rate 1", "--rate and --burst exclude each other"},
		{"broadcast --target unix:x --window 1 --rate 1", "--window and --rate exclude each other"},
		{"broadcast --target unix:x --burst --duration 1s", "exclude each other"},
		{"private --target unix:x --light --window 2", "exclude each other"},
		{"ramp --target unix:x --duration 1s", "unknown flag: --duration"},
		{"broadcast --target unix:x --window 0", "--window 0"},
		{"broadcast --target unix:x --duration 0s", "--duration 0s"},
		{"private --target unix:x --rate 1", "--rate needs --light"},
		{"slow --target unix:x --peers 10 --slow 9", "--slow 9"},
		{"churn --target unix:x --share 1", "--share 1"},
		{"soak --target unix:x --rate 0", "soak needs"},
		{"all --target unix:x --scale 2", "--scale 2"},
		{"limit --procs 0", "--procs 0"},
		{"help rmap", `unknown command "rmap" for "jm-loadtest"; did you mean "ramp"?`},
		{"completion csh", `unknown command "csh" for "jm-loadtest completion"`},
		{"completion bash x", `completion bash takes no argument, got "x"`},
	} {
		code, out, errs := runs(t, strings.Fields(test.line)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, test.says) {
			t.Errorf("%s: exit code %d, said %q and %q", test.line, code, out, errs)
		}
	}
}

// TestOnionIsProbedInBoundsOnly guards that no flag turns this program on somebody else's service.
func TestOnionIsProbedInBoundsOnly(t *testing.T) {
	const good = " --target " + testOnion + " --socks 127.0.0.1:1 --rate 1"
	for _, line := range []string{
		"ramp --peers 5 --target " + testOnion,
		"ramp --peers 5 --target " + testOnion + " --rate 1",
		"ramp --peers 5 --target " + testOnion + " --socks 127.0.0.1:1",
		"ramp --peers 5 --target " + testOnion + " --socks 127.0.0.1:1 --rate 10.5",
		"ramp --peers 5 --target " + testOnion + " --socks 192.0.2.1:9050 --rate 1",
		"ramp --peers 21" + good,
		"broadcast --peers 5 --duration 11m" + good,
		"ramp --peers 5 --pid 1" + good,
		"broadcast --peers 5 --burst" + good,
		"private --pairs 2" + good,
		"orderbook --makers 20" + good,
		"soak --peers 5" + good,
		"slow --peers 5 --target " + testOnion,
		"overload --peers 5 --target " + testOnion,
		"churn --peers 5 --target " + testOnion,
		"reconnect --peers 5 --target " + testOnion,
		"all --scale 0.001 --target " + testOnion,
	} {
		if code, out, errs := runs(t, strings.Fields(line)...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%s: exit code %d, said %q and %q", line, code, out, errs)
		}
	}
	_, _, errs := runs(t, "ramp", "--target", testOnion)
	for _, bound := range []string{"--socks", "--rate at most 10 ", "--peers at most 20", "--duration at most 10m"} {
		if !strings.Contains(errs, bound) {
			t.Errorf("the error does not name %s: %s", bound, errs)
		}
	}
}

func TestHelpNamesEveryScenario(t *testing.T) {
	code, out, _ := runs(t)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, name := range []string{"ramp", "broadcast", "private", "orderbook", "slow", "overload", "churn", "reconnect", "peerlist", "soak", "all", "limit"} {
		if !strings.Contains(out, "\n  "+name+" ") {
			t.Errorf("no %s in %s", name, out)
		}
	}
}

func TestWhatCannotBeReachedIsExitCode1(t *testing.T) {
	code, out, errs := runs(t, "ramp", "--target", "unix:"+t.TempDir()+"/none", "--peers", "3")
	if code != exitFailed || !strings.Contains(out, "3 refused (connect: no such file or directory)") || errs == "" {
		t.Errorf("exit code %d, said %q and %q", code, out, errs)
	}
}
