#!/usr/bin/env bash
# Make all files of a release in build/release, after make build and make man.
#
#   make release
#
# For each machine: an archive with the executable and what goes with it, a Debian
# package, and a bill of materials; besides the sources that our licences promise,
# and SHA256SUMS. The same commit, compilers and Debian libraries give the same
# bytes: scripts/check-reproducible.sh.
#
# Environment:
#   VERSION, SOURCE_DATE_EPOCH   set by make from the commit
#   ARCHES="amd64 arm64"         the machines; without it both, or only this one if
#                                the cross compiler is missing and cannot be installed
#   MAINTAINER="NAME <ADDRESS>"  of the Debian packages (default: of the last commit)
set -Eeuo pipefail
trap 'echo "release: failed at line $LINENO" >&2' ERR
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC
: "${VERSION:?}" "${SOURCE_DATE_EPOCH:?}"
go=${GO:-go}
name=jm-directory-server
number=${VERSION#v}
out=$PWD/build/release
new=$out.new
native=$(dpkg --print-architecture)

say() { printf 'release: %s\n' "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# can_cross says that a Tor for arm64 can be compiled here.
can_cross() { command -v aarch64-linux-gnu-gcc >/dev/null || [[ $(id -u) == 0 && -n $(command -v apt-get) ]]; }

if [[ -z ${ARCHES:-} ]]; then
  ARCHES=$native
  if [[ $native != amd64 ]]; then
    say "THIS RELEASE IS FOR $native ONLY: no cross compiler is known on this machine"
  elif can_cross; then
    ARCHES="amd64 arm64"
  else
    say "THIS RELEASE IS FOR amd64 ONLY: for arm64, run: sudo apt-get install -y gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
  fi
fi

# tor_dir ARCH prints where scripts/build-tor.sh puts that one's Tor.
tor_dir() { if [[ $1 == "$native" ]]; then echo build/tor; else echo "build/tor-$1"; fi; }

# archive FILE DIR NAME packs DIR/NAME with nothing in it that depends on when, where and by whom.
archive() {
  tar -C "$2" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$3" | gzip -n9 >"$1"
}

# executable ARCH OUT builds the server with that machine's Tor. The overlay puts it where the build tag embedtor
# looks, without touching the tree.
executable() {
  local tor overlay=()
  tor=$PWD/$(tor_dir "$1")
  if [[ $1 != "$native" ]]; then
    overlay=(-overlay "$new/overlay.json")
    cat >"$new/overlay.json" <<EOF
{"Replace": {
  "$PWD/onion/embedded/tor.gz": "$tor/tor.gz",
  "$PWD/onion/embedded/tor.version": "$tor/VERSION"
}}
EOF
  fi
  env GOFLAGS= GOEXPERIMENT= GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=0 GOOS=linux GOARCH="$1" \
    "$go" build -trimpath -buildvcs=false "${overlay[@]}" \
    -tags embedtor -ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$2" ./cmd/jm-directory-server
  if readelf -lW "$2" | grep -q INTERP; then
    die "the executable for $1 is not static"
  fi
}

# check ARCH EXECUTABLE runs it, if this machine can.
check() {
  local run=()
  if [[ $1 != "$native" ]]; then
    if ! command -v qemu-aarch64-static >/dev/null; then
      say "$1: not run, there is no qemu-aarch64-static"
      return
    fi
    run=(qemu-aarch64-static)
  fi
  "${run[@]}" "$2" version | grep -qF "Tor $(cat "$(tor_dir "$1")/VERSION") (embedded)" || die "the executable for $1 has another Tor"
  "${run[@]}" "$2" check-config >/dev/null
}

machine() {
  local arch=$1 tor dir=$name-$number-linux-$1 root
  tor=$(tor_dir "$arch")
  root=$new/$dir
  mkdir -p "$root"
  executable "$arch" "$root/$name"
  check "$arch" "$root/$name"
  cp -r build/man "$root/man"
  install -m 644 config.example.toml CHANGELOG.md LICENSE packaging/systemd/jm-directory-server.service "$root"
  install -D -m 644 -t "$root/prometheus" packaging/prometheus/jm-directory-server.rules.yml
  install -D -m 644 -t "$root/grafana" packaging/grafana/jm-directory-server.json
  scripts/licences.sh "$root/$name" "$tor" "$root"
  scripts/readme-source.sh "$tor" >"$root/README.source"
  chmod -R u=rwX,go=rX "$root"
  archive "$new/$dir.tar.gz" "$new" "$dir"
  ARCH=$arch EXECUTABLE=$root/$name TOR_DIR=$tor scripts/deb.sh "$new"
  scripts/sbom.sh "$root/$name" "$tor" "$arch" >"$new/$dir.cdx.json"
  rm -rf "$root" "$new/overlay.json"
}

# sources are what README.source names: this tree as committed, and Tor's tarball.
sources() {
  local dir=$name-$number-source tarball
  mkdir "$new/$dir"
  if [[ -e .git ]]; then # this tree's own, not that of a checkout around it
    git ls-files -z
  else
    find . -type f ! -path './build/*' ! -path './onion/embedded/*' -printf '%P\0'
  fi | xargs -0 cp --parents -t "$new/$dir"
  find "$new/$dir" -type d -exec chmod 755 {} + -o -perm -u+x -exec chmod 755 {} + -o -exec chmod 644 {} +
  archive "$new/$dir.tar.gz" "$new" "$dir"
  rm -rf "${new:?}/$dir"
  tarball=$(find build/tor -maxdepth 1 -name "tor-$(cat build/tor/VERSION).tar.*" -print -quit)
  [[ -n $tarball ]] || die "Tor's tarball is missing: remove build/tor and build it again"
  cp "$tarball" "$new/"
}

rm -rf "$new"
mkdir -p "$new"
for arch in $ARCHES; do
  [[ $arch == "$native" ]] || ARCH=$arch scripts/build-tor.sh
  machine "$arch"
done
sources
(cd "$new" && sha256sum -- * >SHA256SUMS)
rm -rf "$out"
mv "$new" "$out"
say "$VERSION for $ARCHES, in build/release:"
(cd "$out" && ls -1 -s --block-size=1)
