package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// savedConfig returns the configuration in a backup, "" without one, and the whole backup to be read from its start. Nothing
// is verified by it, and nothing is written: what is wrong with the backup is found when it is unpacked.
func savedConfig(plain io.Reader) (name string, text []byte, whole io.Reader) {
	var head bytes.Buffer
	t := tar.NewReader(io.TeeReader(plain, &head))
	whole = io.MultiReader(&head, plain)
	for { // manifest and key come before it, the store after it
		h, err := t.Next()
		if err != nil || h.Size > maxConfigFile || strings.HasPrefix(h.Name, storeFolder) {
			return "", nil, whole
		}
		base, ok := strings.CutPrefix(h.Name, configFolder)
		if !ok {
			continue
		}
		if text, err = io.ReadAll(t); err != nil || !validEntry(h.Name) {
			return "", nil, whole
		}
		return base, text, whole
	}
}

// hereBefore is the configuration before the restore, for its directories. One with mistakes may be why there is a restore: if it can be
// put aside, or need not say where the state directory is, it counts as empty. The error is problems.
func hereBefore(flags *stateFlags, replace bool) (*effective, error) {
	r := flags.request()
	e, err := loadConfig(r)
	var wrong problems
	if !errors.As(err, &wrong) || !slices.ContainsFunc(wrong, func(p problem) bool { return p.source == fromFile }) {
		return e, err
	}
	if !replace && !flags.cmd.Flags().Changed("state-dir") {
		return nil, append(wrong, problem{origin{source: fromFlag, name: "--replace"}, "puts this configuration aside for the one in the backup"})
	}
	r.text = []byte{}
	return loadConfig(r)
}

// A restoredTo is where key and store go, and what there is to say of that.
type restoredTo struct {
	stateDir string
	remark   string // "" for none
}

// whereRestored sees to it that a server with the restored configuration finds its key: otherwise it would make a new one, and with
// it a new address. Here is the state directory that is meant here, by --state-dir, or by a configuration or default that may not
// outlive the restore. If the restored configuration means another one, that is asked for: it may be a path of another host.
// The name of a configuration is what tells its format: that of configTo, if it is set.
func whereRestored(cmd *cobra.Command, here, configTo, name string, text []byte) (restoredTo, error) {
	if name == "" {
		return restoredTo{stateDir: here}, nil
	}
	if configTo == "" {
		configTo = name
	}
	then, err := loadConfig(request{file: configTo, text: text, getenv: os.Getenv, root: os.Geteuid() == 0})
	switch given := cmd.Flags().Changed("state-dir"); {
	case given && err != nil:
		return restoredTo{here, "the configuration is restored as it was, and has mistakes: " + why(err)}, nil
	case given && then.origins["state_dir"].source == fromFile && !sameDir(then.StateDir, here):
		return restoredTo{here, fmt.Sprintf("the configuration has state_dir %s: change that, or start the server with --state-dir %s", then.StateDir, here)}, nil
	case given:
		return restoredTo{stateDir: here}, nil
	case err != nil:
		return restoredTo{}, fmt.Errorf("its configuration has mistakes, so say with --state-dir where key and store are to go: %s", why(err))
	case sameDir(then.StateDir, here):
		return restoredTo{stateDir: here}, nil
	}
	question := fmt.Sprintf("a server with its configuration keeps its state in %s, not in %s as here; put key and store into the first", then.StateDir, here)
	return restoredTo{stateDir: then.StateDir}, confirm(cmd, question, "--state-dir")
}
