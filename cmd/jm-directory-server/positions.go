package main

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// positions says in which line of a TOML file each key first appears, counted from 1. The index is
// toml.Key.String(). The decoder knows the line of a syntax error only; an operator who mistyped a key or
// a value needs it as well.
type positions map[string]int

// line returns the line of key, or of the nearest table around it; 1 when neither is known.
func (p positions) line(key toml.Key) int {
	for n := len(key); n > 0; n-- {
		if line, ok := p[key[:n].String()]; ok {
			return line
		}
	}
	return 1
}

// scanPositions finds the keys of a text that the decoder has accepted. For other texts what it finds is
// incomplete, but it always ends.
func scanPositions(text string) positions {
	s := &positionScanner{text: text, line: 1, found: positions{}}
	for _, bom := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		s.text = strings.TrimPrefix(s.text, bom)
	}
	s.document()
	return s.found
}

type positionScanner struct {
	text  string
	i     int // next byte
	line  int // of that byte
	found positions
}

func (s *positionScanner) document() {
	var table toml.Key
	for s.blank(); s.more(); s.blank() {
		line := s.line
		if s.take("[[") || s.take("[") {
			table = s.key()
			s.record(nil, table, line)
			s.skipLine()
			continue
		}
		if !s.keyValue(table) {
			s.skipLine()
		}
	}
}

// keyValue reads "key = value" and says whether it was one.
func (s *positionScanner) keyValue(table toml.Key) bool {
	line := s.line
	key := s.key()
	if len(key) == 0 || !s.take("=") {
		return false
	}
	s.record(table, key, line)
	s.value(append(table[:len(table):len(table)], key...))
	return true
}

// record keeps the line of table+key and of the tables that a dotted key makes on the way.
func (s *positionScanner) record(table, key toml.Key, line int) {
	full := append(table[:len(table):len(table)], key...)
	for n := len(table) + 1; n <= len(full); n++ {
		name := full[:n].String()
		if _, ok := s.found[name]; !ok {
			s.found[name] = line
		}
	}
}

// key reads a bare, quoted or dotted key and the blanks after it.
func (s *positionScanner) key() toml.Key {
	var key toml.Key
	for {
		s.spaces()
		part, ok := s.keyPart()
		if !ok {
			return key
		}
		key = append(key, part)
		s.spaces()
		if !s.take(".") {
			return key
		}
	}
}

func (s *positionScanner) keyPart() (string, bool) {
	start := s.i
	switch {
	case s.at(`"`), s.at("'"):
		s.quoted()
		part := s.text[start:s.i]
		if !strings.Contains(part, `\`) {
			if len(part) < 2 {
				return "", false
			}
			return part[1 : len(part)-1], true
		}
		var m map[string]any // the decoder knows the escapes
		if _, err := toml.Decode(part+" = 0", &m); err == nil {
			for name := range m {
				return name, true
			}
		}
		return "", false
	default:
		for s.more() && !strings.ContainsRune(" \t\r\n.=[]{},#\"'", rune(s.text[s.i])) {
			s.i++
		}
		return s.text[start:s.i], s.i > start
	}
}

// value skips one value; it looks inside inline tables for keys.
func (s *positionScanner) value(key toml.Key) {
	s.spaces()
	switch {
	case s.at(`"""`), s.at(`'''`):
		s.multiline(s.text[s.i : s.i+3])
	case s.at(`"`), s.at("'"):
		s.quoted()
	case s.take("["):
		for s.blank(); s.more() && !s.take("]"); s.blank() {
			if !s.take(",") {
				s.value(key)
			}
		}
	case s.take("{"):
		for s.blank(); s.more() && !s.take("}"); s.blank() {
			if !s.take(",") && !s.keyValue(key) {
				return
			}
		}
	default:
		start := s.i
		for s.more() && !strings.ContainsRune(",]}#\n", rune(s.text[s.i])) {
			s.i++
		}
		if s.i == start && s.more() && s.text[s.i] != '\n' && s.text[s.i] != '#' {
			s.i++ // no value at all: go on, whatever it is
		}
	}
}

// quoted skips a one-line string.
func (s *positionScanner) quoted() {
	quote := s.text[s.i]
	for s.i++; s.more() && s.text[s.i] != '\n'; s.i++ {
		switch {
		case s.text[s.i] == '\\' && quote == '"' && s.i+1 < len(s.text) && s.text[s.i+1] != '\n':
			s.i++
		case s.text[s.i] == quote:
			s.i++
			return
		}
	}
}

// multiline skips a string between three quotes; up to two more quotes before the end belong to it.
func (s *positionScanner) multiline(quotes string) {
	for s.i += 3; s.more(); s.step() {
		if s.text[s.i] == '\\' && quotes == `"""` {
			s.step()
			if !s.more() {
				return
			}
			continue
		}
		if s.take(quotes) {
			for n := 0; n < 2 && s.take(quotes[:1]); n++ {
			}
			return
		}
	}
}

// blank skips blanks, comments and line ends.
func (s *positionScanner) blank() {
	for s.more() {
		switch s.text[s.i] {
		case ' ', '\t', '\r', '\n':
			s.step()
		case '#':
			s.skipLine()
		default:
			return
		}
	}
}

func (s *positionScanner) spaces() {
	for s.more() && (s.text[s.i] == ' ' || s.text[s.i] == '\t') {
		s.i++
	}
}

func (s *positionScanner) skipLine() {
	for s.more() {
		end := s.text[s.i] == '\n'
		s.step()
		if end {
			return
		}
	}
}

func (s *positionScanner) step() {
	if s.text[s.i] == '\n' {
		s.line++
	}
	s.i++
}

func (s *positionScanner) more() bool            { return s.i < len(s.text) }
func (s *positionScanner) at(prefix string) bool { return strings.HasPrefix(s.text[s.i:], prefix) }

func (s *positionScanner) take(prefix string) bool {
	if !s.at(prefix) {
		return false
	}
	s.i += len(prefix)
	return true
}
