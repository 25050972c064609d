#!/usr/bin/env bash
# Build a current, fully static Tor with onion-service proof of work.
#
#   scripts/build-tor.sh
#
# Results: build/tor/tor (stripped), build/tor/VERSION, build/tor/LICENSE,
# build/tor/LIBRARIES (what is linked into it: a Debian package, its version,
# its source package and that one's version a line) and
# onion/embedded/{tor.gz,tor.version}, which the build tag embedtor puts into
# our own file. A run that finds them up to date does nothing.
#
# With ARCH=arm64 on another machine it is cross-compiled into build/tor-arm64,
# tor.gz included, and nothing else is touched: scripts/release.sh puts that one
# into the file for arm64. The static libraries are Debian's for arm64, unpacked
# below build/tor-arm64; only the cross compiler has to be installed.
#
# The source is upstream's tarball as Debian's source package carries it,
# authenticated by apt's signed index; Debian's own patches are not applied.
# Nothing of the system's package lists is touched: sources, lists and caches
# are private ones below build/tor/apt.
#
# Environment:
#   ARCH=amd64|arm64   the machine to build for (default: this one)
#   TOR_TARBALL=FILE   take this upstream tarball instead of asking apt
#   TOR_SHA256=HEX     the digest FILE must have (required with TOR_TARBALL)
#   TOR_REFRESH=1      ask apt again whether there is a newer Tor
#   JOBS=N             parallel compiler runs (default: number of processors)
#
# --enable-gpl makes the Tor executable GPLv3. It stays a program of its own,
# started as a child; its tarball is kept in build/tor for the source offer.
set -Eeuo pipefail
trap 'echo "tor: build-tor.sh failed at line $LINENO" >&2' ERR
export LC_ALL=C

readonly min_version=0.4.8.17 # older ones lack FlowCtrl=1, which the network requires
readonly tarball_hint="give upstream's tarball with TOR_TARBALL=FILE TOR_SHA256=HEX"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case $(uname -m) in
  x86_64) native=amd64 ;;
  aarch64) native=arm64 ;;
  *) native=$(uname -m) ;;
