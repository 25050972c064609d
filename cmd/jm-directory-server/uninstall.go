package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

func newUninstallCommand() *cobra.Command {
	var root string
	var dry, purge boolFlag
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop and remove the service that install made",
		Long: `Stops the service and removes the unit and the program that "install" made. The
configuration, the onion key and all other state stay, and it says where. With
--purge they are removed, too, after two questions: without its key, nobody can
ever serve under that address again.`,
		Example: `  jm-directory-server uninstall --dry-run
  jm-directory-server uninstall
  jm-directory-server uninstall --purge`,
		Args: terminal.NoArgs,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&dry, "dry-run", "show each step, do none")
	cmd.Flags().Var(&purge, "purge", "remove configuration, key and state as well; asks twice")
	for _, name := range []string{"dry-run", "purge"} {
		cmd.Flags().Lookup(name).NoOptDefVal = "true"
	}
	addRootFlag(cmd, &root)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s := newSetup(cmd.OutOrStdout(), root, bool(dry))
		if err := s.possible(); err != nil {
			return err
		}
		if bool(purge) && !s.dry {
			if err := s.confirmPurge(cmd.InOrStdin()); err != nil {
				return err
			}
		}
		return s.uninstall(cmd.Context(), bool(purge))
	}
	return cmd
}

// uninstall takes the service away.
func (s *setup) uninstall(ctx context.Context, purge bool) error {
	if _, err := os.Stat(s.path(unitPath)); errors.Is(err, os.ErrNotExist) {
		s.say("        " + s.path(unitPath) + " is not there: no service to stop")
	} else {
		if err := s.systemctl(ctx, "disable", "--now", unitName); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
		if err := s.remove(unitPath); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
		if err := s.systemctl(ctx, "daemon-reload"); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	if err := s.remove(programPath); err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	for _, path := range []string{dropInPath, filepath.Dir(configPath), statePath, privatePath} {
		if purge {
			if err := s.remove(path); err != nil {
				return fmt.Errorf("uninstall: %w", err)
			}
		} else if _, err := os.Stat(s.path(path)); err == nil {
			s.say("keep    " + s.path(path))
		}
	}
	return nil
}

// confirmPurge asks twice. The second answer cannot be given by habit: it is the address that is given up.
func (s *setup) confirmPurge(answers io.Reader) error {
	in := bufio.NewReader(answers)
	ask := func(question, want string) error {
		fmt.Fprint(s.out, question)
		answer, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("uninstall: read the answer: %w", err)
		}
		if strings.TrimSpace(answer) != want {
			s.say("")
			return errors.New("uninstall: not confirmed, nothing is removed")
		}
		return nil
	}
	if err := ask(fmt.Sprintf("Remove %s and %s with all that is in them? Type yes: ",
		s.path(filepath.Dir(configPath)), s.path(statePath)), "yes"); err != nil {
		return err
	}
	host, err := os.ReadFile(filepath.Join(s.path(statePath), "onion", "hostname"))
	if errors.Is(err, os.ErrNotExist) {
		return ask("There is no onion key. Type purge: ", "purge")
	}
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	address := cleanText(strings.TrimSpace(string(host)), maxLogText)
	return ask(fmt.Sprintf("Nobody will ever serve as %s again, unless there is a copy of its key.\nType that address: ", address), address)
}
