package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A MemberError says what is wrong with the JSON of an action.
type MemberError struct {
	Member  string // its name; "" for the whole
	Problem string // completes the sentence that the name begins
}

// Error names the member and what is allowed.
func (e *MemberError) Error() string {
	if e.Member == "" {
		return e.Problem
	}
	return e.Member + " " + e.Problem
}

// A member is one that an object may have, and where its value goes.
type member struct {
	name     string
	text     *string // nil: the value is a boolean
	flag     *bool
	optional bool
	given    bool
}

func text(name string, into *string) *member { return &member{name: name, text: into} }
func optionalText(name string, into *string) *member {
	return &member{name: name, text: into, optional: true}
}
func flag(name string, into *bool) *member { return &member{name: name, flag: into} }

// readMembers reads an object that has exactly these members, each once. Who mistypes "duration" must not ban somebody for
// ever, so nothing is guessed or ignored. The error is a *MemberError.
func readMembers(body []byte, members ...*member) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	if dec.PeekKind() != jsontext.KindBeginObject {
		if _, err := dec.ReadToken(); err != nil {
			return syntaxError(err)
		}
		return &MemberError{"", "the request must be a JSON object"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return syntaxError(err)
		}
		m := find(members, name.String())
		if m == nil {
			return &MemberError{quoted(name.String()), "is no member; allowed are " + names(members)}
		}
		m.given = true
		if err := m.read(dec); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return &MemberError{"", "something follows the JSON object"}
	}
	for _, m := range members {
		if !m.given && !m.optional {
			return &MemberError{m.name, "is missing"}
		}
	}
	return nil
}

func (m *member) read(dec *jsontext.Decoder) error {
	kind := dec.PeekKind()
	switch {
	case kind == jsontext.KindInvalid: // ReadToken says why
	case m.text != nil && kind != jsontext.KindString:
		return &MemberError{m.name, "must be a string"}
	case m.flag != nil && kind != jsontext.KindTrue && kind != jsontext.KindFalse:
		return &MemberError{m.name, "must be true or false"}
	}
	value, err := dec.ReadToken()
	if err != nil {
		return syntaxError(err)
	}
	if m.text != nil {
		*m.text = value.String()
	} else {
		*m.flag = value.Bool()
	}
	return nil
}

// syntaxError keeps what the decoder says only where it does not repeat the input at length.
func syntaxError(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return &MemberError{quoted(syntax.JSONPointer.LastToken()), "is given more than once"}
	case errors.As(err, &syntax):
		return &MemberError{"", fmt.Sprintf("the request is not JSON: wrong at byte %d", syntax.ByteOffset)}
	}
	return &MemberError{"", "the request is not JSON: it ends early"}
}

func find(members []*member, name string) *member {
	for _, m := range members {
		if m.name == name {
			return m
		}
	}
	return nil
}

func names(members []*member) string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.name
	}
	return strings.Join(all, ", ")
}
