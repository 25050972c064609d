package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Error is the answer to what could not be done.
type Error struct {
	Error string `json:"error"` // a sentence for the operator
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, code int, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil { // a number that is none
		code = http.StatusInternalServerError
		b.Reset()
		fmt.Fprintf(&b, "{\"error\":%q}\n", "the answer cannot be written as JSON")
	}
	answerBytes(w, code, "application/json", b.Bytes())
}

// answerError writes an Error.
func answerError(w http.ResponseWriter, code int, text string) {
	answer(w, code, Error{text})
}

// answerText writes lines for people and for probes.
func answerText(w http.ResponseWriter, code int, lines ...string) {
	var b bytes.Buffer
	for _, line := range lines {
		fmt.Fprintln(&b, line)
	}
	answerBytes(w, code, "text/plain; charset=utf-8", b.Bytes())
}

func answerBytes(w http.ResponseWriter, code int, kind string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(code)
	w.Write(b) // who has hung up is told nothing
}

// get lets GET and HEAD through to next.
func get(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			wrongMethod(w, "GET, HEAD")
			return
		}
		next(w, r)
	})
}

func wrongMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	answerError(w, http.StatusMethodNotAllowed, "the method must be one of "+allowed)
}

// quoted returns what a client sent in a form that is short and printable.
func quoted(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.QuoteToASCII(text[:most]) + "…"
	}
	return strconv.QuoteToASCII(text)
}
