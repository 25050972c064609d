#!/usr/bin/env bash
# Measure the server on this machine, over loopback TCP and unix sockets, and write
# the figures and plots into docs/performance.md.
#
#   scripts/bench.sh
#
# RUNS=5      how often each row is measured; the medians count
# QUICK=1     one run, shorter ones, and not through Tor: about 3 minutes rather than 11
# INTO=FILE   a document with the marks instead of docs/performance.md
#
# Each row has a server of its own that has just started, without limits. What was
# measured last stays in build/bench as JSON. Only this machine's loopback and a
# socket in build/bench are used; each step ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
quick=${QUICK:-}
runs=${RUNS:-${quick:+1}}
runs=${runs:-5}
into=${INTO:-docs/performance.md}
seconds=2s
[[ -z $quick ]] || seconds=1500ms
dir=build/bench
port=${BENCH_PORT:-15222}
max=15000

[[ $runs =~ ^[1-9][0-9]?$ ]] || { echo "RUNS=$runs: must be 1 to 99" >&2; exit 2; }
grep -q '<!-- figures: end -->' "$into" || { echo "$into has no marks for the figures" >&2; exit 2; }
rm -rf "$dir"
mkdir -p "$dir"
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
CGO_ENABLED=0 "$go" build -trimpath -ldflags "-s -w -X main.version=$version" -o "$dir/server" ./cmd/jm-directory-server
CGO_ENABLED=0 "$go" build -trimpath -o "$dir/loadtest" ./cmd/jm-loadtest

# two descriptors for each peer at the most while it joins, in each of the two programs
files=$(ulimit -Hn)
if [[ $files != unlimited && $files -lt $((max + 1000)) ]]; then
  max=$((files - 1000))
  echo "only $files open files are allowed: growth is measured up to $max peers" >&2
fi

server=
stop() {
  [[ -n $server ]] || return 0
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
trap stop EXIT
trap 'exit 130' INT TERM

# up FAMILY: start a server, wait until it listens, set target and server
up() {
  target=127.0.0.1:$port
  [[ $1 == tcp ]] || target=unix:$PWD/$dir/d.sock
  MAX_PEERS=20000 "$dir/server" --tor off --listen "$target" --unlimited --network regtest --state-dir "$dir/state" \
    >"$dir/server.log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    if grep -q 'directory is listening' "$dir/server.log"; then
      return
    fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "the server does not start:" >&2
  cat "$dir/server.log" >&2
  exit 1
}

# measure FAMILY RUN SCENARIO [FLAG...]: with a server of its own. What goes wrong
# stands in the JSON, and the table says it.
count=0
failed=
measure() {
  local family=$1 run=$2
  shift 2
  count=$((count + 1))
  up "$family"
  printf '%-4s %-6s %s\n' "$family" "$run" "$*" >&2
  timeout 120 "$dir/loadtest" "$@" --target "$target" --pid "$server" --json "$dir/$(printf %04d $count)-$family.json" \
    >"$dir/last" 2>&1 || { cat "$dir/last" >&2; tail -n 20 "$dir/server.log" >&2; failed=1; }
  stop
}

for run in $(seq "$runs"); do
  for family in tcp unix; do
    measure $family "$run" ramp --peers 10000
    measure $family "$run" peerlist --peers 10000
    for window in 1 16 128; do
      measure $family "$run" broadcast --peers 1000 --window $window --duration $seconds
    done
    measure $family "$run" broadcast --peers 1000 --burst
    measure $family "$run" broadcast --peers 100 --window 16 --duration $seconds
    measure $family "$run" broadcast --peers 5000 --window 16 --duration $seconds
    measure $family "$run" private --pairs 100 --window 16 --duration $seconds
    measure $family "$run" private --pairs 100 --light --duration $seconds
    measure $family "$run" churn --peers 1000 --share .25
    measure $family "$run" churn --peers 1000 --share .5
    measure $family "$run" overload --peers 500 --duration $seconds
    for makers in 100 500 1000; do
      measure $family "$run" orderbook --makers $makers --rounds 9
    done
  done
  printf '%-4s %-6s limit\n' both "$run" >&2
  timeout 120 "$dir/loadtest" limit --duration 1s --json "$dir/limit-$run.json" >"$dir/last" 2>&1 || { cat "$dir/last" >&2; failed=1; }
done
for family in tcp unix; do
  for peers in 100 1000 5000 $max; do
    measure $family growth ramp --peers "$peers"
    measure $family growth peerlist --peers "$peers"
    measure $family growth broadcast --peers "$peers" --window 16 --duration $seconds
    measure $family growth churn --peers "$peers" --share .25
  done
done
for family in tcp unix; do
  measure $family once slow --peers 100 --slow 1 --window 16 --duration 45s
done

"$dir/loadtest" report --server-version "$version" --into "$into" --plots "$(dirname "$into")/performance" "$dir"/*.json
echo "figures: $into"
if [[ -z $quick ]]; then
  echo "through Tor" >&2
  # A network of Tors of its own on loopback, and the server with the Tor inside it.
  JM_REQUIRE_TOR=1 JM_TEST_TOR=$PWD/build/tor/tor JM_TEST_BINARY=$PWD/build/jm-directory-server \
    "$go" test -tags embedtor -count=1 -timeout 10m -run TestEverythingComesThroughTor ./cmd/jm-directory-server \
    -throughtor.peers 500 -throughtor.table "$PWD/$dir/tor.md" >"$dir/last" 2>&1 || { cat "$dir/last" >&2; failed=1; }
  if [[ -f $dir/tor.md ]]; then scripts/figures.sh "$into" tor "$dir/tor.md"; fi
fi
if [[ -n $failed ]]; then
  echo "something went wrong in a run; $into says what" >&2
  exit 1
fi
