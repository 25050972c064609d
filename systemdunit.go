package jmdirectoryserver

import _ "embed"

// SystemdUnit is packaging/systemd/jm-directory-server.service, for a program in /usr/bin.
//
//go:embed packaging/systemd/jm-directory-server.service
var SystemdUnit string
