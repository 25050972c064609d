package onion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/cretz/bine/process"
)

// source is a Tor that we can start: an executable, or code in our own process.
type source struct {
	version string
	pow     bool // it has the proof-of-work module
	exe     executable
	linked  bool // exe may need a dynamic linker and libraries
	inside  process.Creator
}

// toolWait bounds a look at an executable, e.g. tor --version.
const toolWait = 10 * time.Second

// usualPlaces is where a tor may be that is not on PATH.
var usualPlaces = []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin", "/sbin"}

// findTor returns path, or the tor of this host if path is "".
func findTor(path string) (string, error) {
	if path != "" {
		return exec.LookPath(path)
	}
	if p, err := exec.LookPath("tor"); err == nil {
		return filepath.Abs(p)
	}
	for _, dir := range usualPlaces {
		p := filepath.Join(dir, "tor")
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", errors.New("no tor on PATH or in the usual places: install tor, or name it, or use the embedded one")
}

var powModule = regexp.MustCompile(`(?m)^pow: yes$`)

// system finds the tor of this host and asks it what it is.
func system(ctx context.Context, c Config) (*source, error) {
	path, err := findTor(c.TorPath)
	if err != nil {
		return nil, fmt.Errorf("system tor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, toolWait)
	defer cancel()
	ask := func(arg string) (string, error) {
		cmd := exec.CommandContext(ctx, path, arg)
		cmd.Env = []string{"LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("system tor: %s %s: %w", path, arg, err)
		}
		return string(out), nil
	}
	out, err := ask("--version")
	if err != nil {
		return nil, err
	}
	_, version, err := parseVersion(out)
	if err != nil {
		return nil, fmt.Errorf("system tor: %s: %w", path, err)
	}
	// A Tor before 0.4.2 does not know this; it is refused for its version.
	modules, _ := ask("--list-modules")
	return &source{version: version, pow: powModule.MatchString(modules), exe: hostFile(path), linked: true}, nil
}
