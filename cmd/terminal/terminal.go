package terminal

import (
	"os"

	"golang.org/x/term"
)

// Of returns what is read from or written to as the terminal that it is, or nil.
func Of(stream any) *os.File {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}
