package main

import (
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A field is one key of the configuration and where its value lives.
type field struct {
	key    string // "limits.max_peers"
	secret bool   // never shown
	value  reflect.Value
}

// fields returns all keys in the order of the struct.
func (c *Config) fields() []field {
	return appendFields(nil, "", reflect.ValueOf(c).Elem())
}

func appendFields(fs []field, prefix string, v reflect.Value) []field {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		f := field{key: prefix + tag.Get("toml"), secret: tag.Get("secret") == "true", value: v.Field(i)}
		if f.value.Kind() == reflect.Struct {
			fs = appendFields(fs, f.key+".", f.value)
			continue
		}
		fs = append(fs, f)
	}
	return fs
}

// field returns the field of key.
func (c *Config) field(key string) (field, bool) {
	for _, f := range c.fields() {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

// set stores a value as the TOML decoder made it; false when it is of another type.
func (f field) set(raw any) bool {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		s, ok := raw.(string)
		if ok {
			*p = s
		}
		return ok
	case *bool:
		b, ok := raw.(bool)
		if ok {
			*p = b
		}
		return ok
	case *int:
		n, ok := raw.(int64)
		if ok = ok && int64(int(n)) == n; ok {
			*p = int(n)
		}
		return ok
	case *float64:
		switch n := raw.(type) {
		case float64:
			*p = n
			return true
		case int64:
			*p = float64(n)
			return true
		}
		return false
	case *time.Duration:
		s, _ := raw.(string)
		d, err := parseDuration(s)
		if err == nil {
			*p = d
		}
		return err == nil
	case *fs.FileMode:
		s, _ := raw.(string)
		n, err := strconv.ParseUint(s, 8, 32)
		if err == nil {
			*p = fs.FileMode(n)
		}
		return err == nil
	case *[]string:
		list, ok := raw.([]any)
		texts := make([]string, len(list))
		for i, e := range list {
			s, isText := e.(string)
			texts[i], ok = s, ok && isText
		}
		if ok {
			*p = texts
		}
		return ok
	default:
		panic("config: key " + f.key + " has a type without a setter")
	}
}

// setText stores a value that was given as text, in an environment variable or a flag.
func (f field) setText(s string) bool {
	switch f.value.Interface().(type) {
	case bool:
		b, err := strconv.ParseBool(s)
		return err == nil && f.set(b)
	case int:
		n, err := strconv.ParseInt(s, 10, 64)
		return err == nil && f.set(n)
	case float64:
		n, err := strconv.ParseFloat(s, 64)
		return err == nil && f.set(n)
	default:
		return f.set(s)
	}
}

// setImpossible stores a value that no rule allows, so that the rule can be asked for what it does allow.
func (f field) setImpossible() {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = "\x00"
	case *int:
		*p = math.MinInt
	case *float64:
		*p = -1
	case *time.Duration:
		*p = -1
	case *fs.FileMode:
		*p = fs.ModeType
	case *[]string:
		*p = []string{"\x00"}
	}
}

// TOML returns the value as it is written in a configuration file.
func (f field) TOML() string {
	switch v := f.value.Interface().(type) {
	case string:
		return quoteTOML(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = quoteTOML(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case time.Duration:
		return quoteTOML(goDuration.Replace(v.String()))
	case fs.FileMode:
		return fmt.Sprintf(`"%04o"`, v.Perm())
	default:
		return fmt.Sprint(v)
	}
}

// quoteTOML writes s as a basic string of TOML, in one line and without control characters.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
