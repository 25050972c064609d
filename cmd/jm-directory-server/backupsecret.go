package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// maxPassphraseFile bounds a file with a passphrase, in bytes.
const maxPassphraseFile = 4096

// encryptionFlags say who can read a backup.
type encryptionFlags struct {
	passphraseFile string
	to             []string
}

func addEncryptionFlags(cmd *cobra.Command) *encryptionFlags {
	f := &encryptionFlags{}
	cmd.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "read the passphrase from `file`")
	cmd.Flags().StringArrayVar(&f.to, "recipient", nil, "encrypt for `age1...`, or for those in a file; may be repeated")
	return f
}

func (f *encryptionFlags) check() error {
	if f.passphraseFile != "" && len(f.to) > 0 {
		return terminal.UsageErrorf("--passphrase-file and --recipient: one of them only")
	}
	return nil
}

// recipients are those of the flags, or a passphrase.
func (f *encryptionFlags) recipients(cmd *cobra.Command) ([]age.Recipient, error) {
	if len(f.to) == 0 {
		passphrase, err := readPassphrase(cmd, f.passphraseFile, true)
		if err != nil {
			return nil, err
		}
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, fmt.Errorf("passphrase: %w", err)
		}
		return []age.Recipient{r}, nil
	}
	var all []age.Recipient
	for _, to := range f.to {
		var r io.Reader = strings.NewReader(to)
		if !strings.HasPrefix(to, "age1") {
			file, err := os.Open(to)
			if err != nil {
				return nil, fmt.Errorf("recipient: neither age1... nor a file: %w", err)
			}
			defer file.Close()
			r = file
		}
		some, err := age.ParseRecipients(r)
		if err != nil {
			return nil, fmt.Errorf("recipient %s: %w", to, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// identities are what opens a backup: those in a file, or a passphrase. Header is the head of the backup.
func identities(cmd *cobra.Command, identityFile, passphraseFile string, header []byte) ([]age.Identity, error) {
	byPassphrase := bytes.Contains(header, []byte("\n-> scrypt "))
	switch {
	case identityFile != "" && byPassphrase:
		return nil, terminal.UsageErrorf("--identity: this backup is encrypted with a passphrase")
	case identityFile != "":
		f, err := os.Open(identityFile)
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		defer f.Close()
		ids, err := age.ParseIdentities(f)
		if err != nil {
			return nil, fmt.Errorf("identity %s: %w", identityFile, err)
		}
		return ids, nil
	case !byPassphrase:
		return nil, terminal.UsageErrorf("this backup is encrypted for recipients: --identity FILE opens it")
	}
	passphrase, err := readPassphrase(cmd, passphraseFile, false)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	return []age.Identity{id}, nil
}

// readPassphrase reads the first line of a file, or asks on the terminal; a new passphrase twice.
func readPassphrase(cmd *cobra.Command, file string, fresh bool) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("passphrase: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxPassphraseFile+1))
		if err != nil {
			return "", fmt.Errorf("passphrase: %w", err)
		}
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		if len(b) > maxPassphraseFile || len(rest) > 0 || len(line) == 0 {
			return "", fmt.Errorf("passphrase: %s must have one line, of at most %d bytes", file, maxPassphraseFile)
		}
		return string(line), nil
	}
	in := terminal.Of(cmd.InOrStdin())
	if in == nil {
		return "", errors.New("passphrase: without a terminal to ask on, --passphrase-file is needed")
	}
	ask := func(text string) (string, error) {
		line, err := askHidden(in, cmd.ErrOrStderr(), text)
		switch {
		case errors.Is(err, io.EOF):
			return "", errors.New("passphrase: none was given")
		case err != nil:
			return "", fmt.Errorf("passphrase: %w", err)
		}
		return line, nil
	}
	first, err := ask("Passphrase: ")
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", errors.New("passphrase: it is empty")
	}
	if fresh {
		second, err := ask("Passphrase again: ")
		if err != nil {
			return "", err
		}
		if first != second {
			return "", errors.New("passphrase: the two are not the same")
		}
	}
	return first, nil
}
