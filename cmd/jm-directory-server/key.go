package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
)

func newKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, search, import and export the onion key",
		Long: `The onion key is the identity of the directory: whoever has it has the address.
It lies in the state directory, in "onion". No command prints it.`,
		Example: `  jm-directory-server key show
  jm-directory-server key vanity joinm
  jm-directory-server key import joinm[...].onion`,
		Args: terminal.CommandOf,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyShowCommand(), newKeyNewCommand(), newKeyVanityCommand(), newKeyImportCommand(), newKeyExportCommand(), newKeyVerifyCommand())
	return cmd
}

// oneArg wants exactly one argument, as a usage error.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return terminal.UsageErrorf("%s takes one argument, %s, got %d", terminal.CommandName(cmd), what, len(args))
		}
		return nil
	}
}

// switchFlag defines a flag that is on or off.
func switchFlag(cmd *cobra.Command, name, usage string) *boolFlag {
	var b boolFlag
	cmd.Flags().Var(&b, name, usage)
	cmd.Flags().Lookup(name).NoOptDefVal = "true"
	return &b
}

// stateFlags are the flags of commands that work on a state directory.
type stateFlags struct {
	cmd      *cobra.Command
	config   string
	stateDir string
}

// addStateFlags defines them for cmd.
func addStateFlags(cmd *cobra.Command) *stateFlags {
	f := &stateFlags{cmd: cmd}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&f.config, "config", "", "configuration `file`, TOML or *.env")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "`directory` of the onion key and of all that must survive a restart")
	return f
}

// load returns the configuration, for its directories.
func (f *stateFlags) load() (*effective, error) { return loadConfig(f.request()) }

// request is what load asks for.
func (f *stateFlags) request() request {
	r := request{file: f.config, getenv: os.Getenv, root: os.Geteuid() == 0}
	if f.cmd.Flags().Changed("state-dir") {
		r.flags = append(r.flags, flagSetting("state-dir", "state_dir", f.stateDir))
	}
	return r
}

// lockForChange takes the state directory from any server, and makes sure that the next one can take it:
// a lock that root made belongs to the owner of the directory.
func lockForChange(dir string) (*os.File, error) {
	lock, err := lockStateDir(dir)
	if err != nil || os.Geteuid() != 0 {
		return lock, err
	}
	fi, err := os.Stat(dir)
	if err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			err = lock.Chown(int(st.Uid), int(st.Gid))
		}
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return lock, nil
}

// credentialName is the name of the key among the credentials of a service (LoadCredential= in systemd.exec(5)).
const credentialName = "onion-key"

// keyCredential is the file with the key that the service manager hands over, or "" without one.
func keyCredential(getenv func(string) string) string {
	dir := getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return ""
	}
	name := filepath.Join(dir, credentialName)
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return name
}

// currentKey is the key that run would use with c, and where it is. It warns of a service, and of another Tor, that use another one.
// The error wraps fs.ErrNotExist if there is none here, and says where it is then.
func currentKey(c *Config) (found onion.FoundKey, source string, err error) {
	if name := keyCredential(os.Getenv); name != "" {
		found, err = onion.ReadKey(name)
		return found, "credential", err
	}
	found, err = onion.ReadKeyDir(onion.KeyDir(c.StateDir))
	other := installedService.otherKey(c.StateDir, found.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist) && other == "":
		err = fmt.Errorf("%w: %s", err, c.whereKeyIs())
	case err != nil && other != "":
		err = fmt.Errorf("%w; %s", err, other)
	case err == nil && other != "":
		found.Warnings = append(found.Warnings, other)
	}
	if host, _, _ := strings.Cut(c.Location, ":"); err == nil && strings.HasSuffix(host, ".onion") && host != found.Key.Address() {
		found.Warnings = append(found.Warnings, fmt.Sprintf("location is %s, and the key of that is not here: %s", c.Location, c.whereKeyIs()))
	}
	return found, "state directory", err
}

// whereKeyIs says where to look for a key that is not in the state directory.
func (c *Config) whereKeyIs() string {
	switch {
	case c.Tor.Mode == "off":
		return `with tor.mode "off" it is with the other Tor, in the HiddenServiceDir of its torrc: save a copy of that directory; ` +
			`if "key import" copies it to here, "backup" saves it with the rest`
	case c.Tor.Ephemeral:
		return "with tor.ephemeral each start makes one that is kept nowhere"
	default:
		return `the first run makes a key, and so does "key new"`
	}
}

// tellWarnings passes on what there is to know of a key that was found.
func tellWarnings(w io.Writer, found onion.FoundKey) {
	for _, text := range found.Warnings {
		fmt.Fprintf(w, "warning: %s\n", oneLine(text))
	}
}

// warnOfCredential says that a change of the key in the state directory changes nothing yet.
func warnOfCredential(w io.Writer) {
	if name := keyCredential(os.Getenv); name != "" {
		fmt.Fprintf(w, "warning: run uses the credential %s, not the key in the state directory\n", name)
	}
}

// installKey puts the key in the state directory, and says what happened to another one. The address is
// the only line on standard output.
func installKey(cmd *cobra.Command, stateDir string, key onion.SecretKey, replace bool) error {
	kept, err := clearLeftovers(stateDir)
	for _, old := range kept {
		fmt.Fprintf(cmd.ErrOrStderr(), "an old key, whose replacement was interrupted, is kept in %s\n", old)
	}
	if err != nil {
		return err
	}
	aside, err := onion.InstallKey(stateDir, key, replace)
	if errors.Is(err, onion.ErrOtherKey) {
		return fmt.Errorf("%w: --replace puts it aside", err)
	}
	if err != nil {
		return err
	}
	if aside != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "the old key is kept in %s\n", aside)
	}
	warnOfCredential(cmd.ErrOrStderr())
	_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Address())
	return err
}

// confirm asks a question on the terminal; everything but yes is no. Without a terminal the answer is an
// error that names the flag.
func confirm(cmd *cobra.Command, question, flag string) error {
	if terminal.Of(cmd.InOrStdin()) == nil {
		return fmt.Errorf("%s: without a terminal to ask on, %s is needed", question, flag)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s? [yes/no] ", question)
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
