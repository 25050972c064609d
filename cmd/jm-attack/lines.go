package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"jm-directory-server/server/wire"
)

// lineAttacks are about what is said.
var lineAttacks = []attack{
	{name: "too-long", what: "lines above 40 000 bytes, with and without an end", run: func(ctx context.Context, f *field) (string, error) {
		return badLines(ctx, f, func(n int, nick string) string {
			end := "\"}\r\n"
			if n%2 == 0 {
				end = ""
			}
			return `{"type":687,"line":"` + nick + `!PUBLIC!` + strings.Repeat("x", 41_000) + end
		})
	}},
	{name: "garbage", what: "nesting, members twice, bad UTF-8, no JSON", run: func(ctx context.Context, f *field) (string, error) {
		return badLines(ctx, f, func(n int, nick string) string {
			switch n % 5 {
			case 0:
				return `{"type":687,"line":"x","y":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}\r\n"
			case 1:
				return `{"type":687,"type":685,"line":"` + nick + `!PUBLIC!cancel 0"}` + "\r\n"
			case 2:
				return `{"type":687,"line":"` + nick + "!PUBLIC!\xff\xfe\"}\r\n"
			case 3:
				return `{"type":687,"line":"` + nick + `!PUBLIC!\ud800"}` + "\r\n"
			default:
				return strings.Repeat("\x00\x01garbage", 100) + "\n\n\n"
			}
		})
	}},
	{name: "non-ascii", what: "text that grows beyond 40 000 bytes when its characters are escaped", run: nonASCII},
}

// badLines come, shake hands, send one bad line, and come back.
func badLines(ctx context.Context, f *field, line func(n int, nick string) string) (string, error) {
	var sent atomic.Int64
	f.each(ctx, 20, 500, func(int) {
		g := stranger()
		s, err := f.join(ctx, f.fresh(), g)
		if err != nil {
			return
		}
		defer s.conn.Close()
		if _, err := io.WriteString(s.conn, line(int(sent.Add(1)), g.nick())); err == nil {
			io.Copy(io.Discard, io.LimitReader(s.conn, 1<<16)) // until it is closed
		}
	})
	return fmt.Sprintf("%d bad lines", sent.Load()), nil
}

func nonASCII(ctx context.Context, f *field) (string, error) {
	streams, greetings, err := f.crowd(ctx, 5, 1)
	if err != nil {
		return "", err
	}
	var sent atomic.Int64
	// Honest peers read with the limit of the strictest client, and would end at a longer line.
	f.each(ctx, len(streams), 50, func(i int) {
		n := int(sent.Add(1))
		text := strings.Repeat("\u20ac", 13_000)
		if n%2 == 0 {
			text = strings.Repeat("\u0001", 6_600) // six bytes each
		}
		streams[i].send(wire.Pubmsg, greetings[i].nick()+"!PUBLIC!cancel "+text)
	})
	return fmt.Sprintf("%d messages of up to 39 000 bytes", sent.Load()), nil
}
