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
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"jm-directory-server/onion"
)

// maxBackupHeader bounds the head of an age file, in bytes; one recipient takes about 150, a hybrid one 1700.
const maxBackupHeader = 1 << 20

func newRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring back what backup saved",
		Long: `Decrypts and verifies a backup, and only then puts the key and the store into
the state directory and the configuration to where --config says or run looks
for it. Another identity or another configuration is not replaced without
--replace, and then kept aside. The server must not be running.`,
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
			return usageErrorf("--passphrase-file and --identity: one of them only")
		}
		to := flags.config
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			flags.config = "" // the file is yet to be restored
		}
		e, err := flags.load()
		if err != nil {
			return err
		}
		plain, end, err := openBackup(cmd, args[0], *identity, *passphraseFile)
		if err != nil {
			return err
		}
		defer end()
		lock, err := lockForChange(e.StateDir)
		if err != nil {
			return err
		}
		defer lock.Close()
		r := &restore{stateDir: e.StateDir, configTo: to, replace: bool(*replace), stderr: cmd.ErrOrStderr()}
		r.stateDirGiven = cmd.Flags().Changed("state-dir")
		r.stateDirOf = func(config string) (string, error) {
			e, err := loadConfig(request{file: config, getenv: os.Getenv, root: os.Geteuid() == 0})
			if err != nil || e.origins["state_dir"].source != fromFile {
				return "", err
			}
			return e.StateDir, nil
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, unix.SIGTERM)
		defer stop()
		if err := r.run(ctx, plain); err != nil {
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
	// stateDirOf is the state_dir that a configuration sets, "" for none; stateDirGiven says that somebody has named stateDir.
	stateDirOf    func(config string) (string, error)
	stateDirGiven bool

	from    *unpacked
	undo    []func() error
	said    []string
	outcome string // of a failure, in words
}

// restoreFolder begins the names of folders in the state directory that hold what was unpacked, the key with it.
const restoreFolder = ".restore-"

// run verifies everything before it changes anything. The key comes first, in one step: what is killed or fails after that leaves
// no configuration whose server would make another. Of the rest, changes are taken back when one fails.
func (r *restore) run(ctx context.Context, plain io.Reader) (err error) {
	r.outcome = "nothing was changed"
	if err := r.removeLeftovers(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.stateDir, restoreFolder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if r.from, err = unpack(whileWanted{ctx, plain}, dir); err != nil {
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
	if aside != "" {
		r.said = append(r.said, "the old key is kept in "+aside)
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
		if err := r.move(file, to, to+stamp); err != nil {
			return err
		}
	}
	r.said = append(r.said, fmt.Sprintf("restored the key from %s", r.from.Created.Format(time.RFC3339)))
	for _, s := range r.said {
		fmt.Fprintln(r.stderr, s)
	}
	return nil
}

// removeLeftovers removes what a restore that was killed has unpacked. The lock of the state directory says that none is under way.
func (r *restore) removeLeftovers() error {
	list, err := os.ReadDir(r.stateDir)
	for _, e := range list {
		if strings.HasPrefix(e.Name(), restoreFolder) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(r.stateDir, e.Name())))
		}
	}
	return err
}

// whileWanted ends a stream when the context ends.
type whileWanted struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (w whileWanted) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(b)
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
		file := filepath.Join(r.from.dir, filepath.FromSlash(e.Name))
		if err := r.checkStateDir(file); err != nil {
			return "", err
		}
		content, err := os.ReadFile(file)
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

// checkStateDir sees to it that a server with this configuration finds the key where it will be: otherwise it would make a new
// one, and with it a new address.
func (r *restore) checkStateDir(config string) error {
	looks, err := r.stateDirOf(config)
	switch {
	case err != nil:
		r.said = append(r.said, "the configuration is restored as it was, and has mistakes: "+why(err))
	case looks == "" || sameDir(looks, r.stateDir):
	case !r.stateDirGiven:
		return fmt.Errorf("its configuration has state_dir %s, and %s is meant here: say with --state-dir where the key is to go", looks, r.stateDir)
	default:
		r.said = append(r.said, fmt.Sprintf("the configuration has state_dir %s: change that, or start the server with --state-dir %s", looks, r.stateDir))
	}
	return nil
}

// move puts file to its place, and what was there aside.
func (r *restore) move(file, to, aside string) error {
	if _, err := os.Lstat(to); err == nil {
		if err := os.Rename(to, aside); err != nil {
			return err
		}
		r.undo = append(r.undo, func() error { return os.Rename(aside, to) })
		r.said = append(r.said, "the old file is kept in "+aside)
	}
	// The configuration may be on another file system.
	fresh := to + ".restored"
	if err := copyFile(file, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, to); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	r.undo = append(r.undo, func() error { return os.Remove(to) })
	return nil
}

// makeFolderForAll makes a folder that all may read, and those above it that are missing: the service is another user than who
// restores its configuration.
func makeFolderForAll(dir string) error {
	defer unix.Umask(unix.Umask(0o022))
	return os.MkdirAll(dir, 0o755)
}

// copyFile copies content, mode and owner.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && err == nil && os.Geteuid() == 0 {
		err = out.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = out.Chmod(fi.Mode().Perm())
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// giveToOwner gives a file to the owner of a directory, if we are root.
func giveToOwner(file, dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Lchown(file, int(st.Uid), int(st.Gid))
	}
	return nil
}
