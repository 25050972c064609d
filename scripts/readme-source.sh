#!/usr/bin/env bash
# Print README.source, which goes with every executable that holds a Tor.
#
#   VERSION=TEXT SOURCE_DATE_EPOCH=SECONDS scripts/readme-source.sh TOR_DIR [WHERE]
#
# WHERE says where the sources lie that it names.
set -euo pipefail
cd "$(dirname "$0")/.."
tor=$1 where=${2:-next to the packages of this release}
version=$(cat "$tor/VERSION")
tarball=$(find build/tor -maxdepth 1 -name "tor-$version.tar.*" -print -quit)
[[ -f $tor/LIBRARIES && -n $tarball ]] || {
  echo "readme-source: $tor/LIBRARIES or Tor's tarball is missing: remove ${tor%/} and build it again" >&2
  exit 1
}
sum=$(sha256sum "$tarball" | cut -d' ' -f1)
awk -v version="${VERSION:?}" -v number="${VERSION#v}" -v epoch="${SOURCE_DATE_EPOCH:?}" -v tarball="${tarball##*/}" -v sum="$sum" -v libraries="$tor/LIBRARIES" -v where="$where" '
  /@LIBRARIES@/ { while ((getline line < libraries) > 0) { split(line, f, " "); printf "     %s=%s\n", f[3], f[4] } next }
  { gsub(/@VERSION@/, version); gsub(/@NUMBER@/, number); gsub(/@EPOCH@/, epoch); gsub(/@TARBALL@/, tarball); gsub(/@TORSHA@/, sum); gsub(/@WHERE@/, where); print }' packaging/README.source
