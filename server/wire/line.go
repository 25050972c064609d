package wire

import (
	"bytes"
	"errors"
	"io"
)

// MaxLine is the longest line in bytes before its delimiter, in and out (protocol.md 2): above it existing clients
// drop the directory.
const MaxLine = 40_000

// ErrTooLong says that a line has, or must come to have, more than MaxLine bytes.
var ErrTooLong = errors.New("line longer than 40000 bytes")

// ErrNoCRLF says that a line of a directory ends otherwise than with CR LF, which the strictest existing client does not
// take for an end.
var ErrNoCRLF = errors.New("line does not end with CR LF")

// CutLine finds the first line in buf. The delimiter is LF with or without one CR before it (protocol.md 2). from is how
// many bytes of buf are already known to hold no LF: the length of the buffer that the last call, with n = 0,
// was given. It saves scanning a line anew with each piece that arrives.
//
// It returns the line without its delimiter, aliasing buf, and n, the bytes consumed with the delimiter. n is 0 while
// the line is incomplete. The error is ErrTooLong as soon as the line must exceed MaxLine, whether or not its
// delimiter has come; the line cannot be resumed then.
func CutLine(buf []byte, from int) (line []byte, n int, err error) {
	// The LF of the longest legal line stands at MaxLine, or one later after a CR.
	const lastLF = MaxLine + 1
	window := buf[:min(len(buf), lastLF+1)]
	from = min(max(from, 0), len(window))
	i := bytes.IndexByte(window[from:], '\n')
	if i < 0 {
		if len(buf) > lastLF || len(buf) == lastLF && buf[MaxLine] != '\r' {
			return nil, 0, ErrTooLong
		}
		return nil, 0, nil
	}
	i += from
	line = buf[:i:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[: i-1 : i-1]
	}
	if len(line) > MaxLine {
		return nil, 0, ErrTooLong
	}
	return line, i + 1, nil
}

// SplitLine is a bufio.SplitFunc for what a directory sends, as strict as the strictest client: a line ends with CR LF and
// with nothing else (protocol.md 2). Errors: ErrTooLong, ErrNoCRLF, io.ErrUnexpectedEOF. The scanner's buffer must hold
// MaxLine bytes, the delimiter, and one more.
func SplitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	line, n, err := CutLine(data, 0)
	switch {
	case err != nil:
		return 0, nil, err
	case n == 0 && atEOF && len(data) > 0:
		return 0, nil, io.ErrUnexpectedEOF
	case n > 0 && !bytes.HasSuffix(data[:n], []byte("\r\n")):
		return 0, nil, ErrNoCRLF
	}
	return n, line, nil
}
