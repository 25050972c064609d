package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
	"jm-directory-server/store"
)

func newBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Save key, configuration and store, encrypted",
		Long: `Writes the onion key, the configuration file and the store (*.db in the state
directory) to one file, encrypted with age: for recipients, or with a passphrase
that is asked for twice. A server that runs goes on, and hands its store over on
its admin socket. The file must not be there yet. "restore" takes it, and so
does age.`,
		Example: `  jm-directory-server backup directory.age
  jm-directory-server backup directory.age --recipient age1[...]`,
		Args: oneArg("FILE"),
	}
	flags := addAdminFlags(cmd)
	secret := addEncryptionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		unix.Umask(0o077)
		if err := secret.check(); err != nil {
			return err
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
		b := &backup{key: found.Key, stateDir: e.StateDir}
		if b.store, err = storeFiles(e.StateDir); err != nil {
			return err
		}
		if len(b.store) > 0 { // no server may write to them while they are copied
			lock, err := lockForChange(e.StateDir)
			if inUse := (*inUseError)(nil); errors.As(err, &inUse) {
				err = b.copyStore(flags, inUse.process)
			} else if err == nil {
				defer lock.Close()
			}
			if err != nil {
				return err
			}
		}
		b.config = flags.config
		if _, err := os.Stat(defaultConfigFile); b.config == "" && err == nil {
			b.config = defaultConfigFile
		}
		recipients, err := secret.recipients(cmd)
		if err != nil {
			return err
		}
		if err := b.save(args[0], recipients); err != nil {
			return err
		}
		return b.tell(cmd.ErrOrStderr(), args[0])
	}
	return cmd
}

// A backup is what is saved.
type backup struct {
	key      onion.SecretKey
	stateDir string
	config   string // file, or "" without one
	store    []storeFile
}

// A storeFile is a file of the store.
type storeFile struct {
	path string
	copy []byte // what the running server says is in it; nil: read the file
}

// storeFiles are the files of the store in a state directory. Nothing else there is worth saving but the key:
// the rest is Tor's, or made anew.
func storeFiles(dir string) ([]storeFile, error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the key may be a credential
		return nil, fmt.Errorf("state directory: %w", err)
	}
	var files []storeFile
	for _, e := range list {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) == ".db" {
			files = append(files, storeFile{path: filepath.Join(dir, e.Name())})
		}
	}
	return files, nil
}

// copyStore asks the server that runs, which must be the one that has the state directory, for its store.
func (b *backup) copyStore(flags *adminFlags, process string) error {
	wrap := func(err error) error {
		return fmt.Errorf("backup: the state directory is in use by process %s, which has to hand its store over: %w", process, err)
	}
	client, err := flags.connect()
	if err != nil {
		return wrap(err)
	}
	defer client.close()
	report, _, err := client.status(flags.cmd.Context())
	if err != nil {
		return wrap(err)
	}
	if pid := strconv.Itoa(report.Process.PID); pid != process && !flags.cmd.Flags().Changed("admin") {
		return wrap(fmt.Errorf("process %s answers at %s (--admin says where else to look)", pid, oneLine(client.where.String())))
	}
	for i := range b.store {
		if filepath.Base(b.store[i].path) != store.FileName {
			continue // nobody writes to it
		}
		if b.store[i].copy, err = client.store(flags.cmd.Context()); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// save writes the file as a whole, or not at all.
func (b *backup) save(name string, to []age.Recipient) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("backup: %w", err)
		}
	}()
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s: %w: name a new one", name, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".backup-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is none
	defer f.Close()
	w, err := age.Encrypt(f, to...)
	if err != nil {
		return err
	}
	if err := b.write(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// tell says what has been saved.
func (b *backup) tell(w io.Writer, name string) error {
	config := "no configuration file"
	if b.config != "" {
		config = "the configuration " + b.config
	}
	_, err := fmt.Fprintf(w, "saved in %s: the key of %s, %s, %s of the store\n", name, b.key.Address(), config, plural(len(b.store), "file"))
	return err
}
