package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
)

// maxBackupHeader bounds the head of an age file, in bytes; one recipient takes about 150, a hybrid one 1700.
const maxBackupHeader = 1 << 20

func newRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring back what backup saved",
		Long: `Decrypts and verifies a backup, and only then puts the configuration to where
--config says or run looks for it, and the key and the store into the state
directory. If the restored configuration means another one than is meant here,
asks whether to use that; without a terminal --state-dir answers. Another
identity or another configuration is not replaced without --replace, and then
kept aside. The server must not be running.`,
		Example: `  jm-directory-server restore directory.age
  jm-directory-server restore directory.age --identity key.txt`,
		Args: oneArg("FILE"),
	}
	flags := addStateFlags(cmd)
	identity := cmd.Flags().String("identity", "", "`file` with the age identity that opens the backup")
	passphraseFile := cmd.Flags().String("passphrase-file", "", "read the passphrase from `file`")
	replace := switchFlag(cmd, "replace", "put another identity or configuration aside")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		unix.Umask(0o077)
		if *identity != "" && *passphraseFile != "" {
			return terminal.UsageErrorf("--passphrase-file and --identity: one of them only")
		}
		to := flags.config
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			flags.config = "" // the file is yet to be restored
		}
		e, err := hereBefore(flags, bool(*replace))
		if err != nil {
			return err
		}
		plain, end, err := openBackup(cmd, args[0], *identity, *passphraseFile)
		if err != nil {
			return err
		}
		defer end()
		name, text, plain := savedConfig(plain)
		where, err := whereRestored(cmd, e.StateDir, to, name, text)
		if err != nil {
			return fmt.Errorf("restore %s: %w", args[0], err)
		}
		lock, err := lockForChange(where.stateDir)
		if err != nil {
			return err
		}
		defer lock.Close()
		r := &restore{stateDir: where.stateDir, configTo: to, replace: bool(*replace), stderr: cmd.ErrOrStderr()}
		if where.remark != "" {
			r.said = append(r.said, oneLine(where.remark))
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
		defer stop()
		context.AfterFunc(ctx, stop) // a second signal ends it at once
		if err := r.run(ctx, plain); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("interrupted: %w", err)
			}
			return fmt.Errorf("restore %s: %w; %s", args[0], err, r.outcome)
		}
		warnOfCredential(cmd.ErrOrStderr())
		_, err = fmt.Fprintln(cmd.OutOrStdout(), r.from.Address)
		return err
	}
	return cmd
}

