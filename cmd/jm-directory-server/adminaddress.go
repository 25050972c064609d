package main

import (
	"fmt"
	"path/filepath"

	"jm-directory-server/server/unixsocket"
)

// adminSocket is the name of the admin socket in the runtime directory.
const adminSocket = "admin.sock"

// serviceAdminSocket is where the service of systemd has it: its unit says RuntimeDirectory=jm-directory-server.
var serviceAdminSocket = "/run/jm-directory-server/" + adminSocket

// adminRule is what admin.listen and --admin may be.
const adminRule = "unix:PATH (at most 107 bytes) or IP:PORT of loopback"

// checkAdmin checks [admin].
func (k *checker) checkAdmin(c *Config) {
	switch c.Admin.Listen {
	case "", "off":
		return
	}
	a, err := parseAddress(c.Admin.Listen)
	if err != nil || !a.definite() {
		k.must(false, "admin.listen", "off, "+adminRule)
		return
	}
	k.not(!a.local(), "admin.listen", "others than this host could look at the directory and act on it: use unix:PATH, or an IP:PORT of loopback such as 127.0.0.1:5280")
}

// adminAddress is where the running server answers its operator, and whether it does at all. The directories of c must
// be filled in.
func adminAddress(c *Config) (a address, on bool) {
	switch c.Admin.Listen {
	case "":
		return address{path: filepath.Join(c.RuntimeDir, adminSocket)}, true
	case "off":
		return address{}, false
	}
	a, err := parseAddress(c.Admin.Listen)
	return a, err == nil // checkAdmin has refused what cannot be read
}

// adminPath refuses a runtime directory in which the admin socket would have too long a path.
func (l *loader) adminPath() {
	a, _ := adminAddress(l.config)
	if l.config.Admin.Listen != "" || len(a.path) <= unixsocket.MaxPath {
		return
	}
	key := "runtime_dir"
	if l.origins[key].source == fromDefault { // it lies in the state directory
		key = "state_dir"
	}
	from, set := l.origins[key]
	if !set {
		from = origin{name: key}
	}
	l.refuse(from, fmt.Sprintf("the admin socket %s would have a path of %d bytes, at most %d are possible: set a shorter runtime_dir, or admin.listen",
		a.path, len(a.path), unixsocket.MaxPath))
}

// definite says that somebody else can find a: it has no port that is chosen later, no abstract name, at which
// everybody could listen, and no zone.
func (a address) definite() bool {
	return a.path != "" && a.path[0] != '@' || a.path == "" && a.tcp.Port() != 0 && a.tcp.Addr().Zone() == ""
}
