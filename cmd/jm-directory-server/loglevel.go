package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/admin"
)

func newLogLevelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log-level LEVEL",
		Short: "Change the log's level until the next reload",
		Long: `Changes how much the running server logs: debug, info, warn or error. The
configuration has it again at the next reload or restart: its key is log.level.
Debug names no peer either, unless log.unsafe is set.`,
		Example: `  jm-directory-server log-level debug
  jm-directory-server log-level info`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneArg("the level")(cmd, args); err != nil {
				return err
			}
			if !slices.Contains(logLevels, canonicalLevel(args[0])) {
				return terminal.UsageErrorf("log-level: must be one of %s, got %s", strings.Join(logLevels, ", "), showRaw(args[0]))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(logLevels, cobra.ShellCompDirectiveNoFileComp),
	}
	flags := addAdminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		level := canonicalLevel(args[0])
		done, err := flags.act(admin.LogLevelRequest{Level: level})
		if err != nil {
			return err
		}
		return sayDone(cmd, done, "the log's level is "+level+" until the next reload or restart")
	}
	return cmd
}
