package terminal

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// UsageError is a command line that makes no sense: a program that meets one ends with exit code 2.
type UsageError struct{ err error }

// Error implements error.
func (e UsageError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong with the command line.
func (e UsageError) Unwrap() error { return e.err }

// UsageErrorf makes a UsageError of what fmt.Errorf returns.
func UsageErrorf(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// CommandName is all words of a command without the program's name.
func CommandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// NoArgs refuses arguments, as a UsageError.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return UsageErrorf("%s takes no argument, got %q", CommandName(cmd), args[0])
	}
	return nil
}

// CommandOf refuses what is no command below cmd, as a UsageError that names those that may have been meant.
func CommandOf(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // letters that are wrong, at most
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += `; did you mean "` + strings.Join(near, `" or "`) + `"?`
	}
	return UsageErrorf("%s", text)
}
