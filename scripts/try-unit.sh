#!/usr/bin/env bash
# Try "install", the unit and "uninstall" under a real systemd, without changing this machine.
#
#   scripts/try-unit.sh
#
# A systemd of its own is started in namespaces, as in a container: on a view of this machine's files whose
# changes are kept in memory, with no network but loopback. In it, TestServiceUnderSystemd runs the built binary
# on a private Tor network. Exit code: that of the test.
#
# Needs root, Linux 5.11 or newer with overlayfs and cgroup v2 (mounted anywhere), systemd, iproute2, build/tor/tor
# and build/jm-directory-server ("make unit" builds them).
set -Eeuo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root work=$root/build/unit limit=${LIMIT:-300}

die() {
  printf 'try-unit: %s\n' "$*" >&2
  exit 1
}

# The second call, in the namespaces: prepare the files and become systemd.
inside() {
  local new=$work/root
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$work/memory"
  mkdir "$work/memory/upper" "$work/memory/work"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" "$new"
  mount -t proc proc "$new/proc"
  mount -t sysfs sysfs "$new/sys"
  mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
  mount -t tmpfs tmpfs "$new/run"
  mount -t tmpfs tmpfs "$new/tmp"
  case $root in /run/* | /tmp/*) # just hidden
    mkdir -p "$new$root"
    mount --bind "$root" "$new$root"
    mount -o remount,bind,ro "$new$root"
    ;;
  esac
  mount --rbind /dev "$new/dev"
  # A server that this machine has, or had, is no part of the trial.
  rm -rf "$new"/{etc,var/lib,var/lib/private}/jm-directory-server "$new"/etc/systemd/system/jm-directory-server.service* \
    "$new"/etc/systemd/system/*.wants/jm-directory-server.service "$new"/usr/local/bin/jm-directory-server
  mount --bind "$work/result" "$new/mnt"
  mkdir -p "$new/run/systemd/system"
  cp "$work/jm-try.service" "$new/run/systemd/system/"
  cd "$new"
  mkdir -p run/old
  pivot_root . run/old
  umount -l /run/old
  exec env -i container=try-unit /lib/systemd/systemd --system --unit=jm-try.service --show-status=no --log-target=journal-or-kmsg
}
if [[ ${1:-} == --inside ]]; then
  inside
fi

[[ $(id -u) == 0 ]] || die "needs root, for namespaces"
command -v ip >/dev/null || die "ip is missing: install the package iproute2"
[[ -x /lib/systemd/systemd ]] || die "systemd is missing: install the package systemd"
binary=$root/build/jm-directory-server
[[ -x $binary && -x $root/build/tor/tor ]] || die "run make unit"
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ -n $cgroups ]] || die "no cgroup v2 is mounted"

mkdir -p "$work"/{memory,root,result}
rm -f "$work"/result/*
(cd "$root" && CGO_ENABLED=0 "${GO:-go}" test -c -tags embedtor -o "$work/server.test" ./cmd/jm-directory-server)
cat >"$work/jm-try.service" <<UNIT
[Unit]
Description=Test of the service
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
TimeoutStartSec=$limit
WorkingDirectory=$root/cmd/jm-directory-server
Environment=HOME=/root TMPDIR=/tmp JM_UNDER_SYSTEMD=1 JM_REQUIRE_TOR=1 JM_TEST_BINARY=$binary JM_TEST_TOR=$root/build/tor/tor
ExecStartPre=/bin/sh -c 'ip link set lo up'
ExecStart=/bin/sh -c '"$work/server.test" -test.v -test.run TestServiceUnderSystemd >/mnt/log 2>&1; echo \$? >/mnt/code'
UNIT

# A group of its own in the cgroup tree, which goes with the last of its processes.
group=$cgroups/try-unit.$$
mkdir "$group"
# shellcheck disable=SC2317 # called by the trap
cleanup() {
  if [[ -e $group/cgroup.kill ]]; then
    echo 1 >"$group/cgroup.kill"
  fi
  for _ in {1..50}; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
  done
  rmdir "$work/memory" "$work/root" 2>/dev/null || true
}
trap cleanup EXIT
(
  echo "$BASHPID" >"$group/cgroup.procs"
  exec timeout -k 5 "$((limit + 30))" unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup "$0" --inside
) </dev/null >"$work/systemd.log" 2>&1 || true
cat "$work/result/log" 2>/dev/null || {
  cat "$work/systemd.log" >&2
  die "systemd did not come as far as the test"
}
exit "$(cat "$work/result/code" 2>/dev/null || echo 1)"
