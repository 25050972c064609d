#!/usr/bin/env bash
# Look for known vulnerabilities in what the programs call: of Go itself and of the modules in go.mod.
#
#   scripts/vuln.sh
#
# Exit code 1 when there are some. The list is fetched from the Go project's database; where that cannot be reached,
# nothing is known, which is said, and the exit code is 0: a build without the internet is not a bad one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if "$go" tool govulncheck ./... >"$out" 2>&1; then
  cat "$out"
elif grep -q "fetching vulnerabilities:" "$out"; then
  echo "NOT CHECKED for known vulnerabilities: the database cannot be reached ($(sed -nE 's/^.*fetching vulnerabilities: //p' "$out" | head -n 1))"
else
  cat "$out" >&2
  exit 1
fi
