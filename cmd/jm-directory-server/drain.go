package main

import (
	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/admin"
)

func newDrainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Refuse newcomers, keep the peers",
		Long: `Makes the running server refuse newcomers, with a reason, while it goes on
serving the peers it has. It is for the time before maintenance: clients have
several directories and use the others. A restart ends it, and so does --off.`,
		Example: `  jm-directory-server drain
  jm-directory-server drain --off`,
		Args: terminal.NoArgs,
	}
	flags := addAdminFlags(cmd)
	off := switchFlag(cmd, "off", "let newcomers in again")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		done, err := flags.act(admin.DrainRequest{On: !bool(*off)})
		if err != nil {
			return err
		}
		if *off {
			return sayDone(cmd, done, "newcomers are let in again")
		}
		return sayDone(cmd, done, `newcomers are refused until "drain --off" or a restart`)
	}
	return cmd
}
