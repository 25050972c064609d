package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxConfigFile bounds a configuration file, in bytes.
const maxConfigFile = 1 << 20

// A setting is one key with the value that a source gives it. Text is for sources that know no types:
// raw is a string then.
type setting struct {
	key  string
	raw  any
	text bool
	from origin
}

// readConfigFile reads the settings of a file: in the format of the Python directory server when it is named *.env, else TOML.
// The error is for a file that cannot be read at all.
func readConfigFile(name string) ([]setting, problems, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("config file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("config file: %w", err)
	}
	if len(text) > maxConfigFile {
		return nil, nil, fmt.Errorf("config file: %s is larger than %d bytes", name, maxConfigFile)
	}
	settings, ps := parseConfig(name, string(text))
	return settings, ps, nil
}

// parseConfig returns the settings of the text of a file; its name tells the format.
func parseConfig(name, text string) ([]setting, problems) {
	if filepath.Ext(name) == ".env" {
		return parseEnv(name, text)
	}
	return parseTOML(name, text)
}

// parseTOML returns the settings of a TOML text. Unknown keys and syntax errors are problems; types and
// values are looked at when the settings are applied.
func parseTOML(file, text string) ([]setting, problems) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		return nil, problems{tomlProblem(file, err)}
	}
	w := &tomlWalk{file: file, lines: scanPositions(text), tables: map[string]bool{}, keys: map[string]bool{}}
	c := DefaultConfig()
	for _, f := range c.fields() {
		w.keys[f.key] = true
		if table, _, ok := strings.Cut(f.key, "."); ok {
			w.tables[table] = true
		}
	}
	w.table(nil, tree)
	return w.settings, w.problems
}

type tomlWalk struct {
	file         string
	lines        positions
	keys, tables map[string]bool // known ones
	settings     []setting
	problems     problems
}

func (w *tomlWalk) table(prefix toml.Key, tree map[string]any) {
	for name, raw := range tree {
		key := append(prefix[:len(prefix):len(prefix)], name)
		from := origin{source: fromFile, file: w.file, line: w.lines.line(key), name: key.String()}
		sub, isTable := raw.(map[string]any)
		switch known := w.tables[key.String()]; {
		case known && isTable:
			w.table(key, sub)
		case known:
			w.problems = append(w.problems, problem{from, fmt.Sprintf("must be a table: write [%s] on a line of its own, got %s", name, showRaw(raw))})
		case w.keys[key.String()]:
			w.settings = append(w.settings, setting{key: key.String(), raw: raw, from: from})
		case isTable && len(sub) > 0:
			w.table(key, sub) // the keys in it are what the operator meant
		default:
			w.problems = append(w.problems, problem{from, "unknown key" + suggest(key.String(), w.keys)})
		}
	}
}

var tomlDefined = regexp.MustCompile(`^Key '(.*)' (?:has already been defined|was already created.*)\.$`)

// tomlProblem turns an error of the decoder into a problem with the line and, where known, the key.
func tomlProblem(file string, err error) problem {
	p := problem{origin{source: fromFile, file: file, line: 1}, err.Error()}
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return p
	}
	p.line, p.name, p.text = max(pe.Position.Line, 1), pe.LastKey, pe.Message
	if m := tomlDefined.FindStringSubmatch(pe.Message); m != nil {
		p.name, p.text = m[1], "is set twice"
	}
	return p
}

// showRaw shows a value of a file as far as it helps to recognise it.
func showRaw(raw any) string {
	switch v := raw.(type) {
	case string:
		const most = 60
		if len(v) > most {
			return strconv.QuoteToASCII(v[:most]) + "..."
		}
		return strconv.Quote(v)
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "an array"
	case time.Time:
		return "a date"
	default:
		return fmt.Sprint(v)
	}
}
