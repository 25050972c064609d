package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server"
	"jm-directory-server/server/admin"
)

// banEnd says when a ban ends.
func banEnd(b *admin.Ban) string {
	switch {
	case !b.Expires.IsZero():
		return b.Expires.UTC().Format("2006-01-02 15:04 MST")
	case b.Kind == server.BanCircuit:
		return "its end"
	default:
		return "unban"
	}
}

func newBanCommand() *cobra.Command {
	lasts := durationFlag(24 * time.Hour)
	var reason string
	cmd := &cobra.Command{
		Use:   "ban TARGET",
		Short: "End connections of a peer and keep it out",
		Long: `Ends the connections of a target and refuses it when it comes back. Of a
connection the nick is banned. Of a nick that its owner has proven, the key
behind it is banned; of one that nobody has proven, the name, which anybody can
have used: keep that short. A circuit is banned for as long as it lives. Who is
banned already is banned anew, for the same reason unless another is given.

` + targetHelp,
		Example: `  jm-directory-server ban J5AbCdEfGhJkMnPq --for 3d --reason floods
  jm-directory-server ban circuit:26 --for 0`,
		Args:              targetArg,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAdminFlags(cmd)
	cmd.Flags().Var(&lasts, "for", "how long, a `time` such as 90m, 12h, 7d or 1d12h; 0 until \"unban\"")
	cmd.Flags().StringVar(&reason, "reason", "", "`text` that the banned are told")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := time.Duration(lasts)
		if d != 0 && d < time.Second {
			return terminal.UsageErrorf("--for: must be a second or more, or 0 until it is taken back, got %v", &lasts)
		}
		if err := server.CheckBanReason(reason); err != nil {
			return terminal.UsageErrorf("--reason: %s", strings.TrimPrefix(err.Error(), "ban: the reason "))
		}
		request := admin.BanRequest{Target: args[0], Reason: reason}
		if d > 0 {
			request.Duration = d.String()
		}
		done, err := flags.act(request)
		if err != nil {
			return err
		}
		if done.Ban == nil {
			return fmt.Errorf("ban: %w", errNotAdmin)
		}
		return sayDone(cmd, done, fmt.Sprintf("banned a %s until %s; \"unban %s\" takes it back",
			name(string(done.Ban.Kind)), banEnd(done.Ban), name(done.Ban.ID)))
	}
	return cmd
}

func newUnbanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unban ID",
		Short: "Take a ban back",
		Long: `Takes back the ban with this id. Bans hold no names, so it cannot be asked for
by nick: "ban" printed the id, "bans" lists those in force.`,
		Example: `  jm-directory-server bans
  jm-directory-server unban 5f0c21d7`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneArg("the id of a ban")(cmd, args); err != nil {
				return err
			}
			if id := args[0]; id == "" || len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "" {
				return terminal.UsageErrorf("unban: the id must be that of a ban, as \"bans\" lists it, got %s", showRaw(id))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAdminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		done, err := flags.act(admin.UnbanRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return sayDone(cmd, done, "took ban "+args[0]+" back")
	}
	return cmd
}

func newBansCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bans",
		Short: "List the bans in force",
		Long: `Lists the bans in force, oldest first: id, kind, since when and until when, and
the reason. Whom they keep out is kept as a hash only and cannot be listed.`,
		Example: `  jm-directory-server bans
  jm-directory-server bans --json`,
		Args: terminal.NoArgs,
	}
	flags := addAdminFlags(cmd)
	asJSON := switchFlag(cmd, "json", "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := flags.connect()
		if err != nil {
			return err
		}
		defer client.close()
		bans, err := client.bans(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(bans)
		}
		return printBans(cmd.OutOrStdout(), bans)
	}
	return cmd
}

// printBans prints a table, or that there is nothing to print.
func printBans(w io.Writer, bans []admin.Ban) error {
	if len(bans) == 0 {
		_, err := fmt.Fprintln(w, "nobody is banned")
		return err
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tSINCE\tUNTIL\tREASON")
	for i := range bans {
		ban := &bans[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", name(ban.ID), name(string(ban.Kind)),
			ban.Created.UTC().Format("2006-01-02 15:04 MST"), banEnd(ban), cleanText(ban.Reason, maxLogText))
	}
	err := table.Flush()
	for line := range strings.Lines(b.String()) { // without the spaces before an empty reason
		_, e := fmt.Fprintln(w, strings.TrimRight(line, " \n"))
		err = errors.Join(err, e)
	}
	return err
}
