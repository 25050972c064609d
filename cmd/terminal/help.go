package terminal

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// HelpWidth is how wide help is at most, in columns: as many as the narrowest terminal in common use has.
const HelpWidth = 80

// completionHelp says how each shell takes its completions; NAME is that of the program. What it runs fits on a line with any name
// of ours.
var completionHelp = map[string]string{
	"bash": `Prints completions for bash. They need its package bash-completion. For the
shell that runs:

  source <(NAME completion bash)

For every new one, as root:

  NAME completion bash \
    > /etc/bash_completion.d/NAME`,
	"zsh": `Prints completions for zsh, which must have compinit in ~/.zshrc. For the shell
that runs:

  source <(NAME completion zsh)

For every new one, as root:

  NAME completion zsh \
    > /usr/local/share/zsh/site-functions/_NAME`,
	"fish": `Prints completions for fish. For the shell that runs:

  NAME completion fish | source

For every new one:

  NAME completion fish \
    > ~/.config/fish/completions/NAME.fish`,
	"powershell": `Prints completions for PowerShell. For the shell that runs, or in your profile
for every new one:

  NAME completion powershell | Out-String | Invoke-Expression`,
}

// FitHelp has the help of root and the commands below it fit HelpWidth columns where cobra makes it: what it says of flags, and of
// its own commands "help" and "completion", which are added here, and refuse arguments that make no sense with a UsageError: cobra
// ignores them, or makes no difference to other errors. Call it when all other commands are there.
func FitHelp(root *cobra.Command) {
	root.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages", ".FlagUsagesWrapped "+strconv.Itoa(HelpWidth),
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, `"{{.CommandPath}} [command] --help" says more.`,
	).Replace(root.UsageTemplate()))
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			fitCompletion(cmd)
		case "help":
			cmd.Short, cmd.Long = "Show the help of a command", "Shows the help of a command, as --help behind it does."
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err != nil {
					return UsageErrorf("%w", err)
				}
				return CommandOf(found, rest)
			}
		}
	}
}

// fitCompletion does it for "completion" and its shells.
func fitCompletion(completion *cobra.Command) {
	program := completion.Root().Name()
	completion.Short = "Print completions for a shell"
	completion.Long = "Prints what has a shell complete commands and flags of " + program + "."
	completion.Args, completion.RunE = CommandOf, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, shell := range completion.Commands() {
		shell.Args = NoArgs
		shell.Short = "Print completions for " + shell.Name()
		shell.Long = strings.ReplaceAll(completionHelp[shell.Name()], "NAME", program)
	}
}
