package main

import (
	"errors"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jm-directory-server/server"
)

// flagKeys are the flags that set a key, for what is set by hand most.
var flagKeys = []struct{ flag, key, usage string }{
	{"network", "network", "bitcoin `network`: mainnet, testnet, signet or regtest"},
	{"tor", "tor.mode", "which Tor to use, a `mode`: embedded, system, external or off"},
	{"listen", "listen.address", "`address` to listen on: 127.0.0.1:PORT or unix:PATH; with --tor off only"},
	{"state-dir", "state_dir", "`directory` of the onion key and of all that must survive a restart"},
	{"log-level", "log.level", "`level`: debug, info, warn or error"},
}

// configFlags are the flags of all commands that read the configuration.
type configFlags struct {
	set       *pflag.FlagSet
	unlimited boolFlag
	ephemeral boolFlag
}

// addConfigFlags defines them for cmd.
func addConfigFlags(cmd *cobra.Command) *configFlags {
	f := &configFlags{set: cmd.Flags()}
	f.set.SortFlags = false
	f.set.String("config", "", "configuration `file`, TOML or *.env")
	for _, k := range flagKeys {
		f.set.String(k.flag, "", k.usage)
	}
	f.set.Var(&f.ephemeral, "ephemeral", "serve under a throw-away onion address")
	f.set.Var(&f.unlimited, "unlimited", "no rate limits, for measurements; with --tor off and a local listener only")
	for _, name := range []string{"ephemeral", "unlimited"} {
		f.set.Lookup(name).NoOptDefVal = "true"
	}
	for flag, values := range map[string][]string{"network": server.Networks, "tor": torModes, "log-level": logLevels} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err)
		}
	}
	return f
}

// load returns the configuration that flags, environment and file make.
func (f *configFlags) load() (*effective, error) {
	r := request{
		file:      f.set.Lookup("config").Value.String(),
		unlimited: bool(f.unlimited),
		getenv:    os.Getenv,
		root:      os.Geteuid() == 0,
	}
	for _, k := range flagKeys {
		if flag := f.set.Lookup(k.flag); flag.Changed {
			r.flags = append(r.flags, flagSetting(k.flag, k.key, flag.Value.String()))
		}
	}
	if f.set.Changed("ephemeral") {
		r.flags = append(r.flags, flagSetting("ephemeral", "tor.ephemeral", f.ephemeral.String()))
	}
	return loadConfig(r)
}

func flagSetting(flag, key, value string) setting {
	return setting{key: key, raw: value, text: true, from: origin{source: fromFlag, name: "--" + flag}}
}

// boolFlag is a pflag.Value whose errors are written for people.
type boolFlag bool

// String implements pflag.Value.
func (b *boolFlag) String() string { return strconv.FormatBool(bool(*b)) }

// Type implements pflag.Value.
func (b *boolFlag) Type() string { return "bool" }

// Set implements pflag.Value.
func (b *boolFlag) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("must be true or false")
	}
	*b = boolFlag(v)
	return nil
}
