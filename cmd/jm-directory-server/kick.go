package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

// targetHelp says what a TARGET is, in the help of commands that take one.
const targetHelp = `TARGET is a nick, conn:HEX as the debug log writes connections, or
circuit:NUMBER for all connections on one circuit of Tor.`

// targetArg wants one argument that names somebody to act on, as a usage error.
func targetArg(cmd *cobra.Command, args []string) error {
	if err := oneArg("a nick, conn:HEX or circuit:NUMBER")(cmd, args); err != nil {
		return err
	}
	if _, err := server.ParseTarget(args[0]); err != nil {
		return terminal.UsageErrorf("%s: the target %w, got %s", cmd.Name(), err, showRaw(args[0]))
	}
	return nil
}

func newKickCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kick TARGET",
		Short: "End connections of a peer",
		Long: `Ends the connections of a target at once. Clients come back by themselves; "ban"
keeps them out.

` + targetHelp,
		Example: `  jm-directory-server kick J5AbCdEfGhJkMnPq
  jm-directory-server kick conn:1f
  jm-directory-server kick circuit:26`,
		Args:              targetArg,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAdminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		done, err := flags.act(admin.KickRequest{Target: args[0]})
		if err != nil {
			return err
		}
		if done.Connections == nil {
			return fmt.Errorf("kick: %w", errNotAdmin)
		}
		return sayDone(cmd, done, "ended "+plural(*done.Connections, "connection"))
	}
	return cmd
}

// act has the running server do what the command is named after; request is that of package admin.
func (f *adminFlags) act(request any) (*admin.Done, error) {
	client, err := f.connect()
	if err != nil {
		return nil, err
	}
	defer client.close()
	done := new(admin.Done)
	if err := client.act(f.cmd.Context(), f.cmd.Name(), request, done); err != nil {
		return nil, fmt.Errorf("%s: %w", f.cmd.Name(), err)
	}
	return done, nil
}

// sayDone prints what was done, and the server's warning.
func sayDone(cmd *cobra.Command, d *admin.Done, text string) error {
	if d.Warning != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", cleanText(d.Warning, 4*maxLogText))
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
