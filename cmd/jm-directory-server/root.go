package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

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
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return terminal.UsageErrorf("%w", err)
	})
	flags := addConfigFlags(root)
	root.Args = terminal.CommandOf
	root.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd, flags) }
	root.AddCommand(newRunCommand(), newCheckConfigCommand(), newStatusCommand(), newHealthCommand(),
		newKickCommand(), newBanCommand(), newUnbanCommand(), newBansCommand(),
		newDrainCommand(), newMOTDCommand(), newLogLevelCommand(), newKeyCommand(), newBackupCommand(), newRestoreCommand(),
		newDoctorCommand(), newInstallCommand(), newUninstallCommand(), newVersionCommand())
	terminal.FitHelp(root)
	return root
}
