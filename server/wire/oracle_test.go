package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A second opinion on what is strict JSON, built on encoding/json, for differential tests: that package accepts
// invalid UTF-8, unpaired surrogates, duplicates and any depth, so each is checked by hand here.

var errOracle = errors.New("refused by the second opinion")

// oracleObject returns the members of a strict object.
func oracleObject(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) || !surrogatesPaired(raw) {
		return nil, errOracle
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := oracleWalk(dec, 0); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errOracle
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errOracle
	}
	return members, nil
}

// oracleWalk reads one value, with the number of arrays and objects around it.
func oracleWalk(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth > MaxDepth {
		return errOracle
	}
	names := map[string]bool{}
	for dec.More() {
		if open == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if names[name.(string)] {
				return errOracle
			}
			names[name.(string)] = true
		}
		if err := oracleWalk(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// surrogatesPaired looks at the \u escapes of valid JSON.
func surrogatesPaired(raw []byte) bool {
	unit := func(at int) (uint64, bool) {
		if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(raw[at+2:at+6]), 16, 16)
		return n, err == nil
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		n, ok := unit(i)
		switch {
		case !ok:
			i++ // a short escape
		case n >= 0xdc00 && n <= 0xdfff:
			return false
		case n >= 0xd800 && n <= 0xdbff:
			low, ok := unit(i + 6)
			if !ok || low < 0xdc00 || low > 0xdfff {
				return false
			}
			i += 11
		default:
			i += 5
		}
	}
	return true
}

// oracleEnvelope is Parse by the second opinion.
func oracleEnvelope(raw []byte) (Envelope, error) {
	members, err := oracleObject(raw)
	if err != nil {
		return Envelope{}, err
	}
	code, err := strconv.ParseUint(string(members["type"]), 10, 32)
	if err != nil {
		return Envelope{}, err
	}
	line, ok := oracleValue[string](members["line"])
	if !ok {
		return Envelope{}, errOracle
	}
	return Envelope{Type: Type(code), Line: []byte(line)}, nil
}

// oracleValue is the value of a member, which must be there and have the type; null has none.
func oracleValue[T any](raw json.RawMessage) (v T, ok bool) {
	var p *T
	if err := json.Unmarshal(raw, &p); err != nil || p == nil {
		return v, false
	}
	return *p, true
}

// oracleFeatures returns the features that count, sorted, of how many, and the length of the longest name.
func oracleFeatures(raw json.RawMessage) (counted []string, all, longest int, ok bool) {
	features, ok := oracleValue[map[string]json.RawMessage](raw)
	for name, value := range features {
		longest = max(longest, len(name))
		if string(value) == "true" && featureForm.MatchString(name) {
			counted = append(counted, name)
		}
	}
	slices.Sort(counted)
	return counted, len(features), longest, ok
}

// featureForm is the form of a feature's name as protocol.md 5.3 writes it.
var featureForm = regexp.MustCompile(`^[a-z0-9_]{1,64}\z`)
