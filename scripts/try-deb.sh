#!/usr/bin/env bash
# Try a package of ours: lintian, then installation, upgrade, removal and purge in a
# fresh Debian system below build/.
#
#   sudo scripts/try-deb.sh FILE.deb        MIRROR=URL for another Debian mirror
#
# The system has no systemd: a systemctl that only takes notes stands in for it, so
# what is tried is what the maintainer scripts ask for, not what systemd makes of it.
# The program itself runs there, on a unix socket and without Tor.
set -Eeuo pipefail
trap 'echo "try-deb: failed at line $LINENO" >&2' ERR
cd "$(dirname "$0")/.."
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
deb=${1:?usage: scripts/try-deb.sh FILE.deb}
base=build/try-deb/base
system=build/try-deb/system

say() { printf 'try-deb: %s\n' "$*"; }
die() {
  say "$*" >&2
  exit 1
}

[[ $(id -u) == 0 ]] || die "a chroot needs root"
[[ -f $deb ]] || die "$deb: no such file"
for tool in debootstrap lintian; do
  command -v $tool >/dev/null || die "$tool is missing: apt-get install -y debootstrap lintian"
done
[[ $(dpkg-deb -f "$deb" Architecture) == $(dpkg --print-architecture) ]] || die "$deb is for another machine"

# ---- lintian ---------------------------------------------------------------

lintian --allow-root --fail-on error --tag-display-limit 0 "$deb"
say "lintian: no errors"

# ---- a fresh system --------------------------------------------------------

if [[ ! -f $base/.complete ]]; then
  rm -rf "$base"
  mkdir -p "$base"
  debootstrap --variant=minbase bookworm "$base" ${MIRROR:+"$MIRROR"} >build/try-deb/debootstrap.log
  touch "$base/.complete"
fi
[[ ! -e $system/proc/self ]] || umount "$system/proc"
rm -rf "$system"
cp -a "$base" "$system"
system=$(cd "$system" && pwd)
mount -t proc proc "$system/proc"
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; umount "$system/proc"' EXIT

mkdir -p "$system/run/systemd/system"
cat >"$system/usr/bin/systemctl" <<'EOF'
#!/bin/sh
echo "$*" >>/var/log/systemctl
wants=/etc/systemd/system/multi-user.target.wants
case "$*" in
*is-enabled*) [ -L $wants/jm-directory-server.service ] ;;
*"preset jm-directory-server.service") ln -sf /lib/systemd/system/jm-directory-server.service $wants/ ;;
esac
EOF
chmod 755 "$system/usr/bin/systemctl"

in_system() { chroot "$system" "$@"; }
# asked WORDS: what was asked of systemd since the last time contains WORDS.
asked() { grep -qF -e "$1" "$system/var/log/systemctl" || die "systemctl was not asked to $1: $(cat "$system/var/log/systemctl")"; }
forget() { : >"$system/var/log/systemctl"; }
# links lead into the system from inside of it only
there() { [[ -e $system/$1 || -L $system/$1 ]] || die "$1 is missing"; }
gone() { [[ ! -e $system/$1 && ! -L $system/$1 ]] || die "$1 is still there"; }
in_dpkg() { in_system dpkg --force-unsafe-io "$@" >"$system/var/log/dpkg.out" 2>&1 || die "dpkg $*: $(cat "$system/var/log/dpkg.out")"; }

wants=etc/systemd/system/multi-user.target.wants/jm-directory-server.service
state=var/lib/private/jm-directory-server
config=etc/jm-directory-server/config.toml
forget

# ---- install ---------------------------------------------------------------

cp "$deb" "$system/package.deb"
in_dpkg -i /package.deb
for path in usr/bin/jm-directory-server usr/lib/systemd/system/jm-directory-server.service $config \
  usr/share/bash-completion/completions/jm-directory-server usr/share/zsh/vendor-completions/_jm-directory-server \
  usr/share/fish/vendor_completions.d/jm-directory-server.fish usr/share/doc/jm-directory-server/copyright \
  usr/share/doc/jm-directory-server/README.source $wants; do
  there "$path"
done
# Manual pages are checked in the package: small systems are told not to unpack them.
for page in man1/jm-directory-server.1 man1/jm-directory-server-run.1 man5/jm-directory-server-config.5; do
  dpkg-deb --fsys-tarfile "$deb" | tar -tf - "./usr/share/man/$page.gz" >/dev/null || die "$page is missing"
done
for part in "Go module github.com/sirupsen/logrus" "Tor 0." "openssl " "libevent " "zlib " "glibc " "Equi-X and HashX"; do
  dpkg-deb --fsys-tarfile "$deb" | tar -xOf - ./usr/share/doc/jm-directory-server/copyright | grep -F "$part" >/dev/null || die "copyright lacks $part"
