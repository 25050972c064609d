package main

import (
	"io"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"jm-directory-server/cmd/terminal"
	"jm-directory-server/isolation"
)

// loggedError is an error that the log has told already.
type loggedError struct{ error }

func newRunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the server (also without a command)",
		Long: `Runs the server until SIGTERM or SIGINT. When clients can find it, its onion
address is printed to standard output; the log goes to standard error.`,
		Example: `  jm-directory-server run
  jm-directory-server run --config custom.env --log-level debug
  jm-directory-server run --tor off --listen 127.0.0.1:5222 --unlimited`,
		Args: terminal.NoArgs,
	}
	flags := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd, flags) }
	return cmd
}

// run loads the configuration and runs the server with it.
func run(cmd *cobra.Command, flags *configFlags) error {
	unix.Umask(0o077)
	e, err := flags.load()
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	line := newStatusLine(stderr)
	if line != nil {
		stderr = line
	}
	noColor := os.Getenv("NO_COLOR") != ""
	log, err := newLogger(e.Log, stderr, line != nil, noColor)
	if err != nil {
		return err
	}
	for _, w := range e.warnings {
		log.Warn(w)
	}
	d := &daemon{effective: e, log: log, line: line, stdout: cmd.OutOrStdout(), startOnion: startOnion,
		load: flags.load, notify: &notifier{log: log},
		formatter: func(c LogConfig) logrus.Formatter { return newFormatter(c, line != nil, noColor) }}
	d.isolator = &isolator{probe: isolation.Probe, apply: isolation.Apply}
	if err := d.run(); err != nil {
		log.Error(err)
		return loggedError{err}
	}
	return nil
}

// newStatusLine returns the status line of w, or nil when w is not a terminal.
func newStatusLine(w io.Writer) *statusLine {
	f := terminal.Of(w)
	if f == nil {
		return nil
	}
	return &statusLine{out: f, width: func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80
		}
		return width
	}}
}
