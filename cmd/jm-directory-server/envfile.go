package main

import (
	"fmt"
	"strings"
)

// parseEnv returns the settings of a text in the format of the Python directory server: one NAME=value a line, blank lines and
// comments, an optional "export" before the name. A value may stand in single or double quotes; without
// quotes a blank and "#" begin a comment. Names are those of environmentKeys.
func parseEnv(file, text string) ([]setting, problems) {
	var (
		settings []setting
		ps       problems
		seen     = map[string]int{}
	)
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	for i, line := range strings.Split(text, "\n") {
		from := origin{source: fromFile, file: file, line: i + 1}
		name, value, found, wrong := parseEnvLine(line)
		if !found {
			continue
		}
		from.name = name
		switch {
		case wrong != "":
			ps = append(ps, problem{from, wrong})
		case !environmentNames()[name]:
			ps = append(ps, problem{from, "unknown name" + suggest(name, environmentNames())})
		case seen[name] != 0:
			ps = append(ps, problem{from, fmt.Sprintf("is set twice, first in line %d", seen[name])})
		default:
			seen[name] = i + 1
			settings = append(settings, setting{key: environmentKeys[name], raw: value, text: true, from: from})
		}
	}
	return settings, ps
}

// parseEnvLine reads one line. found is false for one that sets nothing; wrong says what is not in order.
func parseEnvLine(line string) (name, value string, found bool, wrong string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", false, ""
	}
	if rest, ok := strings.CutPrefix(line, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
		line = strings.TrimSpace(rest)
	}
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !ok {
		return "", "", true, "must be NAME=value"
	}
	if name == "" || strings.ContainsAny(name, " \t\"'#$") {
		return "", "", true, "must be NAME=value, with letters, digits and _ in the name"
	}
	value = strings.TrimSpace(value)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		inner, rest, closed := strings.Cut(value[1:], value[:1])
		rest = strings.TrimSpace(rest)
		if !closed {
			return name, "", true, "has a quote without its end"
		}
		if rest != "" && rest[0] != '#' {
			return name, "", true, "has something after the closing quote"
		}
		return name, inner, true, ""
	}
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return name, strings.TrimSpace(value), true, ""
}
