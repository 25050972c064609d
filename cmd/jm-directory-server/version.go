package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program, Go and the Tor inside",
		Args:  terminal.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tor := "none in this file (use --tor system, external or off)"
			if v, ok := onion.EmbeddedVersion(); ok {
				tor = v + " (embedded)"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "jm-directory-server %s\nGo %s %s/%s\nTor %s\n",
				version, runtime.Version(), runtime.GOOS, runtime.GOARCH, tor)
			return err
		},
	}
}
