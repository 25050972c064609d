#!/usr/bin/env bash
# Attack the server that "make build" made, and write what honest peers noticed into docs/security.md.
#
#   scripts/attack.sh          every attack
#   scripts/attack.sh FLAG...  what these flags of jm-attack say, such as --only churn: printed, and no document changed
#
# Everything is on this machine: a server on a unix socket for each attack, then a private Tor network on loopback. It
# takes about ten minutes and ends by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
CGO_ENABLED=0 "$go" build -trimpath -o build/jm-attack ./cmd/jm-attack
if (($#)); then
  exec build/jm-attack --server build/jm-directory-server "$@"
fi
failed=0
build/jm-attack --server build/jm-directory-server --document docs/security.md || failed=$?
build/jm-attack --server build/jm-directory-server --tor build/tor/tor --document docs/security.md || failed=$?
exit "$failed"
