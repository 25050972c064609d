package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
)

var (
	indented = regexp.MustCompile("(?m)^ {4}(.+)$")
	inline   = regexp.MustCompile("`((?:\\./)?jm-directory-server [^`]+|make [a-z]+)`")
	comment  = regexp.MustCompile(` {2,}#.*$`)
)

// commands returns all commands of a document in their order: lines of blocks that begin with a program of
// ours, or pipe into one, and then code within the text.
func commands(t *testing.T, document string) []string {
	var all []string
	text := read(t, document)
	for _, m := range append(indented.FindAllStringSubmatch(text, -1), inline.FindAllStringSubmatch(text, -1)...) {
		line := strings.TrimSpace(comment.ReplaceAllString(m[1], ""))
		word, _, _ := strings.Cut(line, " ")
		switch {
		case strings.Contains(line, "  "), strings.Contains(line, " PATH"):
			// a drawing; a form rather than a command
		case word == "make", strings.TrimPrefix(word, "./") == server, strings.Contains(line, "| "+server+" "):
			all = append(all, line)
		}
	}
	return all
}

const server = "jm-directory-server"

// stand is where the commands of one document run.
type stand struct {
	dir       string // with "old", the directory of another Tor with its key in it, and a file "pass"
	root      string // of the repository
	recipient string // of age
}

// shell turns a command into what can run here, and says whether that is "all" of it, the "help" with the same
// flags, or "make" without the recipes.
func (s stand) shell(line string) (kind, shell string) {
	line = strings.NewReplacer(
		"./"+server, server,
		"ssh old ", "", "-C /var/lib/tor", "-C "+s.dir+"/old", "/var/lib/tor/directory", s.dir+"/old/directory",
		"<address>.onion", "*.onion", "age1...", s.recipient,
		"joinm", "jo", "jmdir", "jm", // the search of long prefixes takes seconds
	).Replace(line)
	words := strings.Fields(line)
	switch {
	case words[0] == "make":
		return "make", "make -n -C " + s.root + " " + strings.Join(words[1:], " ")
	case len(words) == 1, words[1][0] == '-', words[1] == "run", words[1] == "install", words[1] == "uninstall":
		return "help", line + " --help"
	case strings.Contains(line, "key import"), strings.Contains(line, "key new"):
		line += " --replace"
	case words[1] == "restore":
		line = "mv directory.age recipient.age; " + server + " backup directory.age --passphrase-file pass; " + line + " --passphrase-file pass"
	case words[1] == "backup" && strings.Contains(line, "--recipient"):
		line = "mv directory.age passphrase.age; " + line
	case words[1] == "backup":
		line += " --passphrase-file pass"
	}
	return "all", line
}

// TestCommandsOfTheDocumentsWork runs every command that the documents tell the reader to type, those of a document one
// after the other. The server itself, which other tests run, and what takes root and systemd, which
// scripts/try-unit.sh and scripts/try-deb.sh run, are only asked for their help.
func TestCommandsOfTheDocumentsWork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: a passphrase is slow on purpose")
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, document := range documents {
		t.Run(document, func(t *testing.T) {
			s := stand{t.TempDir(), repository, identity.Recipient().String()}
			sh := func(line string) {
				cmd := exec.Command("sh", "-ec", line)
				cmd.Dir = s.dir
				cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "STATE_DIRECTORY=" + s.dir + "/state"}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
			}
			sh("umask 077; mkdir old; " + server + " key new; " + server + " key export old/directory; echo secret >pass")
			for _, line := range commands(t, document) {
				kind, shell := s.shell(line)
				count[kind]++
				sh(shell)
			}
		})
	}
	if count["all"] < 20 || count["help"] < 5 || count["make"] < 10 {
		t.Errorf("only %v commands were found", count)
	}
}