done
[[ $(stat -c %a:%U "$system/usr/bin/jm-directory-server") == 755:root ]] || die "the executable has another mode or owner"
# The unit must name what is there.
command=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$system/usr/lib/systemd/system/jm-directory-server.service")
there "$command"
asked "daemon-reload"
asked "--no-block start jm-directory-server.service"
in_system jm-directory-server version | grep -q '(embedded)' || die "the executable has no Tor inside"
in_system jm-directory-server check-config >/dev/null || die "the configuration of the package is wrong"
say "install: files in place, unit enabled and started, configuration good"

# ---- the program, as what systemd would give it ----------------------------

mkdir -p "$system/$state" "$system/run/jm"
ln -s private/jm-directory-server "$system/var/lib/jm-directory-server"
chown 65534:65534 "$system/$state" "$system/run/jm"
STATE_DIRECTORY=/var/lib/jm-directory-server RUNTIME_DIRECTORY=/run/jm \
  chroot --userspec=65534:65534 "$system" "$command" run --tor off --listen unix:/run/jm/socket 2>"$system/var/log/server" &
server=$!
for _ in $(seq 100); do
  [[ ! -S $system/run/jm/socket ]] || break
  sleep 0.1
done
[[ -S $system/run/jm/socket ]] || die "the server does not listen: $(cat "$system/var/log/server")"
kill "$server"
wait "$server" || die "the server does not stop in order: $(cat "$system/var/log/server")"
server=
say "run: serves as another user and stops in order"

# ---- upgrade, by the same package with a higher version --------------------

mkdir -p "$system/$state/onion"
echo identity >"$system/$state/onion/hs_ed25519_secret_key"
echo '# of an operator' >>"$system/$config"
dpkg-deb -R "$deb" "$system/next"
sed -i 's/^Version: .*/&+next/' "$system/next/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$system/next" "$system/next.deb" >/dev/null
forget
in_dpkg -i /next.deb
# shellcheck disable=SC2016 # a field of dpkg-query
[[ $(in_system dpkg-query -W -f '${Version}' jm-directory-server) == *+next ]] || die "not upgraded"
grep -q identity "$system/$state/onion/hs_ed25519_secret_key" || die "the upgrade lost the state"
grep -q 'of an operator' "$system/$config" || die "the upgrade lost the configuration"
asked "--no-block try-restart jm-directory-server.service"
! grep -q stop "$system/var/log/systemctl" || die "the upgrade stopped the server for longer than a restart"
say "upgrade: state and configuration kept, restarted"

# once more: the scripts may run again on what they have done
in_dpkg -i /next.deb
in_system env DPKG_MAINTSCRIPT_PACKAGE=jm-directory-server /var/lib/dpkg/info/jm-directory-server.postinst configure "" >/dev/null
there $wants

# ---- what an administrator disabled stays so -------------------------------

rm "$system/$wants"
forget
in_dpkg -i /next.deb
gone $wants
! grep -q -e '--no-block start' "$system/var/log/systemctl" || die "a disabled unit was started"
say "upgrade of a disabled unit: stays disabled"

# ---- remove, install again, purge ------------------------------------------

forget
in_dpkg --remove jm-directory-server
asked "stop jm-directory-server.service"
gone usr/bin/jm-directory-server
gone usr/lib/systemd/system/jm-directory-server.service
there $state/onion/hs_ed25519_secret_key
there $config
say "remove: program gone, state and configuration kept"

ln -s /lib/systemd/system/jm-directory-server.service "$system/$wants" # enabled again
forget
in_dpkg -i /next.deb
there $state/onion/hs_ed25519_secret_key
grep -q 'of an operator' "$system/$config" || die "installing again lost the configuration"
asked "--no-block start jm-directory-server.service"
say "install again: state and configuration kept, started"

# what "install" has taken over is not the package's any more
in_dpkg --remove jm-directory-server
rm -f "$system/etc/systemd/system/jm-directory-server.service" # the mask of the removal
echo '[Service]' >"$system/etc/systemd/system/jm-directory-server.service"
in_dpkg --purge jm-directory-server
there $state/onion/hs_ed25519_secret_key
say "purge after \"install\": state kept"
rm "$system/etc/systemd/system/jm-directory-server.service"
in_dpkg -i /next.deb

in_dpkg --purge jm-directory-server
for path in $state var/lib/jm-directory-server etc/jm-directory-server usr/bin/jm-directory-server $wants \
  etc/systemd/system/jm-directory-server.service; do
  gone "$path"
done
in_system /bin/sh -c 'find / -xdev -name "*jm-directory-server*" ! -path "/next/*" ! -path "/proc/*"' >"$system/var/log/left"
[[ ! -s $system/var/log/left ]] || die "purge left: $(cat "$system/var/log/left")"
say "purge: nothing left"
