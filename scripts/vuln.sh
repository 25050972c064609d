#!/usr/bin/env bash
# Look for known vulnerabilities in what the programs call: of Go itself and of the modules in go.mod.
#
#   scripts/vuln.sh
#
# Exit code 1 when there are some. The list is the Go project's database, or, where that cannot be reached, the module that it
# is made from, as the module mirror has it, which may be some days older. Where neither can be reached nothing is known, which
# is said, and the exit code is 0: a build without the internet is not a bad one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# check [FLAG…]: govulncheck; false, and silent, only when it could not fetch the database
check() {
  if "$go" tool govulncheck "$@" ./... >"$out/found" 2>&1; then
    cat "$out/found"
  elif grep -q 'fetching vulnerabilities:' "$out/found"; then
    return 1
  else
    cat "$out/found" >&2
    exit 1
  fi
}

if check; then
  exit 0
fi
reason=$(sed -nE 's/^.*fetching vulnerabilities: //p' "$out/found" | head -n 1)
if (cd "$out" && "$go" mod download -json golang.org/x/vulndb@latest) >"$out/module" 2>"$out/download"; then
  member() { sed -nE "s/^\t\"$1\": \"(.*)\",?$/\1/p" "$out/module"; }
  echo "The database cannot be reached ($reason): with golang.org/x/vulndb $(member Version)"
  check -db "file://$(member Dir)/data/osv" || { cat "$out/found" >&2; exit 1; }
else
  echo "NOT CHECKED for known vulnerabilities: the database cannot be reached ($reason)"
fi
