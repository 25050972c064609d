package onion

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What Tor is told and asked once the service is there.
const (
	commandHalt          = "SIGNAL HALT"
	commandCloseCircuit  = "CLOSECIRCUIT "
	commandServices      = "GETCONF HiddenServiceOptions"
	commandSetConf       = "SETCONF"
	commandResetServices = "RESETCONF HiddenServiceOptions"
	commandDelOnion      = "DEL_ONION "
	commandInfo          = "GETINFO "

	infoCircuits   = "circuit-status"
	infoSocks      = "net/listeners/socks"
	infoDescriptor = "hs/service/desc/id/"
)

// commands are those that a server has for its Tor once the service is there; its guard refuses all others. As Tor takes
// several services in one SETCONF only, what is allowed there depends on what Tor answered when it was asked for them.
type commands struct {
	// Exact are passed on as they stand here.
	Exact []string
	// Dir is the directory of our service, Sets what its options look like in SETCONF, with any limits of proof of work; nil:
	// they are not changed.
	Dir  string
	Sets *regexp.Regexp

	others []option // the other services, by Tor's last answer
	known  bool     // whether there is one, that has not been used yet
}

var (
	closesCircuit = regexp.MustCompile(`^` + commandCloseCircuit + `[0-9]{1,10}$`) // 32 bits
	powLimits     = regexp.MustCompile(`(HiddenServicePoWQueue(?:Rate|Burst)=)"[0-9]+"`)
)

// commands are those of this service, which has started.
func (s *Service) commands() *commands {
	id := strings.TrimSuffix(s.Address(), ".onion")
	c := &commands{Exact: []string{commandInfo + infoCircuits}}
	if s.features.pow {
		c.Exact = append(c.Exact, commandInfo+infoDescriptor+id)
	}
	if s.proc != nil {
		c.Exact = append(c.Exact, commandHalt)
	} else if s.connects() {
		c.Exact = append(c.Exact, commandInfo+infoSocks)
	}
	if s.byControl {
		c.Exact = append(c.Exact, commandDelOnion+id)
		return c
	}
	c.Exact = append(c.Exact, commandServices)
	c.Dir, c.Sets = s.keyDir, setsAnyLimits(s.options())
	return c
}

// setsAnyLimits matches what sets these options in SETCONF, with any limits of proof of work.
func setsAnyLimits(options []option) *regexp.Regexp {
	words := regexp.QuoteMeta(confWords(options))
	return regexp.MustCompile("^" + powLimits.ReplaceAllString(words, `$1"[0-9]{1,10}"`) + "$")
}

// parseCommands reads what an order says.
func parseCommands(order string) (*commands, error) {
	c := new(commands)
	if err := json.Unmarshal([]byte(order), c); err != nil {
		return nil, fmt.Errorf("order of the guard: %w", err)
	}
	return c, nil
}

// allow says whether a line is one of these commands.
func (c *commands) allow(line string) bool {
	return slices.Contains(c.Exact, line) || closesCircuit.MatchString(line) || c.known && c.changesOurs(line)
}

// changesOurs says whether a line sets or takes off our service, and leaves the others as they are.
func (c *commands) changesOurs(line string) bool {
	ours, ok := strings.CutPrefix(line, commandSetConf+confWords(c.others))
	return ok && c.Sets.MatchString(ours) || line == withoutOurs(c.others)
}

// answered takes Tor's answer to a line; nil is none that counts.
func (c *commands) answered(line string, answer []string) {
	switch {
	case line == commandServices:
		others, _, err := withoutService(answer, c.Dir)
		c.others, c.known = others, answer != nil && err == nil
	case strings.Contains(line, commandSetConf):
		c.known = false // what is asked for once must not be set for ever: somebody else may have changed it
	}
}

// confWords are options as SETCONF takes them, each with a blank before it.
func confWords(options []option) string {
	var b strings.Builder
	for _, o := range options {
		b.WriteString(" " + o.key)
		if o.value != "" {
			b.WriteString("=" + quote(o.value))
		}
	}
	return b.String()
}

// withoutOurs is the command that leaves Tor the other services only.
func withoutOurs(others []option) string {
	if len(others) == 0 {
		return commandResetServices
	}
	return commandSetConf + confWords(others)
}
