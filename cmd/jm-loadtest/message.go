package main

import (
	"bytes"
	"fmt"
	"strings"

	"jm-directory-server/server/wire"
)

// The texts of our messages. A public one and most private ones are a commitment (protocol.md 6.1, hp2), which any
// directory knows and none keeps; the answer to orderbook is an offer. Each has its stamp in a fixed place.
const (
	publicTo   = "!" + wire.Public + "!"
	commitment = "hp2 P"
	offer      = "sw0reloffer 0 27300 500000000 0 0.00002!tbond "
	orderbook  = "orderbook"

	publicStamp  = wire.NickLen + len(publicTo) + len(commitment)
	privateHead  = 2 * (wire.NickLen + 1)
	privateStamp = privateHead + len(commitment)
	offerStamp   = privateHead + len(offer)
)

// The sizes of a message that --size can ask for, in bytes of the whole line as we send it, with its CR LF. The
// upper bound leaves room for directories that write envelopes with blanks and count the CR LF (protocol.md 2).
const (
	minSize = 160
	maxSize = 39_900
)

// answerSize is the size of an answer to orderbook in bytes: an offer with a bond (protocol.md 9.3).
const answerSize = 650

// A template is a message that is complete but for its stamp.
type template struct {
	line  []byte // with CR LF
	stamp int    // offset
	text  int    // length of the text in the envelope
}

// newTemplate makes a message of size bytes. to is a nick or wire.Public.
func newTemplate(t wire.Type, from, to, body string, size int) (template, error) {
	text := from + "!" + to + "!" + body + strings.Repeat("0", stampLen)
	line, err := wire.AppendEnvelope(nil, t, []byte(text))
	if err != nil {
		return template{}, fmt.Errorf("message: %w", err)
	}
	if missing := size - len(line); missing > 0 {
		text += " " + strings.Repeat("x", missing-1)
		if line, err = wire.AppendEnvelope(nil, t, []byte(text)); err != nil {
			return template{}, fmt.Errorf("message: %w", err)
		}
	}
	at := bytes.Index(line, []byte(body)) + len(body)
	return template{line, at, len(text)}, nil
}

// appendMessage appends the message with that stamp. It MUST NOT allocate when dst has room.
func (t *template) appendMessage(dst []byte, s stamp) []byte {
	n := len(dst)
	dst = append(dst, t.line...)
	s.put(dst[n+t.stamp:])
	return dst
}

// A form is how a directory writes an envelope of one type: what stands before and behind the text. Directories
// differ in blanks and in the order of members (protocol.md 2); each keeps to its own.
type form struct{ before, behind string }

// text returns the text of a line that has this form, and false for any other line. It MUST NOT allocate.
func (f *form) text(line []byte) ([]byte, bool) {
	n, m := len(f.before), len(f.behind)
	if len(line) < n+m || string(line[:n]) != f.before || string(line[len(line)-m:]) != f.behind {
		return nil, false
	}
	return line[n : len(line)-m], true
}

// learnForm finds the form of a line whose text, as the parser understood it, stands in it as it is.
func learnForm(line, text []byte) (form, bool) {
	at := bytes.Index(line, text)
	if at < 0 || len(text) < privateHead {
		return form{}, false
	}
	return form{string(line[:at]), string(line[at+len(text):])}, true
}
