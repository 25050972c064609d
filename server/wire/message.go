package wire

import (
	"bytes"
	"errors"
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

// AsksForOrderbook reports whether any command of a public body is orderbook, which every maker answers with a private
// message (protocol.md 6.1). It MUST NOT allocate.
func AsksForOrderbook(body []byte) bool {
	for more := true; more; {
		var command []byte
		command, body, more = bytes.Cut(body, separator)
		if bytes.Equal(command, orderbook) || len(command) > len(orderbook) && command[len(orderbook)] == ' ' && bytes.HasPrefix(command, orderbook) {
			return true
		}
	}
	return false
}

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
