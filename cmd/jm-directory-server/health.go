package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/admin"
)

// The exit codes of health, which are those that monitors take for OK, WARNING, CRITICAL and UNKNOWN.
const (
	healthReady    = 0
	healthNotReady = 1
	healthNotLive  = 2
	healthUnknown  = 3
)

func newHealthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say by exit code whether the directory works",
		Long: `Asks the running server whether it does what it is there for, prints "ok" or
what is wrong, one line for each problem, and ends with

  0  clients can reach the directory
  1  the server runs, but newcomers cannot reach it or are refused (drain)
  2  the server does not move; also a wrong command line
  3  no server is running, or it cannot be asked

which monitors take for OK, WARNING, CRITICAL and UNKNOWN. Before the first
descriptor is uploaded, a minute or two after the start, it is 1.`,
		Example: `  jm-directory-server health
  jm-directory-server health --quiet || echo "the directory needs a look"`,
		Args: terminal.NoArgs,
	}
	flags := addAdminFlags(cmd)
	quiet := switchFlag(cmd, "quiet", "print nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := flags.health()
		var usage terminal.UsageError
		var wrong problems
		switch {
		case errors.As(err, &usage) || errors.As(err, &wrong):
			return err
		case err != nil:
			if !*quiet {
				fmt.Fprintf(cmd.ErrOrStderr(), "jm-directory-server: %v\n", err)
			}
			return exitError(healthUnknown)
		}
		code := healthCode(h)
		if *quiet {
			return code
		}
		for _, line := range healthLines(h) {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
				return err
			}
		}
		return code
	}
	return cmd
}

// health asks the running server.
func (f *adminFlags) health() (*admin.Health, error) {
	client, err := f.connect()
	if err != nil {
		return nil, err
	}
	defer client.close()
	return client.health(f.cmd.Context())
}

// healthCode is the exit code, nil for healthReady.
func healthCode(h *admin.Health) error {
	switch {
	case !h.Live:
		return exitError(healthNotLive)
	case !h.Ready || len(h.Problems) > 0:
		return exitError(healthNotReady)
	default:
		return nil
	}
}

// healthLines is what to print.
func healthLines(h *admin.Health) []string {
	lines := make([]string, len(h.Problems))
	for i, p := range h.Problems {
		lines[i] = cleanText(p, 4*maxLogText)
	}
	switch {
	case len(lines) > 0:
	case !h.Live:
		lines = append(lines, "the server does not move")
	case !h.Ready:
		lines = append(lines, "clients cannot reach the directory")
	default:
		lines = append(lines, "ok")
	}
	return lines
}
