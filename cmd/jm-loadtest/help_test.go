package main

import (
	"testing"

	"jm-directory-server/cmd/terminal/helptest"
)

func TestHelpFitsATerminal(t *testing.T) {
	helptest.Fits(t, newRootCommand(), 19, func(args []string) string {
		code, out, errs := runs(t, args...)
		if code != exitOK || out == "" || errs != "" {
			t.Errorf("%q: exit code %d, said %q", args, code, errs)
		}
		return out
	})
}
