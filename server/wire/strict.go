package wire

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep arrays and objects may nest below the outermost object (protocol.md 2, 9.1). It holds in
// members that are ignored, too.
const MaxDepth = 10

// What can be wrong with JSON from a peer. Errors of Parser.Parse and ParseHandshake wrap one of these beside their own.
var (
	// ErrUTF8 is invalid UTF-8 anywhere in the line, surrogates and overlong forms included.
	ErrUTF8 = errors.New("invalid utf-8")
	// ErrSyntax is what RFC 8259 refuses: no JSON, trailing data, unpaired surrogate escapes, raw control characters.
	ErrSyntax = errors.New("invalid json")
	// ErrDuplicate is a member that occurs twice in one object.
	ErrDuplicate = errors.New("duplicate member")
	// ErrDepth is nesting deeper than MaxDepth.
	ErrDepth = errors.New("nested too deep")
	// ErrMember is a required member that is missing or of the wrong type, or no object at all.
	ErrMember = errors.New("missing or mistyped member")
)

// A strictReader reads one JSON object token by token, with unique names, valid Unicode and bounded depth. The zero
// value is ready; it is reusable, by one goroutine at a time.
type strictReader struct {
	src   bytes.Buffer
	dec   jsontext.Decoder
	odd   bool // an array or object was read inside the outermost object
	names int  // names read
}

// fewNames is how many names a line may have for its reader to keep its memory.
const fewNames = 64

// open begins an object. raw must not change until close.
func (r *strictReader) open(raw []byte) error {
	r.src = *bytes.NewBuffer(raw)
	r.dec.Reset(&r.src)
	r.odd, r.names = false, 0
	switch r.dec.PeekKind() {
	case jsontext.KindBeginObject:
		_, err := r.dec.ReadToken()
		return err
	case jsontext.KindInvalid:
		_, err := r.dec.ReadToken()
		if err == io.EOF {
			return ErrSyntax
		}
		return err
	}
	return ErrMember
}

// more reports whether another member, or something that is wrong, follows in the innermost object.
func (r *strictReader) more() bool { return r.dec.PeekKind() != jsontext.KindEndObject }

// name reads the name of a member as it stands in the input.
func (r *strictReader) name() (jsontext.Value, error) {
	if r.nested() {
		return nil, ErrSyntax // before reading it, however deep it is
	}
	r.names++
	return r.dec.ReadValue()
}

// scalar reads a string, a number or a literal as it stands in the input. The caller has made sure that it is not nested.
func (r *strictReader) scalar() (jsontext.Value, error) { return r.dec.ReadValue() }

// nested reports whether an array or object follows.
func (r *strictReader) nested() bool {
	k := r.dec.PeekKind()
	return k == jsontext.KindBeginObject || k == jsontext.KindBeginArray
}

// skip reads a value of any kind. It goes by tokens, so that a value that is nested too deep ends at that depth and costs no
// more than the bytes up to there.
func (r *strictReader) skip() error {
	base := r.dec.StackDepth()
	for {
		if _, err := r.dec.ReadToken(); err != nil {
			return err
		}
		depth := r.dec.StackDepth()
		if depth > MaxDepth+1 {
			return ErrDepth
		}
		if depth == base {
			return nil
		}
		r.odd = true
	}
}

// end reads the end of the innermost object.
func (r *strictReader) end() error {
	_, err := r.dec.ReadToken()
	return err
}

// finish reads the end of the outermost object and wants nothing but blanks after it.
func (r *strictReader) finish() error {
	if err := r.end(); err != nil {
		return err
	}
	switch _, err := r.dec.ReadToken(); err {
	case io.EOF:
		return nil
	default:
		return ErrSyntax
	}
}

// reason turns an error of the reader into one of the sentinels above. The decoder's own text is not kept: it quotes
// the input. A reader that met an error, a nested value or many names gives up its memory, which may be large.
func (r *strictReader) reason(raw []byte, err error) error {
	if err != nil || r.odd || r.names > fewNames {
		r.dec = jsontext.Decoder{}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return ErrDuplicate
	case err == ErrDepth, err == ErrMember, err == ErrSyntax && utf8.Valid(raw):
		return err
	case !utf8.Valid(raw):
		return ErrUTF8
	}
	return ErrSyntax
}

// plain returns the inside of a JSON string without escapes.
func plain(quoted jsontext.Value) ([]byte, bool) {
	inside := quoted[1 : len(quoted)-1]
	return inside, bytes.IndexByte(inside, '\\') < 0
}
