package onion

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// passingKeyDir is the pattern of key directories that live no longer than the
// process; openRuntimeDir clears away what a killed one left.
const passingKeyDir = "ephemeral-"

// credentialKeyDir verifies the key of the credential and makes a directory of
// it for Tor, which wants one that it may write to.
func credentialKeyDir(c Config) (string, error) {
	below, err := filepath.Rel(c.StateDir, c.RuntimeDir)
	if err != nil {
		return "", fmt.Errorf("key credential: %w", err)
	}
	if below == "." || below != ".." && !strings.HasPrefix(below, "../") {
		return "", fmt.Errorf("key credential: the runtime directory %s lies in the state directory, where the key must not be written: set runtime_dir to another place, in a systemd unit by RuntimeDirectory=", c.RuntimeDir)
	}
	dir, err := os.MkdirTemp(c.RuntimeDir, passingKeyDir) // mode 0700
	if err != nil {
		return "", fmt.Errorf("key credential: %w", err)
	}
	secretly(func() {
		var found FoundKey
		if found, err = ReadKey(c.Credential); err == nil {
			err = found.Key.fill(dir)
		}
	})
	if err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("key credential: %w", err)
	}
	return dir, nil
}
