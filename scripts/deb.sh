#!/usr/bin/env bash
# Build the Debian package from what make build and make man made.
#
#   scripts/deb.sh [OUT_DIR]        default build/deb
#
# Environment:
#   ARCH=amd64|arm64           default: this machine
#   VERSION=TEXT               as git describe prints it
#   SOURCE_DATE_EPOCH=SECONDS  the time of everything in it; the same inputs
#                              give the same bytes
#   EXECUTABLE=FILE TOR_DIR=DIR   default build/jm-directory-server and build/tor
#   MAINTAINER="NAME <ADDRESS>"   default: the author of the last commit
#
# There is no system user to make: the unit has DynamicUser=, StateDirectory= and
# RuntimeDirectory=, so systemd makes and owns what sysusers.d and tmpfiles.d would.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C
umask 022
out=${1:-build/deb}
arch=${ARCH:-$(dpkg --print-architecture)}
executable=${EXECUTABLE:-build/jm-directory-server}
tor=${TOR_DIR:-build/tor}
: "${VERSION:?}" "${SOURCE_DATE_EPOCH:?}"
maintainer=${MAINTAINER:-$(git log -1 --format='%an <%ae>')}
unit=packaging/systemd/jm-directory-server.service

die() {
  echo "deb: $*" >&2
  exit 1
}

# debian_version turns v1.2.3-rc1, v1.2.3, v1.2.3-4-gabc and abc into versions that sort as
# they were made.
debian_version() {
  local v=${1#v}
  if [[ $v =~ ^([0-9.]+)-((alpha|beta|pre|rc)[0-9.]*)(.*)$ ]]; then
    v=${BASH_REMATCH[1]}~${BASH_REMATCH[2]}${BASH_REMATCH[4]}
  fi
  case $v in
    [0-9]*.*) v=${v/-/+} ;;
    *) v=0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$v ;;
  esac
  printf '%s' "${v//-/.}"
}

for file in "$executable" build/man/man1/jm-directory-server.1 "$unit" "$tor/tor"; do
  [[ -e $file ]] || die "$file is missing"
done
version=$(debian_version "$VERSION")
dpkg --validate-version "$version" || die "$VERSION gives no version of a package"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
put() { install -D -m "$1" "$2" "$root/$3"; }
doc=usr/share/doc/jm-directory-server

put 755 "$executable" usr/bin/jm-directory-server
put 644 packaging/deb/config.toml etc/jm-directory-server/config.toml
put 644 config.example.toml $doc/examples/config.toml
put 644 "$unit" usr/lib/systemd/system/jm-directory-server.service
sed -i 's|/usr/local/bin/|/usr/bin/|g' "$root/usr/lib/systemd/system/jm-directory-server.service"
for page in build/man/man[15]/*; do
  put 644 "$page" "usr/share/man/$(basename "$(dirname "$page")")/$(basename "$page")"
done
put 644 build/man/bash/jm-directory-server usr/share/bash-completion/completions/jm-directory-server
put 644 build/man/zsh/_jm-directory-server usr/share/zsh/vendor-completions/_jm-directory-server
put 644 build/man/fish/jm-directory-server.fish usr/share/fish/vendor_completions.d/jm-directory-server.fish
put 644 packaging/prometheus/jm-directory-server.rules.yml usr/share/jm-directory-server/prometheus/jm-directory-server.rules.yml
put 644 packaging/grafana/jm-directory-server.json usr/share/jm-directory-server/grafana/jm-directory-server.json
scripts/licences.sh "$executable" "$tor" --debian >"$root/$doc/copyright"
scripts/readme-source.sh "$tor" >"$root/$doc/README.source"
put 644 CHANGELOG.md $doc/NEWS.md
cat >"$root/$doc/changelog" <<EOF
jm-directory-server ($version) stable; urgency=medium

  * Built from $VERSION. NEWS.md.gz says what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
put 644 packaging/deb/lintian-overrides usr/share/lintian/overrides/jm-directory-server
gzip -n9 "$root/$doc/changelog" "$root/$doc/NEWS.md" "$root"/usr/share/man/man[15]/*

put 755 packaging/deb/postinst DEBIAN/postinst
put 755 packaging/deb/prerm DEBIAN/prerm
put 755 packaging/deb/postrm DEBIAN/postrm
echo /etc/jm-directory-server/config.toml >"$root/DEBIAN/conffiles"
size=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
sed -e "s|@VERSION@|$version|; s|@ARCH@|$arch|; s|@SIZE@|$size|; s|@MAINTAINER@|$maintainer|" packaging/deb/control >"$root/DEBIAN/control"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

chmod -R go-w "$root" && chmod 755 "$root"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
file=$out/jm-directory-server_${version}_$arch.deb
# one thread: how many there are shows in the compressed bytes
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$file.new" >/dev/null
mv "$file.new" "$file"
echo "deb: $file $(stat -c %s "$file") bytes"
