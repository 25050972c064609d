package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/server/admin"
	"jm-directory-server/server/wire"
)

// maxMOTDInput bounds what is read from standard input, in bytes; a greeting is shorter.
const maxMOTDInput = 64 << 10

func newMOTDCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "motd TEXT|-",
		Short: "Change the greeting until the next reload",
		Long: `Changes the text that newcomers are greeted with: at most 512 bytes of printable
ASCII and line feeds; "" for none. With - it is read from standard input. The
configuration has it again at the next reload or restart: its key is motd.`,
		Example: `  jm-directory-server motd "Maintenance on Sunday, 06:00 UTC."
  jm-directory-server motd - < greeting.txt`,
		Args:              oneArg("the text, or - for standard input"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAdminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text := args[0]
		if text == "-" {
			b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxMOTDInput))
			if err != nil {
				return fmt.Errorf("motd: standard input: %w", err)
			}
			text = strings.TrimRight(string(b), "\r\n")
		}
		if err := wire.CheckMOTD(text); err != nil {
			return terminal.UsageErrorf("%w", err)
		}
		done, err := flags.act(admin.MOTDRequest{Text: text})
		if err != nil {
			return err
		}
		return sayDone(cmd, done, "the greeting is changed until the next reload or restart")
	}
	return cmd
}
