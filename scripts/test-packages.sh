#!/usr/bin/env bash
# Get what the tests need of the system besides Go and what scripts/build-tor.sh installs.
#
#   scripts/test-packages.sh
#
# systemd-analyze scores packaging/systemd/jm-directory-server.service, chromium opens the operator's page, curl reads
# metrics in scripts/soak.sh: their packages are installed. As another user than root, or without apt, the command to run is printed, exit code 1.
#
# promtool tests packaging/prometheus: it is taken out of the package prometheus into build/promtool. The package is
# not installed, because that would start a server; so any user can do this. apt checks what it downloads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive

fail() {
  tail -n 20 "$log" >&2
  exit 1
}

# refreshed COMMAND…: run it, and once more with new package lists if it fails and they can be had
refreshed() {
  "$@" >"$log" 2>&1 || { [[ $(id -u) == 0 ]] && apt-get -q update >"$log" 2>&1 && "$@" >>"$log" 2>&1; }
}

installed() {
  local missing=()
  command -v systemd-analyze >/dev/null || missing+=(systemd)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v curl >/dev/null || missing+=(curl)
  [[ ${#missing[@]} == 0 ]] && return
  local install=(apt-get -y -q install --no-install-recommends "${missing[@]}")
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "Packages are missing: ${missing[*]}; install them:  sudo ${install[*]}" >&2
    exit 1
  fi
  refreshed "${install[@]}" || fail
  command -v systemd-analyze >/dev/null
  command -v chromium >/dev/null
}

promtool() {
  local into=build/promtool
  if [[ -x $into ]] || type -P promtool >/dev/null; then
    return
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "promtool is missing, and there is no apt: put it on PATH or at $into; it comes with Prometheus" >&2
    exit 1
  fi
  local dir
  dir=$(mktemp -d)
  if ! (cd "$dir" && refreshed apt-get -q download prometheus); then
    rm -r "$dir"
    tail -n 5 "$log" >&2
    echo "promtool is missing; refresh the package lists and run this again:  sudo apt-get update && scripts/test-packages.sh" >&2
    exit 1
  fi
  mkdir -p build
  dpkg-deb --fsys-tarfile "$dir"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$into.new"
  rm -r "$dir"
  chmod 755 "$into.new"
  "$into.new" --version >"$log" 2>&1 || fail
  mv "$into.new" "$into"
}

installed
promtool
