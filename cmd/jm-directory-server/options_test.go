package main

import (
	"io/fs"
	"reflect"
	"testing"
	"time"

	"jm-directory-server/server"
)

// TestEveryOptionOfTheServerCanBeSet guards that no field of server.Options is forgotten on the way from
// the file, and that server.Options.Check can speak of each in the words of the file.
func TestEveryOptionOfTheServerCanBeSet(t *testing.T) {
	c := DefaultConfig()
	for _, f := range c.fields() {
		switch p := f.value.Addr().Interface().(type) {
		case *bool:
			*p = !*p
		case *int:
			*p++
		case *float64:
			*p++
		case *time.Duration:
			*p++
		case *[]string:
			*p = []string{"x"}
		case *string:
			if f.key != "location" {
				*p += "x"
			}
		case *fs.FileMode:
			*p = 0o660
		}
	}
	c.AllowClearnet, c.Location = true, "127.0.0.1:1"
	got, def := reflect.ValueOf(c.options()), reflect.ValueOf(server.DefaultOptions())
	var compare func(prefix string, a, b reflect.Value)
	compare = func(prefix string, a, b reflect.Value) {
		for i := range a.NumField() {
			name := prefix + a.Type().Field(i).Name
			if a.Field(i).Kind() == reflect.Struct && name != "Location" {
				compare(name+".", a.Field(i), b.Field(i))
				continue
			}
			if name == "Version" {
				continue
			}
			if reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				t.Errorf("no key sets server.Options.%s", name)
			}
			unchecked := map[string]bool{"Location": true, "Clearnet": true, "UnsafeLog": true}
			if key := optionKeys[name]; !unchecked[name] {
				if _, ok := c.field(key); !ok {
					t.Errorf("optionKeys has no key for %s", name)
				}
			}
		}
	}
	compare("", got, def)
}
