package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
)

// maxKeyInput bounds what is read of a key on standard input; package onion refuses what is longer.
const maxKeyInput = 2 << 20

func newKeyImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import PATH|-",
		Short: "Use an existing onion key",
		Long: `Verifies a key, puts it in the state directory and prints its address. PATH is
an output directory of mkp224o, a HiddenServiceDir of Tor, a single
hs_ed25519_secret_key, or a tar of such a directory (plain or gzip); - reads a
single key file or a tar from standard input. The source is not changed.

A key of another address is not replaced without --replace, and then kept
aside under its address. The server must not be running.`,
		Example: `  jm-directory-server key import keys/joinm[...].onion
  ssh oldhost tar -C /var/lib/tor -c jm | jm-directory-server key import -`,
		Args: oneArg("PATH or -"),
	}
	flags := addStateFlags(cmd)
	replace := switchFlag(cmd, "replace", "put a key of another address aside")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := flags.load()
		if err != nil {
			return err
		}
		found, err := readKey(cmd, args[0])
		if err != nil {
			return err
		}
		lock, err := lockForChange(e.StateDir)
		if err != nil {
			return err
		}
		defer lock.Close()
		return installKey(cmd, e.StateDir, found.Key, bool(*replace))
	}
	return cmd
}

func newKeyVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify PATH|-",
		Short: "Check an onion key and print its address",
		Long: `Checks everything that "key import" checks, prints the address, and changes
nothing. Exit code 1 means that the key is not to be used.`,
		Example: `  jm-directory-server key verify /var/lib/tor/jm`,
		Args:    oneArg("PATH or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := readKey(cmd, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), found.Key.Address())
			return err
		},
	}
}

// readKey reads the key that the operator names, and passes warnings on.
func readKey(cmd *cobra.Command, name string) (onion.FoundKey, error) {
	var found onion.FoundKey
	var err error
	if name == "-" {
		var b []byte
		if terminal.Of(cmd.InOrStdin()) != nil {
			return found, terminal.UsageErrorf("- reads a key from a pipe or a file, not from a terminal")
		}
		if b, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxKeyInput)); err != nil {
			return found, fmt.Errorf("onion key: standard input: %w", err)
		}
		found.Key, err = onion.ParseKeyStream(b)
		if fi, e := os.Stdin.Stat(); e == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o044 != 0 {
			found.Warnings = []string{fmt.Sprintf("others than its owner can read the file on standard input (mode %04o)", fi.Mode().Perm())}
		}
	} else {
		found, err = onion.ReadKey(name)
	}
	if err != nil {
		return found, err
	}
	tellWarnings(cmd.ErrOrStderr(), found)
	return found, nil
}
