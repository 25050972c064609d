package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

func newKeyExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export DIR|-",
		Short: "Copy the onion key out, for Tor or another host",
		Long: `Writes the key to a new directory as Tor and mkp224o have it, readable by the
caller only: hs_ed25519_secret_key, hs_ed25519_public_key and hostname. With -
writes a tar of that directory to standard output. The address goes to standard
error.`,
		Example: `  jm-directory-server key export /root/onion-key
  jm-directory-server key export - | ssh vps jm-directory-server key import -`,
		Args: oneArg("DIR or -"),
	}
	flags := addStateFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "-" && terminal.Of(cmd.OutOrStdout()) != nil {
			return terminal.UsageErrorf("- writes a tar with the secret key: not to a terminal, use a pipe or a file")
		}
		e, err := flags.load()
		if err != nil {
			return err
		}
		found, _, err := currentKey(&e.Config)
		if err != nil {
			return err
		}
		tellWarnings(cmd.ErrOrStderr(), found)
		if args[0] == "-" {
			err = found.Key.WriteTar(cmd.OutOrStdout())
		} else if err = found.Key.WriteDir(args[0]); errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: name a new one", err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), found.Key.Address())
		return nil
	}
	return cmd
}
