package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// keyDescription is what "key show" tells of a key; its JSON is for programs.
type keyDescription struct {
	Address     string     `json:"address"`
	PublicKey   string     `json:"public_key"`  // hexadecimal
	Fingerprint string     `json:"fingerprint"` // SHA-256 of the public key
	Created     *time.Time `json:"created"`     // of the file; null if unknown
	Source      string     `json:"source"`      // "state directory" or "credential"
	Path        string     `json:"path"`
}

func newKeyShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the address and where the key comes from",
		Long: `Verifies the key that "run" would use and shows its address, its public key, the
fingerprint of that, when the key file was written, and whether the key comes
from the state directory or from a credential of the service manager.`,
		Example: `  jm-directory-server key show
  jm-directory-server key show --json`,
		Args: terminal.NoArgs,
	}
	flags := addStateFlags(cmd)
	asJSON := switchFlag(cmd, "json", "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		e, err := flags.load()
		if err != nil {
			return err
		}
		found, source, err := currentKey(&e.Config)
		if err != nil {
			return err
		}
		tellWarnings(cmd.ErrOrStderr(), found)
		public := found.Key.PublicKey()
		d := keyDescription{
			Address: found.Key.Address(), PublicKey: hex.EncodeToString(public[:]), Fingerprint: found.Key.Fingerprint(),
			Source: source, Path: found.Path,
		}
		if source != "credential" && !found.Modified.IsZero() { // a credential is copied at every start
			at := found.Modified.UTC().Truncate(time.Second)
			d.Created = &at
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
		}
		return d.print(cmd.OutOrStdout())
	}
	return cmd
}

func (d keyDescription) print(w io.Writer) error {
	created := "unknown"
	if d.Created != nil {
		created = d.Created.Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(w, "address:     %s\npublic key:  %s\nfingerprint: %s\ncreated:     %s\nfrom:        %s, %s\n",
		d.Address, d.PublicKey, d.Fingerprint, created, d.Source, oneLine(d.Path))
	return err
}
