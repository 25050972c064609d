package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"jm-directory-server/onion"
)

// servicePlaces are where the service of systemd has its state and, while it runs, its credentials, and the directories with its unit.
// $CREDENTIALS_DIRECTORY is set for the service only: a command that root runs for it has to look itself.
type servicePlaces struct {
	state       string
	credentials string
	units       []string
}

// installedService is that of the unit; tests have others.
var installedService = servicePlaces{
	state: statePath, credentials: "/run/credentials/" + unitName,
	units: []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"},
}

// credentialSetting is how a unit names the key among its credentials (systemd.exec(5)).
var credentialSetting = regexp.MustCompile(`(?m)^\s*(Load|Set|Import)Credential(Encrypted)?\s*=\s*` + credentialName + `\s*(:|$)`)

// otherKey says that the service with that state directory has its key from a credential, and not the one that was found in the
// state directory (the zero value for none there); "" if not, or if it is the same key.
func (p servicePlaces) otherKey(stateDir string, here onion.SecretKey) string {
	if !sameDir(stateDir, p.state) {
		return ""
	}
	name := filepath.Join(p.credentials, credentialName)
	if _, err := os.Lstat(name); err == nil {
		if used, err := onion.ReadKey(name); err == nil && used.Key == here {
			return ""
		}
		return fmt.Sprintf("the service uses the credential %s, not the key in the state directory: CREDENTIALS_DIRECTORY=%s before this command names that one", name, p.credentials)
	}
	for _, dir := range p.units {
		files, _ := filepath.Glob(filepath.Join(dir, unitName+".d", "*.conf")) // the pattern is a good one
		for _, file := range append(files, filepath.Join(dir, unitName)) {
			if text, err := os.ReadFile(file); err == nil && credentialSetting.Match(text) {
				return fmt.Sprintf("by %s the service uses the credential %s, not the key in the state directory", file, credentialName)
			}
		}
	}
	return ""
}
