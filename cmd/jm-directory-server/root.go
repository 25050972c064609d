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
	checkArguments(root)
	return root
}

// checkArguments refuses arguments of cobra's own commands that make no sense: it ignores them, or the exit code is 1. What "help" says
// of itself is ours.
func checkArguments(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = commandOf, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = noArgs
			}
		case "help":
			cmd.Short, cmd.Long = "Show the help of a command", "Shows the help of a command, as --help behind it does."
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return usageError{err}
				}
				return commandOf(found, rest)
			}
		}
	}
}

// commandOf refuses what is no command below cmd, as a usage error.
func commandOf(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageErrorf("unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return nil
}

// commandName is all words of a command without the program's name.
func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// noArgs refuses arguments, as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageErrorf("%s takes no argument, got %q", commandName(cmd), args[0])
	}
	return nil
}
