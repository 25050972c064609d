package main

import (
	"errors"

	"github.com/spf13/cobra"

	"jm-directory-server/cmd/terminal"
)

// adminFlags are the flags of commands that talk to a running server.
type adminFlags struct {
	*stateFlags
	admin string
}

// addAdminFlags defines them for cmd.
func addAdminFlags(cmd *cobra.Command) *adminFlags {
	f := &adminFlags{}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&f.admin, "admin", "", "`address` where the server answers its operator: unix:PATH or 127.0.0.1:PORT")
	f.stateFlags = addStateFlags(cmd)
	return f
}

// places are where the server may answer: where --admin says, else where the configuration says. The service of systemd
// has a runtime directory of its own, which only it is told, so its socket is looked at too, unless something
// names another server.
func (f *adminFlags) places() ([]address, error) {
	if f.cmd.Flags().Changed("admin") {
		a, err := parseAddress(f.admin)
		if err != nil || !a.local() || !a.definite() {
			return nil, terminal.UsageErrorf("--admin: must be %s, got %q", adminRule, f.admin)
		}
		return []address{a}, nil
	}
	e, err := f.load()
	if err != nil {
		return nil, err
	}
	a, on := adminAddress(&e.Config)
	if !on {
		return nil, errors.New(`the configuration says admin.listen = "off": a server with it answers no such commands`)
	}
	places := []address{a}
	named := f.cmd.Flags().Changed("state-dir") || f.config != "" && f.config != defaultConfigFile ||
		e.Admin.Listen != "" || e.origins["runtime_dir"].source != fromDefault
	if !named && a.path != serviceAdminSocket {
		places = append(places, address{path: serviceAdminSocket})
	}
	return places, nil
}

// connect finds the running server; close the client.
func (f *adminFlags) connect() (*adminClient, error) {
	places, err := f.places()
	if err != nil {
		return nil, err
	}
	return findServer(f.cmd.Context(), places)
}
