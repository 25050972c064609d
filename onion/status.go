package onion

import (
	"strconv"
	"strings"
)

// status is a STATUS_CLIENT or STATUS_GENERAL event (control-spec, "Status
// events"). bine's parser splits quoted values at blanks, so this is our own.
type status struct {
	severity, action string
	args             map[string]string
}

// parseStatus reads `NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting"`,
// the text of an event or of GETINFO status/bootstrap-phase. What it cannot
// make sense of it leaves out.
func parseStatus(s string) status {
	var st status
	st.severity, s, _ = strings.Cut(strings.TrimSpace(s), " ")
	st.action, s, _ = strings.Cut(strings.TrimLeft(s, " "), " ")
	st.args = parseArgs(s)
	return st
}

// parseArgs reads KEY=VALUE and KEY="VALUE" with C escapes, separated by blanks.
func parseArgs(s string) map[string]string {
	args := make(map[string]string)
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return args
		}
		end := strings.IndexAny(s, "= ")
		if end < 0 || s[end] == ' ' { // a word without a value
			_, s, _ = strings.Cut(s, " ")
			continue
		}
		key := s[:end]
		s = s[end+1:]
		if strings.HasPrefix(s, `"`) {
			args[key], s = unquote(s[1:])
		} else {
			args[key], s, _ = strings.Cut(s, " ")
		}
	}
}

// unquote reads up to the closing quote and returns the rest after it.
func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i == len(s) {
				return b.String(), ""
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// number reads a decimal argument; 0 if there is none.
func (st status) number(key string) int {
	n, _ := strconv.Atoi(st.args[key])
	return n
}
