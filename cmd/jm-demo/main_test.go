package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"jm-directory-server/cmd/terminal/helptest"
)

func TestMain(m *testing.M) {
	if script := os.Getenv(ownerOf); script != "" {
		own(script)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestCommandLineThatMakesNoSenseIsExitCode2(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--server", "x"}, {"--tor", "x"}, {"--server", "x", "--tor", "y", "more"}, {"--unknown"},
		{"--server", "x", "--tor", "y", "--admin", "127.0.0.1:1"}, {"--server", "x", "--tor", "y", "--crowd", "-1s"},
		{"--server", "x", "--tor", "y", "--crowd", "1s", "--peers", "0"},
	} {
		var out, errs bytes.Buffer
		if code := execute(args, &out, &errs); code != exitUsage || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: exit code %d, said %q and %q", args, code, out.String(), errs.String())
		}
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	var out, errs bytes.Buffer
	execute([]string{"--help"}, &out, &errs)
	helptest.Lines(t, out.String()+errs.String())
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute([]string{"--help"}, &out, &errs); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, flag := range []string{"-server PATH", "-tor PATH", "-v", "-crowd time", "-peers number", "-admin address"} {
		if !strings.Contains(errs.String(), flag) {
			t.Errorf("no %s in %q", flag, errs.String())
		}
	}
}

func TestExecutableThatIsMissingIsNamed(t *testing.T) {
	var out, errs bytes.Buffer
	missing := t.TempDir() + "/none"
	if code := execute([]string{"--server", missing, "--tor", missing}, &out, &errs); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(out.String(), "failed: --server: ") || !strings.Contains(out.String(), missing) {
		t.Errorf("said %q", out.String())
	}
}
