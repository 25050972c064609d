#!/usr/bin/env bash
# Put measured figures into a document, in place of what is between its markers.
#
#   scripts/figures.sh DOCUMENT NAME FILE     between <!-- NAME --> and <!-- /NAME -->
set -euo pipefail
document=$1 name=$2 file=$3
if [[ $(grep -cxF -e "<!-- $name -->" -e "<!-- /$name -->" "$document") != 2 ]]; then
  echo "$document has no markers $name" >&2
  exit 1
fi
new=$(mktemp)
trap 'rm -f "$new"' EXIT
awk -v begin="<!-- $name -->" -v end="<!-- /$name -->" -v file="$file" '
  $0 == end { inside = 0 }
  !inside { print }
  $0 == begin { inside = 1; print ""; while ((getline line < file) > 0) print line; print "" }
' "$document" >"$new"
cat "$new" >"$document"
