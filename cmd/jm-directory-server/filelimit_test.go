package main

import (
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
)

func TestAFileLimitThatIsTooLowIsSaidWithItsNumbers(t *testing.T) {
	c := DefaultConfig()
	c.Limits.MaxPeers, c.Limits.MaxHandshakes = 1_000_000_000, 1_000_000_000
	var b strings.Builder
	log := logrus.New()
	log.SetOutput(&b)
	if err := raiseFileLimit(&c, log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "= 2000000100") {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	c.Limits.MaxPeers, c.Limits.MaxHandshakes = 1, 1
	if err := raiseFileLimit(&c, log); err != nil || b.Len() > 0 {
		t.Errorf("got %q, %v", b.String(), err)
	}
}
