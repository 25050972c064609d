package wire

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"
)

// Public is the addressee of a pubmsg (protocol.md 6.1).
const Public = "PUBLIC"

// Why a line is no message. Forwarding one makes existing clients drop the directory (protocol.md 10.3).
var (
	// ErrNoSeparators is fewer than two '!'.
	ErrNoSeparators = errors.New("message without separators")
	// ErrNoBody is nothing after the second '!'.
	ErrNoBody = errors.New("message without body")
)

// A Message is the line of a pubmsg or a privmsg, taken apart. The parts alias the line and are not checked: From and To may
// be anything without '!'.
type Message struct {
	From []byte // the nick that claims to send
	To   []byte // a nick, or Public
	Body []byte // commands and arguments; never empty
}

// SplitMessage splits the line of a pubmsg or privmsg at its first two '!'; later ones belong to the body (protocol.md
// 6.1). Errors: ErrNoSeparators, ErrNoBody. It MUST NOT allocate.
func SplitMessage(line []byte) (Message, error) {
	from, rest, ok := bytes.Cut(line, separator)
	if !ok {
		return Message{}, ErrNoSeparators
	}
	to, body, ok := bytes.Cut(rest, separator)
	if !ok {
		return Message{}, ErrNoSeparators
	}
	if len(body) == 0 {
		return Message{}, ErrNoBody
	}
	return Message{From: from, To: to, Body: body}, nil
}

var (
	separator = []byte{'!'}
	blank     = []byte{' '}
	relOffer  = []byte("reloffer")
	absOffer  = []byte("absoffer")
	orderbook = []byte("orderbook")
)

// OrderbookRequests returns how many commands of a public body are orderbook, each of which makers may answer with a private
// message (protocol.md 6.1). What stands for one is what any client takes for one: the reference client looks at the first
// word only, joinmarket-ng trims white space, as Python knows it. It MUST NOT allocate.
func OrderbookRequests(body []byte) (n int) {
	for more := true; more; {
		var command []byte
		command, body, more = bytes.Cut(body, separator)
		after, ok := bytes.CutPrefix(bytes.TrimLeftFunc(command, isBlank), orderbook)
		if !ok {
			continue
		}
		if next, _ := utf8.DecodeRune(after); len(after) == 0 || isBlank(next) {
			n++
		}
	}
	return n
}

// isBlank reports whether Python, in which existing clients are written, takes r for white space.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// AnnouncesOffer reports whether any command of a public body announces an offer. It goes by the end of the name,
// "reloffer" or "absoffer", so that new families of offers count as the known ones (protocol.md 5.3, 6.1). It MUST NOT
// allocate.
func AnnouncesOffer(body []byte) bool {
	for more := true; more; {
		var command []byte
		command, body, more = bytes.Cut(body, separator)
		name, _, _ := bytes.Cut(command, blank)
		if announces(name) {
			return true
		}
	}
	return false
}

// announces reports whether the command of this name announces an offer.
func announces(name []byte) bool {
	return bytes.HasSuffix(name, relOffer) || bytes.HasSuffix(name, absOffer)
}
