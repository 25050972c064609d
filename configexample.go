// Package jmdirectoryserver holds what belongs to the repository as a whole: the documented defaults, which
// operators read next to the README and the command prints.
package jmdirectoryserver

import _ "embed"

// ConfigExample is config.example.toml: every key with its default, unit and range. It is a valid
// configuration, equal to the defaults.
//
//go:embed config.example.toml
var ConfigExample string
