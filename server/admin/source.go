package admin

import (
	"context"
	"io"
	"time"

	"jm-directory-server/server"
)

// A Source is what the package shows and acts on. The program that runs the directory provides it. Its methods may be called
// from many goroutines at once.
type Source interface {
	// Report returns the state now.
	Report() Report
	// Alive returns nil while the directory moves, within the time of ctx.
	Alive(ctx context.Context) error
	// Ready returns nil while clients can reach the directory, or what keeps them: one sentence a reason.
	Ready() []string
	// History returns samples of a span of one minute, one hour or one day that started from from on and before to,
	// oldest first. Intervals without the server are absent.
	History(span time.Duration, from, to time.Time) ([]Sample, error)
	// CopyStore writes a consistent copy of the file of bans and history. An error before anything is written is for
	// the operator.
	CopyStore(ctx context.Context, w io.Writer) error

	// The actions. Their errors are for the operator.
	Kick(server.Target) (int, error)
	Ban(t server.Target, d time.Duration, reason string) (server.Ban, error)
	Unban(id string) error
	Bans() []server.Ban
	SetDraining(on bool)
	// SetMOTD and SetLogLevel hold until the configuration is read anew.
	SetMOTD(text string) error
	SetLogLevel(level string) error
}
