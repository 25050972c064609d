package main

import (
	"fmt"
	"strings"

	"jm-directory-server/cmd/terminal"

	"github.com/spf13/cobra"
)

// usageError is a command line that makes no sense: exit code 2.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError is the exit code of a command that has said already what it means.
type exitError int

// Error implements error.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// newRootCommand returns the whole command line. Without a command it is that of "run".
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "jm-directory-server",
		Short: "JoinMarket directory server with its own Tor",
		Long: `A directory server for JoinMarket with its own Tor inside: makers and takers
find each other through it. Without a command it runs the server.`,
		Example: `  jm-directory-server
  jm-directory-server run --config /etc/jm-directory-server/config.toml
  jm-directory-server run --network signet --ephemeral
  jm-directory-server run --tor off --listen unix:/run/jm/directory.sock
  jm-directory-server check-config --example > config.toml
  jm-directory-server status --watch`,
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{err}
	})
	flags := addConfigFlags(root)
	root.Args = func(cmd *cobra.Command, args []string) error {
		// What cobra says of an unknown command has its suggestions on lines of their own.
		if err := cobra.NoArgs(cmd, args); err != nil {
			text := err.Error()
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += `; did you mean "` + strings.Join(near, `" or "`) + `"?`
			}
			return usageErrorf("%s", text)
		}
		return nil
	}
	root.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd, flags) }
	root.AddCommand(newRunCommand(), newCheckConfigCommand(), newStatusCommand(), newHealthCommand(),
		newKickCommand(), newBanCommand(), newUnbanCommand(), newBansCommand(),
		newDrainCommand(), newMOTDCommand(), newLogLevelCommand(), newKeyCommand(), newBackupCommand(), newRestoreCommand(),
		newDoctorCommand(), newInstallCommand(), newUninstallCommand(), newVersionCommand())
	terminal.FitHelp(root)
	return root
}

// noArgs refuses arguments, as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageErrorf("%s takes no argument, got %q", cmd.Name(), args[0])
	}
	return nil
}
