#!/usr/bin/env bash
# The licences of all that is inside an executable of ours.
#
#   scripts/licences.sh EXECUTABLE TOR_DIR FOLDER     writes FOLDER/LICENCES.txt and FOLDER/COPYING.*
#   scripts/licences.sh EXECUTABLE TOR_DIR --debian   prints them for a Debian package
#
# The Go modules are those that the executable itself names; their texts come from
# the module cache. TOR_DIR is what scripts/build-tor.sh made: Tor's own licence,
# and the libraries linked into it, whose texts Debian keeps in /usr/share/doc.
# Texts that each Debian system has are referred to by those, and with --debian by
# us, as Debian's policy asks; FOLDER gets all that are referred to.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
executable=$1 tor=$2 folder=$3 debian=
if [[ $folder == --debian ]]; then debian=yes; fi
common=/usr/share/common-licenses

die() {
  echo "licences: $*" >&2
  exit 1
}

title() { printf '\n%s\n%s\n%s\n\n' "$(printf '=%.0s' {1..78})" "$1" "$(printf '=%.0s' {1..78})"; }

# text FILE prints a licence, or where the system has it.
text() {
  if [[ -n $debian ]] && grep -q 'Apache License' "$1" && grep -q 'TERMS AND CONDITIONS' "$1"; then
    echo "Apache License, Version 2.0: see $common/Apache-2.0."
  elif [[ -n $debian ]] && grep -q 'Version 2, June 1991' "$1"; then # up to the text of the GPL, which ends the file
    sed '/^ *GNU GENERAL PUBLIC LICENSE$/,$d' "$1"
    echo "GNU General Public License, version 2: see $common/GPL-2."
  else
    cat "$1"
  fi
}

# where NAME says where the text of a licence is that is not repeated.
where() { if [[ -n $debian ]]; then echo "see $common/$1"; else echo "see COPYING.$1"; fi; }

[[ -f $tor/LIBRARIES ]] || die "$tor/LIBRARIES is missing: remove $tor and build it again"

licences() {
  cat <<EOF
jm-directory-server is under the MIT licence. Its executable holds the Go modules
below, and a program of its own, Tor, which it starts. That one is built with its
parts under the GPL: it is under the GNU General Public License, version 3
($(where GPL-3)). README.source says where the source of all of it is.
EOF
  [[ -n $debian ]] || echo "Texts that are said to be in $common lie beside this file, as COPYING.NAME."
  title "jm-directory-server"
  cat LICENSE
  title "Go, its runtime and standard library, $("$go" version "$executable" | sed 's/.*: //')"
  cat "$("$go" env GOROOT)/LICENSE"

  "$go" version -m "$executable" | awk '$1 == "dep" {print $2, $3}' | sort | while read -r path version; do
    title "Go module $path $version"
    dir=$("$go" mod download -json "$path@$version" | sed -nE 's/^\t"Dir": "(.*)",?$/\1/p')
    found=
    for file in "$dir"/LICEN[CS]E* "$dir"/License "$dir"/COPYING* "$dir"/NOTICE* "$dir"/PATENTS*; do
      [[ -f $file ]] || continue
      found=yes
      text "$file"
    done
    [[ -n $found ]] || die "$path@$version: no licence in $dir"
  done

  title "Tor $(cat "$tor/VERSION"), with the other parts of its source"
  cat "$tor/LICENSE"
  title "Equi-X and HashX, parts of Tor's source"
  cat <<EOF
Copyright (c) 2020 tevador. Under the GNU Lesser General Public License, version 3
($(where LGPL-3)).
EOF
  title "libgcc, which the compiler links into Tor"
  cat <<EOF
Under the GNU General Public License, version 3 ($(where GPL-3)), with the GCC Runtime
Library Exception, version 3.1, by which what it is linked with keeps its own licence.
EOF
  while read -r package version source _; do
    title "$source $version, linked into Tor (Debian's description of its licences)"
    file=/usr/share/doc/$package/copyright
    [[ -f $file ]] || die "$file is missing: install $package"
    cat "$file"
  done <"$tor/LIBRARIES"
}

if [[ -n $debian ]]; then
  licences
  exit
fi
licences >"$folder/LICENCES.txt"
grep -oE "$common/[A-Z][A-Za-z]*(-[0-9]+([.][0-9]+)*)?" "$folder/LICENCES.txt" | cat - <(printf '%s\n' GPL-3 LGPL-3) | sed 's|.*/||' | sort -u | while read -r name; do
  install -m 644 "$common/$name" "$folder/COPYING.$name"
done
