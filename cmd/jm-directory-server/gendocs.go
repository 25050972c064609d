//go:build gendocs

package main

import (
	_ "embed"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"time"

	jmdirectoryserver "jm-directory-server"
	"jm-directory-server/packaging/man"
)

// manual is this command's manual: its package comment.
//
//go:embed main.go
var manual string

// With the build tag gendocs the program writes its manual pages and completions and does nothing else, so
// that what this takes is not part of the program that operators run:
//
//	SOURCE_DATE_EPOCH=1700000000 go run -tags gendocs ./cmd/jm-directory-server DIR
func init() {
	if err := writeDocs(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	os.Exit(exitOK)
}

func writeDocs(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: SOURCE_DATE_EPOCH=SECONDS %s DIR", os.Args[0])
	}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", manual, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return fmt.Errorf("package comment: %w", err)
	}
	m := man.Manual{
		Root:    newRootCommand(),
		Comment: file.Doc,
		Config:  jmdirectoryserver.ConfigExample,
		Version: version,
		Date:    time.Unix(seconds, 0),
	}
	return m.Write(args[0])
}