esac
readonly root native arch=${ARCH:-$native}
packages=(build-essential libevent-dev libssl-dev zlib1g-dev)
libraries=(libc6-dev libevent-dev libssl-dev zlib1g-dev) # what ends up in the executable
host=() prefix=                                          # of the cross compiler, if it takes one
out=$root/build/tor embed=$root/onion/embedded
if [[ $arch != "$native" ]]; then
  [[ $arch == arm64 ]] || { echo "tor: ARCH=$arch: this machine can build for $native and arm64" >&2 && exit 1; }
  packages=(build-essential gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
  prefix=aarch64-linux-gnu-
  # Both are named, or configure takes an emulator that the kernel knows for that machine itself.
  host=(--build="$(uname -m)-linux-gnu" --host=aarch64-linux-gnu)
  out=$root/build/tor-$arch embed=
fi
readonly packages libraries host prefix out embed
readonly sysroot=$out/sysroot # with a cross compiler only
readonly log=$out/build.log

flags=(
  --disable-asciidoc --disable-manpage --disable-html-manual --disable-unittests
  --disable-systemd --disable-lzma --disable-zstd --disable-seccomp --disable-libscrypt
  --enable-gpl --enable-static-tor
  --enable-static-openssl --enable-static-libevent --enable-static-zlib
)
readonly cflags="-O2 -g0 -fPIC"

say() { printf 'tor: %s\n' "$*"; }
die() {
  printf 'tor: %s\n' "$*" >&2
  exit 1
}

# step TEXT COMMAND...: one line with the elapsed time; the output goes to the log.
step() {
  local text=$1 begin=$SECONDS
  shift
  printf '\n== %s\n' "$text" >>"$log"
  if ! "$@" >>"$log" 2>&1; then
    printf 'tor: %s: failed; the end of %s:\n' "$text" "$log" >&2
    tail -n 25 "$log" >&2
    exit 1
  fi
  say "$text ($((SECONDS - begin)) s)"
}

# ---- what must be there ----------------------------------------------------

# lib_dir NAME prints the directory of a static library the compiler finds.
lib_dir() {
  local path
  path=$(gcc -print-file-name="$1")
  [[ -z $prefix ]] || path=$sysroot/usr/lib/aarch64-linux-gnu/$1
  [[ $path == /* ]] && dirname "$path"
}

complete() {
  local tool lib
  for tool in "${prefix}gcc" make "${prefix}strip" gzip tar sha256sum readelf; do
    command -v "$tool" >/dev/null || return 1
  done
  [[ -z $prefix ]] || return 0 # its libraries come with the source
  for lib in libevent.a libssl.a libcrypto.a libz.a; do
    lib_dir "$lib" >/dev/null || return 1
  done
}

install_packages() {
  local install=(apt-get -y -q install --no-install-recommends "${packages[@]}")
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" || { apt-get -q update && "${install[@]}"; }
}

ensure_packages() {
  complete && return
  command -v apt-get >/dev/null ||
    die "a C compiler, make and the static libraries of libevent, OpenSSL and zlib are needed; install them with your package manager"
  [[ $(id -u) == 0 ]] ||
    die "packages are missing; run this, then start again:  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
  step "install ${packages[*]}" install_packages
  complete || die "after installing ${packages[*]} the compiler still lacks a tool or a static library; see $log"
}

# ---- the source ------------------------------------------------------------

# debian_sources [TYPE] prints a line of that type (deb-src) for each enabled Debian archive of this
# system, from both formats apt knows. The archive key is pinned: an archive of
# anybody else, even one that looks like Debian's and that apt trusts, fails on its signature.
debian_sources() {
  local type=${1:-deb-src} keyring
  for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do # the latter is how newer Debians name it
    [[ -f $keyring ]] && break
  done
  [[ -f $keyring ]] || die "Debian's keys are not in /usr/share/keyrings: install debian-archive-keyring, or $tarball_hint"
  {
    # deb822: one line per stanza, fields joined
    find /etc/apt/sources.list.d -name '*.sources' -exec awk '
      function flush(  i, j, nu, ns, u, s) {
        if (types ~ /(^| )deb(-src)?( |$)/ && enabled !~ /^(no|false|0)$/) {
          nu = split(uris, u, " "); ns = split(suites, s, " ")
          for (i = 1; i <= nu; i++) for (j = 1; j <= ns; j++) print u[i], s[j], comps
        }
        types = enabled = uris = suites = comps = field = ""
      }
      FNR == 1 { flush() }
      /^#/ { next }
      /^[ \t]*$/ { flush(); next }
      /^[^ \t]/ { i = index($0, ":"); field = tolower(substr($0, 1, i - 1)); value = substr($0, i + 1) }
      /^[ \t]/ { value = $0 }
      { gsub(/^[ \t]+|[ \t]+$/, "", value)
        if (field == "types") types = types " " value
        if (field == "enabled") enabled = tolower(value)
        if (field == "uris") uris = uris " " value
        if (field == "suites") suites = suites " " value
        if (field == "components") comps = comps " " value }
      END { flush() }' {} + 2>/dev/null || true
    # one line per archive
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
      [[ ! -f $list ]] || sed -nE 's/^[ \t]*deb(-src)?[ \t]+(\[[^]]*\][ \t]+)?([^#]*).*/\3/p' "$list"
    done
  } | while read -r uri suite comps; do
    # Debian's archives by the name of their directory, with the component tor is in
    [[ ${uri%/} =~ /debian(-security)?$ || $uri =~ ^mirror\+file:.*/debian[a-z-]*\.list$ ]] || continue
    [[ " $comps " == *" main "* ]] || continue
    printf '%s [signed-by=%s] %s %s main\n' "$type" "$keyring" "$uri" "$suite"
  done | sort -u
}

# private_apt COMMAND...: apt with nothing but our own directories.
private_apt() {
  APT_LISTCHANGES_FRONTEND=none "$1" -c "$out/apt/apt.conf" "${@:2}"
}

# prepare_apt makes these directories and the settings.
prepare_apt() {
  local apt=$out/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/status"
  # The system's own settings (a proxy) stay; its hooks after an update do not.
  cat >"$apt/apt.conf" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
EOF
  if [[ -n $prefix ]]; then
    printf '%s\n' "#clear APT::Architectures;" "APT::Architecture \"$arch\";" "APT::Architectures { \"$arch\"; };" >>"$apt/apt.conf"
  fi
  cat "$apt/sources.list"
  private_apt apt-get -q update
}

# download_to NAME makes that directory, empty, and goes there.
download_to() {
  rm -rf "$out/apt/${1:?}"
  mkdir -p "$out/apt/$1"
  cd "$out/apt/$1" || return 1
}

fetch_source() (
  prepare_apt || return 1
  download_to source || return 1
  private_apt apt-get -q source --download-only --tar-only tor
)

# fetch_libraries unpacks the other machine's libraries and headers; nothing of them is run.
fetch_libraries() (
  mkdir -p "$out/apt"
  debian_sources deb >"$out/apt/sources.list"
  prepare_apt || return 1
  download_to libraries || return 1
  private_apt apt-get -q download "${libraries[@]}" linux-libc-dev libcrypt-dev || return 1
  rm -rf "$sysroot"
  for deb in *.deb; do
    dpkg-deb -x "$deb" "$sysroot" || return 1
  done
  for deb in *.deb; do
    # shellcheck disable=SC2016 # dpkg-deb's fields
    dpkg-deb -W --showformat='${Package} ${Version} ${source:Package} ${source:Version}\n' "$deb"
  done | grep -E "^($(IFS='|' && echo "${libraries[*]}")) " >"$out/libraries"
)

# list_libraries prints the packages of the libraries that get linked.
list_libraries() {
  if [[ -n $prefix ]]; then
    cat "$out/libraries"
  elif command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2016 # dpkg-query's fields
    dpkg-query -W -f '${Package} ${Version} ${source:Package} ${source:Version}\n' "${libraries[@]}"
  fi
}

obtain() {
  if [[ -n ${TOR_TARBALL:-} ]]; then
    [[ -f $TOR_TARBALL ]] || die "TOR_TARBALL=$TOR_TARBALL: no such file"
    [[ -n ${TOR_SHA256:-} ]] || die "TOR_TARBALL needs TOR_SHA256=HEX, the digest upstream published for that file"
    [[ $(sha256sum "$TOR_TARBALL" | cut -d' ' -f1) == "${TOR_SHA256,,}" ]] ||
      die "TOR_TARBALL=$TOR_TARBALL does not have the sha256 $TOR_SHA256"
    tarball=$TOR_TARBALL
    return
  fi
  command -v apt-get >/dev/null || die "there is no apt-get here: $tarball_hint"
  mkdir -p "$out/apt"
  debian_sources >"$out/apt/sources.list"
  [[ -s $out/apt/sources.list ]] || die "no Debian archive among this system's enabled apt sources: $tarball_hint"
  step "get the source package through apt" fetch_source
  tarball=$(find "$out/apt/source" -name 'tor_*.orig.tar.*' ! -name '*.asc' -print -quit)
  [[ -n $tarball ]] || die "apt downloaded no tarball of tor; see $log"
}

# ---- the build -------------------------------------------------------------

unpack() { mkdir -p "$out/src" && tar -xf "$tarball" -C "$out/src" --strip-components=1; }

configure() (
  cd "$out/src" || return 1
  cross=()
  if [[ -n $prefix ]]; then
    # Debian's libc for that machine before the compiler's own, which gets no security updates,
    # and nothing of this machine's pkg-config.
    cross=(PKG_CONFIG=/bin/false CPPFLAGS="-isystem $sysroot/usr/include -isystem $sysroot/usr/include/aarch64-linux-gnu"
      LDFLAGS="-static -B$(lib_dir crt1.o)/ -L$(lib_dir libc.a)")
  fi
  ./configure "${host[@]}" "${flags[@]}" \
    --with-openssl-dir="$(lib_dir libssl.a)" --with-libevent-dir="$(lib_dir libevent.a)" --with-zlib-dir="$(lib_dir libz.a)" \
    CFLAGS="$cflags" "${cross[@]}"
)

compile() { make -C "$out/src" -j"${JOBS:-$(nproc)}" src/app/tor; }

# check: what came out must be what was asked for. An executable for another machine runs in an emulator,
# if this one has it.
check() {
  local tor=$1 run=()
  "${prefix}strip" -o "$tor.stripped" "$out/src/src/app/tor" && mv "$tor.stripped" "$tor" || return 1
  if readelf -lW "$tor" | grep -q INTERP; then
    echo "the executable is not static"
    return 1
  fi
  if [[ -n $prefix ]]; then
    readelf -hW "$tor" | grep -q 'Machine: *AArch64' || { echo "the executable is not for $arch" && return 1; }
    grep -q '^#define HAVE_MODULE_POW 1' "$out/src/orconfig.h" || { echo "the executable has no proof of work" && return 1; }
    command -v qemu-aarch64-static || { echo "not run: there is no qemu-aarch64-static" && return; }
    run=(qemu-aarch64-static)
  fi
  "${run[@]}" "$tor" --list-modules || return 1
  "${run[@]}" "$tor" --list-modules | grep -qx 'pow: yes' || { echo "the executable has no proof of work" && return 1; }
  "${run[@]}" "$tor" --version | grep -qF "Tor version $version" || { echo "the executable is not Tor $version" && return 1; }
}

# replace FROM TO: in one step, so that whoever reads TO gets the old or the new. Nothing is joined with && here: a failure on
# the left of it would not end the script.
replace() {
  cp -p "$1" "$2.new"
  mv "$2.new" "$2"
}

# place: put the results where the build, the tests and go:embed look for them.
place() {
  local from=$1 name files=(tor VERSION LICENSE)
  [[ -z $prefix ]] || files+=(tor.gz)
  [[ ! -f $from/LIBRARIES ]] || files+=(LIBRARIES) # a cache of earlier days has none
  for name in "${files[@]}"; do
    replace "$from/$name" "$out/$name"
  done
  [[ -n $embed ]] || return 0
  mkdir -p "$embed"
  replace "$from/tor.gz" "$embed/tor.gz"
  replace "$from/VERSION" "$embed/tor.version"
}

recipe() {
  printf '%s\n' "${flags[@]}" "$cflags" "$(uname -m)" "${host[@]}" "$("${prefix}gcc" -dumpfullversion 2>/dev/null)" "${TOR_TARBALL:+${TOR_SHA256:-}}" | sha256sum | cut -c1-12
}

current() {
  [[ -z ${TOR_REFRESH:-} && -x $out/tor && -f ${embed:-$out}/tor.gz ]] && [[ -z $embed || -f $embed/tor.version ]] &&
    [[ $(cat "$out/stamp" 2>/dev/null) == "$(recipe)" ]]
}

# ---- all of it -------------------------------------------------------------

mkdir -p "$out"
exec 9>"$out/lock"
flock 9 # two makes at once: the second one finds the work done
if current; then
  exit 0
fi
begin=$SECONDS
: >"$log"
ensure_packages

# A cached build of this recipe is enough: no network is asked.
cached=$(find "$out/cache" -maxdepth 1 -name "*-$(recipe)" 2>/dev/null | sort -V | tail -n 1 || true)
if [[ -z ${TOR_REFRESH:-} && -n $cached && -f $cached/tor.gz ]]; then
  place "$cached"
  recipe >"$out/stamp"
  say "$(cat "$out/VERSION") from the cache"
  exit 0
fi

obtain
version=$(tar -tf "$tarball" 2>/dev/null | sed -n '1s|^tor-\([^/]*\)/.*|\1|p' || true)
[[ $version =~ ^0\.[0-9.]+(-[a-z]+)?$ ]] || die "$tarball is not a source tarball of tor"
[[ $(printf '%s\n' "$min_version" "$version" | sort -V | head -n 1) == "$min_version" ]] ||
  die "Tor $version is too old: the network requires $min_version or newer (FlowCtrl=1)"

target=$out/cache/$version-$(recipe)
if [[ ! -f $target/tor.gz ]]; then
  rm -rf "$out/src"
  mkdir -p "$target"
  step "unpack Tor $version" unpack
  SOURCE_DATE_EPOCH=$(stat -c %Y "$out/src/configure.ac")
  export SOURCE_DATE_EPOCH
  [[ -z $prefix ]] || step "get the libraries for $arch through apt" fetch_libraries
  step "configure" configure
  step "compile" compile
  step "check: static, proof of work, version" check "$target/tor"
  cp "$out/src/LICENSE" "$target/LICENSE"
  list_libraries >"$target/LIBRARIES" || rm "$target/LIBRARIES"
  echo "$version" >"$target/VERSION"
  cp "$tarball" "$out/tor-$version.tar.${tarball##*.}"
  gzip -n -9 <"$target/tor" >"$target/tor.gz.new"
  mv "$target/tor.gz.new" "$target/tor.gz" # the last of it: what is here is whole
  rm -rf "$out/src" "$out/apt" "$sysroot"
fi
place "$target"
recipe >"$out/stamp"
say "Tor $version: ${out#"$root"/}/tor $(stat -c %s "$out/tor") bytes, $(stat -c %s "${embed:-$out}/tor.gz") compressed ($((SECONDS - begin)) s in all)"
