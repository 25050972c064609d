package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/cmd/terminal"
)

func newCheckConfigCommand() *cobra.Command {
	var example boolFlag
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Check the configuration, print it with origins",
		Long: `Checks the configuration that "run" with the same flags would use and prints it
as TOML, each value with its origin. Secrets are not shown. If something is
wrong, prints one line for each mistake and exits with code 2.`,
		Example: `  jm-directory-server check-config --config config.toml
  jm-directory-server check-config --example > config.toml`,
		Args: terminal.NoArgs,
	}
	flags := addConfigFlags(cmd)
	cmd.Flags().Var(&example, "example", "print the documented defaults and do nothing else")
	cmd.Flags().Lookup("example").NoOptDefVal = "true"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if example {
			_, err := io.WriteString(cmd.OutOrStdout(), jmdirectoryserver.ConfigExample)
			return err
		}
		e, err := flags.load()
		if err != nil {
			return err
		}
		for _, w := range e.warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
		}
		return e.print(cmd.OutOrStdout())
	}
	return cmd
}

// print writes the configuration as TOML, with origins as comments.
func (e *effective) print(w io.Writer) error {
	var b strings.Builder
	if e.unlimited {
		b.WriteString("# --unlimited: the limits on messages, violations and nicks per host are lifted.\n")
	}
	table := ""
	for _, f := range e.fields() {
		key := f.key
		if t, rest, ok := strings.Cut(f.key, "."); ok {
			if t != table {
				fmt.Fprintf(&b, "\n[%s]\n", t)
			}
			table, key = t, rest
		}
		value := f.TOML()
		if f.secret && !f.value.IsZero() {
			value = `"[redacted]"`
		}
		fmt.Fprintf(&b, "%s = %s  # %s\n", key, value, oneLine(e.origins[f.key].String()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
