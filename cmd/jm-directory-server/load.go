package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"jm-directory-server/server"
)

// defaultConfigFile is read when --config is not given and it exists.
var defaultConfigFile = "/etc/jm-directory-server/config.toml"

// A request is what decides the configuration: the flags, the environment, who runs the server.
type request struct {
	file      string    // --config; empty: defaultConfigFile, if there is one
	text      []byte    // what file says, where it is not there yet; nil: read it
	flags     []setting // in any order
	unlimited bool      // --unlimited
	getenv    func(string) string
	root      bool // run by root
}

// effective is a configuration that may be run, and where each value came from.
type effective struct {
	Config
	file      string // as in request
	origins   map[string]origin
	unlimited bool
	warnings  []string // for the log
}

// options returns what the server is told, without limits after --unlimited.
func (e *effective) options() server.Options {
	if e.unlimited {
		return e.Config.options().Unlimited()
	}
	return e.Config.options()
}

// loadConfig merges the sources: a flag wins over the environment, the environment over the file, the file
// over the default. All that is wrong is returned at once, as problems.
func loadConfig(r request) (*effective, error) {
	l := &loader{effective: effective{Config: DefaultConfig(), file: r.file, origins: map[string]origin{}, unlimited: r.unlimited}}
	l.config = &l.effective.Config
	settings, err := l.file(r)
	if err != nil {
		return nil, err
	}
	settings = append(settings, environmentSettings(r.getenv)...)
	settings = append(settings, r.flags...)
	var host, port *setting
	for _, s := range settings {
		switch {
		case s.key != "":
			l.apply(s)
		case s.from.name == "HOST":
			host = &s
		default:
			port = &s
		}
	}
	l.hostPort(host, port)
	for _, v := range l.config.check() {
		l.violation(v)
	}
	l.flagsOnly(r)
	l.directories(r)
	if len(l.problems) > 0 {
		return nil, l.problems.sorted()
	}
	return &l.effective, nil
}

type loader struct {
	effective
	config   *Config
	problems problems
}

func (l *loader) refuse(from origin, text string) {
	l.problems = append(l.problems, problem{from, text})
}

func (l *loader) warn(text string) { l.warnings = append(l.warnings, oneLine(text)) }

// file returns the settings of the file that r asks for; the error is for one that cannot be read.
func (l *loader) file(r request) ([]setting, error) {
	name := r.file
	if name == "" {
		name = defaultConfigFile
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if r.text != nil {
		settings, ps := parseConfig(name, string(r.text))
		l.problems = append(l.problems, ps...)
		return settings, nil
	}
	settings, ps, err := readConfigFile(name)
	if err != nil {
		return nil, problems{{origin{source: fromFlag, name: "--config"}, err.Error()}}
	}
	l.problems = append(l.problems, ps...)
	return settings, nil
}

// apply stores one setting.
func (l *loader) apply(s setting) {
	f, ok := l.config.field(s.key)
	if !ok {
		panic("config: no key " + s.key)
	}
	if text, ok := s.raw.(string); ok && s.key == "log.level" {
		s.raw = canonicalLevel(text)
	}
	set := f.set
	if s.text {
		set = func(raw any) bool { return f.setText(raw.(string)) }
	}
	l.origins[s.key] = s.from
	if set(s.raw) {
		return
	}
	text := "must be " + typeRule(f)
	if !f.secret {
		text += ", got " + showRaw(s.raw)
	}
	l.refuse(s.from, text)
}

// typeRule says what a value of f has to look like, with its range.
func typeRule(f field) string {
	rule := ""
	probe := DefaultConfig()
	p, _ := probe.field(f.key)
	p.setImpossible()
	for _, v := range probe.check() {
		if v.key == f.key && v.allowed != "" {
			rule = v.allowed
			break
		}
	}
	kind := ""
	switch f.value.Interface().(type) {
	case bool:
		return "true or false"
	case []string:
		return `an array of texts, such as ["a", "b"]`
	case string:
		if !strings.HasPrefix(rule, "one of") {
			return "a text in quotes"
		}
	case int:
		kind = "a whole number"
	case float64:
		kind = "a number"
	default:
		if !strings.HasPrefix(rule, "one of") {
			kind = `a duration in quotes, such as "30s", "12h" or "7d"`
		}
	}
	switch {
	case rule == "":
		return kind
	case kind == "" || strings.HasPrefix(kind, "a whole"):
		return rule
	default:
		return kind + ", " + rule
	}
}

// violation says what rule a value breaks, where it was set. A default can break a rule only because of
// another key, which the rule names: then it is there that the operator has to look.
func (l *loader) violation(v violation) {
	text := v.message
	f, known := l.config.field(v.key)
	if v.allowed != "" {
		text = "must be " + v.allowed
		if known && !f.secret {
			text += ", got " + f.TOML()
		}
	}
	from, set := l.origins[v.key]
	if !set {
		from = origin{name: v.key}
		for _, other := range l.config.fields() {
			o, set := l.origins[other.key]
			if !set || !slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }), other.key) {
				continue
			}
			if from = o; o.source == fromFile {
				from.name = v.key
			} else {
				from.name += ": " + v.key
			}
			text += " (" + other.key + " is " + other.TOML() + ")"
			break
		}
	}
	l.refuse(from, text)
}

// flagsOnly checks what can be said by flags only, and what a flag says although nothing heeds it.
func (l *loader) flagsOnly(r request) {
	a, err := parseAddress(l.config.Listen.Address)
	off := l.config.Tor.Mode == "off"
	if r.unlimited && (!off || err != nil || !a.local()) {
		l.refuse(origin{source: fromFlag, name: "--unlimited"},
			"is for measurements: it needs --tor off and a listener on loopback or a unix socket")
	}
	if from := l.origins["listen.address"]; from.source == fromFlag && !off {
		l.problems = slices.DeleteFunc(l.problems, func(p problem) bool { return p.origin == from })
		l.refuse(from, `is for tor.mode "off" only: add --tor off`)
	}
	if off && err == nil && !a.local() && l.config.Listen.AllowPublic {
		l.warn(fmt.Sprintf("listen.address %s: others than this host can connect without Tor and learn where this directory is", a))
	}
}
