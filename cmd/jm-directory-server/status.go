package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/cmd/terminal"
)

// The bounds of --interval.
const (
	minInterval = 500 * time.Millisecond
	maxInterval = time.Hour
)

func newStatusCommand() *cobra.Command {
	pause := durationFlag(2 * time.Second)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running server is",
		Long: `Shows the state of the running server in numbers: whether clients can reach it,
who is here by kind, messages a second, what waits for slow peers, what was
dropped, refused and evicted and why, its Tor, and what to do. It never names a
peer.

With --watch the screen is kept up to date, with bars of the last minutes;
q or Ctrl-C ends it. With --json the server's report is printed as it is; with
both, one line for each interval. With --reasons it is followed by what each
reason that has occurred means, and what to do.

If no server is running, says where it was looked for, with exit code 3, and
what is known from the store: when it was last up, its last day, the bans.`,
		Example: `  jm-directory-server status
  jm-directory-server status --watch
  jm-directory-server status --reasons
  jm-directory-server status --json | jq .connected_peers.total`,
		Args: terminal.NoArgs,
	}
	flags := addAdminFlags(cmd)
	asJSON := switchFlag(cmd, "json", "print the report as JSON")
	watching := switchFlag(cmd, "watch", "keep the screen up to date")
	explain := switchFlag(cmd, "reasons", "explain what was dropped, refused, evicted and closed")
	cmd.Flags().Var(&pause, "interval", "`time` between two looks, with --watch")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := terminal.Of(cmd.OutOrStdout())
		if os.Getenv("TERM") == "dumb" {
			out = nil
		}
		interval := time.Duration(pause)
		switch {
		case cmd.Flags().Changed("interval") && !bool(*watching):
			return terminal.UsageErrorf("--interval: is for --watch")
		case interval < minInterval || interval > maxInterval:
			return terminal.UsageErrorf("--interval: must be %v to %v, got %v", minInterval, goDuration.Replace(maxInterval.String()), &pause)
		case bool(*explain) && (bool(*watching) || bool(*asJSON)):
			return terminal.UsageErrorf("--reasons: is for people, and without --watch")
		case bool(*watching) && !bool(*asJSON) && out == nil:
			return terminal.UsageErrorf("--watch: needs a terminal; with --json it prints a line for each interval")
		}
		l := layout{width: 80, utf8: utf8Locale(os.Getenv)}
		if out != nil {
			l.colour = os.Getenv("NO_COLOR") == ""
			l.width, l.height = terminalSize(out)
			l.width, l.height = l.width-1, max(l.height-2, 1) // two lines for prompts
		}
		client, err := flags.connect()
		if absent := (*notRunningError)(nil); errors.As(err, &absent) && !bool(*watching) {
			return errors.Join(err, flags.tellLastKnown(l, bool(*asJSON)))
		}
		if err != nil {
			return err
		}
		defer client.close()
		report, text, err := client.status(cmd.Context())
		if err != nil {
			return err
		}
		switch {
		case bool(*asJSON) && bool(*watching):
			return printReports(cmd.Context(), client, text, interval, cmd.OutOrStdout())
		case bool(*asJSON):
			_, err := cmd.OutOrStdout().Write(append(bytes.TrimRight(text, "\n"), '\n'))
			return err
		case bool(*watching):
			return watchStatus(cmd.Context(), client, report, l, interval, out, terminal.Of(cmd.InOrStdin()))
		}
		rows := (&view{Report: *report}).rows()
		if *explain {
			l.height = 0
			rows = append(rows, (&view{Report: *report}).meaningRows()...)
		}
		return printLines(cmd.OutOrStdout(), l.lines(rows))
	}
	return cmd
}

func printLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// printReports prints a report in one line every interval, until a signal, the end of ctx, or of the server.
func printReports(ctx context.Context, client *adminClient, text []byte, interval time.Duration, w io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			return client.wrap(errNotAdmin)
		}
		line.WriteByte('\n')
		if _, err := w.Write(line.Bytes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if _, text, err = client.status(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}
