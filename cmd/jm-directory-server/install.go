package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/cmd/terminal"
	"jm-directory-server/onion"
	"jm-directory-server/server"
)

// unitName is the service's name for systemctl and journalctl.
const unitName = "jm-directory-server.service"

func newInstallCommand() *cobra.Command {
	var network, root string
	var dry boolFlag
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install this one file as a service of systemd",
		Long: `Makes this file a service that starts with the machine: copies it to
/usr/local/bin, writes the unit and, if there is none, the configuration, and
starts it. Each step is shown. What is right already is left alone, so that it
can be repeated; a newer file is installed over an older one in the same way.`,
		Example: `  jm-directory-server install --dry-run
  jm-directory-server install
  jm-directory-server install --network signet`,
		Args: terminal.NoArgs,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&dry, "dry-run", "show each step, do none")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = "true"
	cmd.Flags().StringVar(&network, "network", "", "bitcoin `network` for a new configuration: mainnet, testnet, signet or regtest")
	addRootFlag(cmd, &root)
	if err := cmd.RegisterFlagCompletionFunc("network", cobra.FixedCompletions(server.Networks, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		unix.Umask(0o022) // the service, another user, has to read what is installed
		s := newSetup(cmd.OutOrStdout(), root, bool(dry))
		if err := s.possible(); err != nil {
			if errors.Is(err, errNoSystemd) {
				err = fmt.Errorf("%w: have its service manager start \"jm-directory-server run\"", err)
			}
			return err
		}
		return s.install(cmd.Context(), network)
	}
	return cmd
}

// addRootFlag defines a flag for tests: the directory that stands for "/".
func addRootFlag(cmd *cobra.Command, root *string) {
	cmd.Flags().StringVar(root, "root", "", "work below this `directory` instead of /")
	if err := cmd.Flags().MarkHidden("root"); err != nil {
		panic(err)
	}
}

// install puts program, unit and configuration in place and starts the service. A service whose parts are all as
// they should be is not interrupted.
func (s *setup) install(ctx context.Context, network string) error {
	for _, path := range []string{"/usr/lib/systemd/system/" + unitName, "/lib/systemd/system/" + unitName} {
		if _, err := os.Stat(s.path(path)); err == nil {
			return fmt.Errorf("install: %s is there: a package installed the service already; remove that first, or upgrade the package", s.path(path))
		}
	}
	config, err := s.newConfig(network)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if _, ok := onion.EmbeddedVersion(); !ok {
		s.say("warning: this file carries no Tor; the service needs tor.mode system, external or off")
	}
	unit := strings.Replace(jmdirectoryserver.SystemdUnit, "ExecStart=/usr/bin/", "ExecStart="+filepath.Dir(programPath)+"/", 1)
	newProgram, err := s.copyProgram(program)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	newUnit, err := s.write(unitPath, []byte(unit), 0o644)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if config == nil {
		s.say("keep    " + s.path(configPath))
	} else if _, err := s.write(configPath, config, 0o644); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := s.checkConfig(); err != nil {
		return err
	}
	if newUnit {
		if err := s.systemctl(ctx, "daemon-reload"); err != nil {
			return fmt.Errorf("install: %w", err)
		}
	}
	if err := s.systemctl(ctx, "enable", unitName); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	verb := "start"
	if newProgram || newUnit {
		verb = "restart"
	}
	s.say("        the next step ends when clients can find the directory: a minute or two; it goes on")
	s.say("        after Ctrl-C, too; in another terminal: journalctl -fu jm-directory-server")
	if err := s.systemctl(ctx, verb, unitName); err != nil {
		return fmt.Errorf("install: the service does not start: %w; see journalctl -u jm-directory-server", err)
	}
	return s.welcome()
}

// newConfig returns the configuration to write, or nil when there is one, which then has to be of that network.
func (s *setup) newConfig(network string) ([]byte, error) {
	path := s.path(configPath)
	_, err := os.Stat(path)
	switch {
	case err == nil && network == "":
		return nil, nil
	case err == nil:
		e, err := loadConfig(request{file: path, root: true, getenv: func(string) string { return "" }})
		if err != nil {
			return nil, err
		}
		if e.Network != network {
			return nil, fmt.Errorf("%s says network = %q: change it there", path, e.Network)
		}
		return nil, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	c := DefaultConfig()
	if network != "" {
		c.Network = network
	}
	for _, v := range c.check() {
		return nil, terminal.UsageErrorf("--network: must be %s, got %q", v.allowed, network)
	}
	return []byte(commentedConfig(network)), nil
}

// commentedConfig is the documented configuration with every key but the network commented out, so that a later
// version's defaults come into force.
func commentedConfig(network string) string {
	var b strings.Builder
	b.WriteString("# Remove the \"#\" before a key to set it.\n")
	for line := range strings.Lines(jmdirectoryserver.ConfigExample) {
		switch key, _, assigns := strings.Cut(line, " = "); {
		case !assigns || strings.HasPrefix(line, "#"):
			b.WriteString(line)
		case key == "network" && network != "":
			fmt.Fprintf(&b, "network = %q\n", network)
		default:
			b.WriteString("#" + line)
		}
	}
	return b.String()
}

// checkConfig refuses a configuration that the service would refuse. What systemd sets for the service is not
// in our environment, so only the file counts.
func (s *setup) checkConfig() error {
	if _, err := os.Stat(s.path(configPath)); s.dry && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := loadConfig(request{file: s.path(configPath), root: true, getenv: func(string) string { return "" }})
	return err
}

// welcome says where the directory is and what to do next.
func (s *setup) welcome() error {
	if s.dry {
		return nil
	}
	hostname := filepath.Join(s.path(statePath), "onion", "hostname")
	host, err := os.ReadFile(hostname)
	if err != nil { // another tor.mode, a credential, or a throw-away address
		_, err = io.WriteString(s.out, "The directory runs.\n")
		return err
	}
	_, err = fmt.Fprintf(s.out, `The directory runs at %s
Its key is below %s: keep a copy.
Settings: %s, then systemctl reload jm-directory-server
Log:      journalctl -u jm-directory-server
`, cleanText(strings.TrimSpace(string(host)), maxLogText), filepath.Dir(hostname), s.path(configPath))
	return err
}
