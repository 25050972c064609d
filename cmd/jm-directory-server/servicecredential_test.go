package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"jm-directory-server/onion"
)

// TestKeyThatTheServiceDoesNotUseIsWarnedAbout has root look at the state directory of a service whose key is a credential: what lies
// in the state directory is an older one, and a backup of it is of no use.
func TestKeyThatTheServiceDoesNotUseIsWarnedAbout(t *testing.T) {
	was := installedService
	t.Cleanup(func() { installedService = was })
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	const byUnit, running = "uses the credential onion-key, not", "CREDENTIALS_DIRECTORY="
	for _, test := range []struct {
		name  string
		files map[string]string // below the places, by "KEY" the key in the state directory
		other bool              // another state directory than the service's
		empty bool              // no key in the state directory
		want  string            // in a warning, or "" for none
	}{
		{name: "no service"},
		{name: "service without credential", files: map[string]string{"etc/" + unitName: "[Service]\n#LoadCredential=onion-key:/x\nLoadCredential=other:/x\n"}},
		{name: "drop-in", files: map[string]string{"etc/" + unitName + ".d/key.conf": "[Service]\nLoadCredential=onion-key:/x\n"}, want: byUnit},
		{name: "encrypted, in the unit", files: map[string]string{"lib/" + unitName: "[Service]\nLoadCredentialEncrypted=onion-key\n"}, want: byUnit},
		{name: "it runs", files: map[string]string{"run/onion-key": "another"}, want: running},
		{name: "it runs with the same key", files: map[string]string{"run/onion-key": "KEY", "etc/" + unitName: "LoadCredential=onion-key:/x"}},
		{name: "another state directory", files: map[string]string{"run/onion-key": "another"}, other: true},
		{name: "no key in the state directory", files: map[string]string{"run/onion-key": "another"}, empty: true, want: running},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			state := filepath.Join(root, "state")
			at := func(name string) string { return filepath.Join(root, name) }
			installedService = servicePlaces{state: state, credentials: at("run"), units: []string{at("etc"), at("lib")}}
			if test.other {
				state = at("state2")
			}
			if !test.empty {
				if _, err := onion.InstallKey(state, testBackup(t).key, false); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range test.files {
				if text == "KEY" {
					secret, err := os.ReadFile(filepath.Join(onion.KeyDir(state), "hs_ed25519_secret_key"))
					if err != nil {
						t.Fatal(err)
					}
					text = string(secret)
				}
				if err := os.MkdirAll(filepath.Dir(at(name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, args := range [][]string{{"key", "show"}, {"key", "export", at("exported")}, {"backup", at("b.age"), "--recipient", id.Recipient().String()}} {
				var stdout, stderr bytes.Buffer
				code := execute(append(args, "--state-dir", state), &stdout, &stderr)
				if (code == exitOK) == test.empty {
					t.Errorf("%v: exit code %d: %s", args, code, &stderr)
				}
				if said := stderr.String(); test.want == "" && strings.Contains(said, "credential") || !strings.Contains(said, test.want) {
					t.Errorf("%v said %q", args, said)
				}
			}
		})
	}
}
