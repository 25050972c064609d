package vanity

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runTor starts a Tor that stays offline on a HiddenServiceDir, and returns the host name that it writes there.
func runTor(t *testing.T, tor, dir string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	torrc := filepath.Join(t.TempDir(), "torrc")
	if err := os.WriteFile(torrc, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, tor, "-f", torrc, "--defaults-torrc", torrc,
		"--DataDirectory", t.TempDir(), "--SocksPort", "0", "--DisableNetwork", "1",
		"--HiddenServiceDir", dir, "--HiddenServicePort", "5222 unix:"+filepath.Join(t.TempDir(), "s"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		<-ended
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "hostname")); err == nil && bytes.HasSuffix(b, []byte("\n")) {
			stop()
			return strings.TrimSpace(string(b))
		}
		select {
		case err := <-ended:
			t.Fatalf("tor ended: %v\n%s", err, log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
