package main

import (
	"bytes"
	"testing"

	"jm-directory-server/cmd/terminal/helptest"
)

func TestHelpFitsATerminal(t *testing.T) {
	helptest.Fits(t, newRootCommand(), 30, func(args []string) string {
		var out, errs bytes.Buffer
		if code := execute(args, &out, &errs); code != exitOK || out.Len() == 0 || errs.Len() > 0 {
			t.Errorf("%q: exit code %d, said %q", args, code, &errs)
		}
		return out.String()
	})
}
