package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
)

// maxLogText bounds each text in a log line, in bytes. What the server logs of clients is cut already;
// this holds for whatever else may carry a client's bytes, such as errors of the network.
const maxLogText = 256

// newLogger returns the log of c on w: one line per entry. Terminal says that w is one, which then gets
// colours (unless noColor) and the time of day instead of full time stamps.
func newLogger(c LogConfig, w io.Writer, terminal, noColor bool) (*logrus.Logger, error) {
	level, err := logrus.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	log := logrus.New()
	log.SetOutput(w)
	log.SetLevel(level)
	log.SetFormatter(newFormatter(c, terminal, noColor))
	return log, nil
}

// newFormatter returns how newLogger writes its lines.
func newFormatter(c LogConfig, terminal, noColor bool) logrus.Formatter {
	switch {
	case c.Format == "json":
		return guard{&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano}}
	case terminal:
		return guard{&logrus.TextFormatter{ForceColors: !noColor, DisableColors: noColor, FullTimestamp: true, TimestampFormat: time.TimeOnly}}
	default:
		return guard{&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: time.RFC3339}}
	}
}

// guard keeps what clients say from growing lines or steering terminals, whatever the formatter behind it
// does: on a terminal logrus writes messages as they are.
type guard struct{ next logrus.Formatter }

// Format implements logrus.Formatter.
func (g guard) Format(e *logrus.Entry) ([]byte, error) {
	clean := *e
	clean.Message = cleanText(e.Message, 4*maxLogText)
	clean.Data = make(logrus.Fields, len(e.Data))
	for key, value := range e.Data {
		switch v := value.(type) {
		case string:
			value = cleanText(v, maxLogText)
		case error:
			value = cleanText(v.Error(), 4*maxLogText)
		case fmt.Stringer:
			value = cleanText(v.String(), maxLogText)
		case []byte:
			value = cleanText(string(v), maxLogText)
		}
		clean.Data[key] = value
	}
	return g.next.Format(&clean)
}

// cleanText cuts s to at most most bytes and, if anything in it is not printable, escapes that as in Go.
func cleanText(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most] + "…"
	}
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
