#!/usr/bin/env bash
# Make the release of the last commit twice, in two directories, and compare all files.
# The second time it is made as README.source says: from the archives of the first, ours and
# Tor's, without git.
#
#   scripts/check-reproducible.sh
#
# Everything is compiled in each: Tor for each machine, and Go with a build cache of its
# own. Time zone, language, umask and number of compiler runs differ. It takes about ten
# minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/reproducible
commit=$(git rev-parse HEAD) # others may commit meanwhile
VERSION=$(git describe --tags --always)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
MAINTAINER=$(git log -1 --format='%an <%ae>')
export VERSION SOURCE_DATE_EPOCH MAINTAINER
rm -rf "$work"
mkdir -p "$work"

# once DIR MASK VARIABLE=VALUE...: a whole release of the source in DIR.
once() {
  local dir=$work/$1
  printf 'reproducible: %s\n' "$1"
  (umask "$2" && cd "$dir" && env GOCACHE="$dir.gocache" "${@:3}" make release) >"$dir.log" 2>&1 || {
    tail -n 30 "$dir.log" >&2
    exit 1
  }
}

git clone -q . "$work/one"
git -C "$work/one" checkout -q --detach "$commit"
once one 022 TZ=UTC LANG=C JOBS=2
mkdir "$work/another-with-a-longer-name"
tar -xzf "$work"/one/build/release/*-source.tar.gz -C "$work/another-with-a-longer-name" --strip-components=1
tarball=$(find "$work/one/build/release" -name 'tor-*.tar.*' -print -quit)
once another-with-a-longer-name 077 TOR_TARBALL="$tarball" TOR_SHA256="$(sha256sum "$tarball" | cut -d ' ' -f 1)" TZ=Asia/Tokyo LANG=C.UTF-8 JOBS=3

if ! diff "$work/one/build/release/SHA256SUMS" "$work/another-with-a-longer-name/build/release/SHA256SUMS"; then
  echo "reproducible: NO: these files differ; they are kept in $work" >&2
  exit 1
fi
(cd "$work/another-with-a-longer-name/build/release" && sha256sum --quiet -c "$work/one/build/release/SHA256SUMS")
echo "reproducible: yes, $(wc -l <"$work/one/build/release/SHA256SUMS") files are the same:"
cat "$work/one/build/release/SHA256SUMS"
rm -rf "$work"