// openBackup begins to decrypt a backup.
func openBackup(cmd *cobra.Command, name, identityFile, passphraseFile string) (plain io.Reader, end func() error, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	header, err := age.ExtractHeader(io.LimitReader(f, maxBackupHeader))
	if err != nil {
		return nil, nil, fmt.Errorf("restore %s: corrupt, cut short or not a backup: %w", name, err)
	}
	ids, err := identities(cmd, identityFile, passphraseFile, header)
	if err != nil {
		return nil, nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	var none *age.NoIdentityMatchError
	plain, err = age.Decrypt(f, ids...)
	switch {
	case errors.As(err, &none):
		return nil, nil, fmt.Errorf("restore %s: this passphrase or identity does not open it", name)
	case err != nil:
		return nil, nil, fmt.Errorf("restore %s: corrupt or cut short: %w", name, err)
	}
	return plain, f.Close, nil
}

// A restore puts one backup into a state directory that its caller has locked.
type restore struct {
	stateDir string
	configTo string // "" for where run looks
	replace  bool
	stderr   io.Writer

	from    *unpacked
	undo    []func() error
	said    []string
	outcome string // of a failure, in words
}

// restoreFolder begins the names of folders in the state directory that hold what was unpacked: all but the key.
const restoreFolder = ".restore-"

// run verifies everything before it changes anything. The key comes first, in one step: what is killed or fails after that leaves
// no configuration whose server would make another. Of the rest, changes are taken back when one fails.
func (r *restore) run(ctx context.Context, plain io.Reader) (err error) {
	r.outcome = "nothing was changed"
	kept, err := clearLeftovers(r.stateDir)
	for _, old := range kept {
		fmt.Fprintln(r.stderr, "an old key, whose replacement was interrupted, is kept in "+old)
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.stateDir, restoreFolder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if r.from, err = unpack(whileWanted{ctx, plain}, dir); err != nil {
		if wanted := ctx.Err(); wanted != nil {
			return wanted
		}
		return fmt.Errorf("corrupt or cut short: %w", err)
	}
	if err := r.checkKey(); err != nil {
		return err
	}
	config, err := r.config()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	aside, err := onion.InstallKey(r.stateDir, r.from.key, r.replace)
	if err != nil {
		if now, e := onion.ReadKeyDir(onion.KeyDir(r.stateDir)); e == nil && now.Key.Address() == r.from.Address {
			r.outcome = "the key is restored, and nothing else"
		}
		return err
	}
	r.outcome = "the key is restored, and nothing else"
	if aside != "" { // said at once: it is so whatever comes
		fmt.Fprintln(r.stderr, "the old key is kept in "+aside)
	}
	defer func() {
		for i := len(r.undo) - 1; i >= 0 && err != nil; i-- {
			if e := r.undo[i](); e != nil {
				err = errors.Join(err, e)
				r.outcome = "the key is restored, and what is named here is not as it was"
			}
		}
	}()
	stamp := ".old-" + time.Now().UTC().Format("20060102T150405Z")
	for _, e := range r.from.Entries {
		file := filepath.Join(dir, filepath.FromSlash(e.Name))
		var to string
		switch {
		case strings.HasPrefix(e.Name, storeFolder):
			to = filepath.Join(r.stateDir, filepath.Base(e.Name))
			err = giveToOwner(file, r.stateDir)
		case strings.HasPrefix(e.Name, configFolder) && config != "":
			to = config
			err = errors.Join(os.Chmod(file, e.Mode&0o777), makeFolderForAll(filepath.Dir(to)))
		default:
			continue
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := r.move(ctx, file, to, to+stamp); err != nil {
			return err
		}
	}
	r.said = append(r.said, fmt.Sprintf("restored the key from %s", r.from.Created.Format(time.RFC3339)))
	for _, s := range r.said {
		fmt.Fprintln(r.stderr, s)
	}
	return nil
}

// checkKey refuses another identity, before anything is changed.
func (r *restore) checkKey() error {
	if r.replace {
		return nil
	}
	old, err := onion.ReadKeyDir(onion.KeyDir(r.stateDir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the key in the state directory cannot be verified: %w: --replace puts it aside", err)
	case old.Key.Address() != r.from.Address:
		return fmt.Errorf("%w: the state directory holds the key of %s, the backup that of %s: --replace puts the first aside", onion.ErrOtherKey, old.Key.Address(), r.from.Address)
	}
	return nil
}

// config is where the configuration has to go; "" if there is none, or it is there already.
func (r *restore) config() (string, error) {
	for _, e := range r.from.Entries {
		name, ok := strings.CutPrefix(e.Name, configFolder)
		if !ok {
			continue
		}
		to := r.configTo
		if to == "" {
			to = filepath.Join(filepath.Dir(defaultConfigFile), name)
			if os.Geteuid() != 0 {
				to = filepath.Join(r.stateDir, name)
			}
		}
		content, err := os.ReadFile(filepath.Join(r.from.dir, filepath.FromSlash(e.Name)))
		if err != nil {
			return "", err
		}
		old, err := os.ReadFile(to)
		switch {
		case err == nil && bytes.Equal(old, content):
			return "", nil
		case err == nil && !r.replace:
			return "", fmt.Errorf("another configuration is there: %s: --replace puts it aside", to)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		r.said = append(r.said, "restored the configuration to "+to)
		if to != defaultConfigFile {
			r.said = append(r.said, "use it with --config "+to)
		}
		return to, nil
	}
	return "", nil
}
