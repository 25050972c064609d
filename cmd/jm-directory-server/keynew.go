package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
)

func newKeyNewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a new onion key",
		Long: `Makes a key in the state directory and prints its address. The first run of the
server does so by itself. If there is a key already, asks before it is put
aside; without a terminal --replace answers. The server must not be running.`,
		Example: `  jm-directory-server key new`,
		Args:    terminal.NoArgs,
	}
	flags := addStateFlags(cmd)
	replace := switchFlag(cmd, "replace", "put the old key aside without asking")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e, err := flags.load()
		if err != nil {
			return err
		}
		lock, err := lockForChange(e.StateDir)
		if err != nil {
			return err
		}
		defer lock.Close()
		yes := bool(*replace)
		if old, err := onion.ReadKeyDir(onion.KeyDir(e.StateDir)); !yes && !errors.Is(err, fs.ErrNotExist) {
			question := "the key in the state directory cannot be verified; put it aside for a new one"
			if err == nil {
				question = "the directory is known as " + old.Key.Address() + "; put that aside for a new address"
			}
			if err := confirm(cmd, question, "--replace"); err != nil {
				return err
			}
			yes = true
		}
		key, err := onion.GenerateKey()
		if err != nil {
			return err
		}
		return installKey(cmd, e.StateDir, key, yes)
	}
	return cmd
}
