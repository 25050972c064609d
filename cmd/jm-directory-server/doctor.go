package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// A verdict is how serious a finding is.
type verdict string

// The verdicts.
const (
	verdictOK   verdict = "OK"
	verdictWarn verdict = "WARN" // it works, but not as well as it could, or not for long
	verdictFail verdict = "FAIL" // clients cannot use the directory, or soon cannot
)

// A finding is the result of one check of "doctor".
type finding struct {
	Check   string  `json:"check"`   // what was looked at: one word or two
	Verdict verdict `json:"verdict"` //
	Text    string  `json:"text"`    // what was found
	Do      string  `json:"do"`      // what to do about it; "" when nothing
}

// A doctor looks at everything that a directory needs, and changes nothing.
type doctor struct {
	*effective
	now      time.Time
	findings []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{check, verdictOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, do, format string, args ...any) {
	d.findings = append(d.findings, finding{check, verdictWarn, fmt.Sprintf(format, args...), do})
}

func (d *doctor) fail(check, do, format string, args ...any) {
	d.findings = append(d.findings, finding{check, verdictFail, fmt.Sprintf(format, args...), do})
}

func newDoctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at all that a directory needs, and say what to do",
		Long: `Looks at the configuration, Tor, the onion key, the clock, the limits of files
and memory, the disk, what the kernel offers for isolation, the service of
systemd, and the running server with its self-check. Each line is OK, WARN or
FAIL, with what to do. Nothing is changed. The exit code is 1 if anything is
FAIL. Run it as root or as the server's user, with the --config and --state-dir
of the server, if it has any; it does not know other flags of "run".`,
		Example: `  jm-directory-server doctor
  jm-directory-server doctor --json --config config.toml`,
		Args: terminal.NoArgs,
	}
	flags := addAdminFlags(cmd)
	asJSON := switchFlag(cmd, "json", "print the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d := &doctor{now: time.Now()}
		d.examine(cmd.Context(), flags)
		columns := terminal.HelpWidth
		if out := terminal.Of(cmd.OutOrStdout()); out != nil {
			columns, _ = terminalSize(out)
		}
		if err := d.print(cmd.OutOrStdout(), columns, bool(*asJSON)); err != nil {
			return err
		}
		if n := d.count(verdictFail); n > 0 {
			return loggedError{fmt.Errorf("doctor: %d checks failed", n)}
		}
		return nil
	}
	return cmd
}

// examine makes all checks that can be made.
func (d *doctor) examine(ctx context.Context, flags *adminFlags) {
	if ctx == nil {
		ctx = context.Background()
	}
	e, err := flags.load()
	if err != nil {
		d.fail("configuration", "mend what is named; \"jm-directory-server check-config\" says the same", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	d.effective = e
	d.checkConfiguration(flags.config)
	d.checkTor(ctx)
	d.checkKey()
	d.checkStateDir()
	d.checkStore()
	d.checkDisk()
	d.checkClock()
	d.checkFiles()
	d.checkMemory()
	d.checkIsolation()
	d.checkService(ctx)
	d.checkServer(ctx, flags)
}

func (d *doctor) checkConfiguration(file string) {
	from := "defaults only"
	if file == "" {
		file = defaultConfigFile
	}
	for _, o := range d.origins {
		if o.source == fromFile {
			from = "from " + file
		}
	}
	for _, w := range d.warnings {
		d.warn("configuration", "see the comment of that key in \"jm-directory-server check-config --example\"", "%s", w)
	}
	if d.Log.Unsafe {
		d.warn("configuration", "set log.unsafe = false on a public directory", "log.unsafe shows nicks, addresses and messages of peers at level debug")
	}
	if d.AllowClearnet && d.Network == "mainnet" {
		d.fail("configuration", "set allow_clearnet = false", "allow_clearnet is on for mainnet: peers would be told to connect to any address that somebody names")
	}
	d.ok("configuration", "%s, %s, tor.mode %s", d.Network, from, d.Tor.Mode)
}

func (d *doctor) count(v verdict) (n int) {
	for _, f := range d.findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// print writes the findings for a person, in lines of that many columns, or, with asJSON, for a program.
func (d *doctor) print(w io.Writer, columns int, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{d.count(verdictFail) == 0, d.findings})
	}
	var b strings.Builder
	for _, f := range d.findings {
		wrapInto(&b, columns, fmt.Sprintf("%-4s  %-15s  ", f.Verdict, f.Check), f.Text)
		if f.Do != "" {
			wrapInto(&b, columns, strings.Repeat(" ", 21)+"→ ", f.Do)
		}
	}
	fmt.Fprintf(&b, "\n%d OK, %d WARN, %d FAIL\n", d.count(verdictOK), d.count(verdictWarn), d.count(verdictFail))
	_, err := io.WriteString(w, b.String())
	return err
}

// wrapInto appends text behind first, broken at blanks into lines of at most so many columns, later ones indented as the text in the
// first one is. A terminal that has no room for both breaks them by itself.
func wrapInto(b *strings.Builder, columns int, first, text string) {
	for _, line := range terminal.Wrap(first, cleanText(text, 4*maxLogText), terminal.Width(first), max(columns, 2*terminal.Width(first))) {
		b.WriteString(line + "\n")
	}
}

// why is an error in one line.
func why(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
