#!/usr/bin/env bash
# Load a server of its own on this machine with a mix as in real life, and see whether it is afterwards as it was before.
#
#   scripts/soak.sh TIME [DOCUMENT]     TIME as jm-loadtest takes it; figures go between the DOCUMENT's markers "soak"
#
# SERVER is the program, build/jm-directory-server unless it is set; PEERS and RATE are those of jm-loadtest soak.
#
# Before and after: no peer, nothing in an outbox, at most 4 goroutines more (readers that are kept), 5 descriptors more (of the store and of
# the admin socket's own connections), and at most 16 MiB more of live heap.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: scripts/soak.sh TIME [DOCUMENT], a TIME such as 3m or 1h30m'
time=${1:?$usage}
[[ $time =~ ^([1-9][0-9]*[hms])+$ ]] || { echo "$usage" >&2; exit 2; }
document=${2:-}
server=${SERVER:-build/jm-directory-server}
peers=${PEERS:-200}
rate=${RATE:-100}
dir=$(mktemp -d)
pid=
finish() {
  if [[ -n $pid ]]; then
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap finish EXIT

"${GO:-go}" build -o "$dir/jm-loadtest" ./cmd/jm-loadtest
printf 'network = "regtest"\nstate_dir = "%s"\n[tor]\nmode = "off"\n[listen]\naddress = "unix:%s"\n' "$dir/state" "$dir/socket" >"$dir/config.toml"
"$server" run --config "$dir/config.toml" 2>"$dir/log" &
pid=$!
for _ in $(seq 200); do
  if [[ -S $dir/socket ]]; then break; fi
  sleep 0.1
done

# look: peers, bytes in outboxes, goroutines, descriptors, and live heap, on one line
look() {
  local status heap
  status=$("$server" status --json --config "$dir/config.toml")
  heap=$(curl -sf --unix-socket "$dir/state/run/admin.sock" http://localhost/metrics | sed -n 's/^go_memstats_heap_alloc_bytes //p')
  printf '%s %s %s %s %.0f\n' \
    "$(sed -E 's/.*"connected_peers":\{"total":([0-9]+).*/\1/' <<<"$status")" \
    "$(sed -E 's/.*"outbox":\{"bytes":([0-9]+).*/\1/' <<<"$status")" \
    "$(sed -E 's/.*"goroutines":([0-9]+).*/\1/' <<<"$status")" \
    "$(sed -E 's/.*"open_files":([0-9]+).*/\1/' <<<"$status")" "$heap"
}

sleep 1
look >/dev/null # the first request itself makes what later ones reuse
read -r _ _ goroutines files heap <<<"$(look)"
before="0 | 0 | $goroutines | $files | $((heap / 1024))"
"$dir/jm-loadtest" soak --target "unix:$dir/socket" --peers "$peers" --rate "$rate" --duration "$time" --pid "$pid" | tee "$dir/table"

# A collection of garbage comes every two minutes at the latest, and departures within a second.
for try in $(seq 140); do
  read -r left waiting now open live <<<"$(look)"
  if ((left == 0 && waiting == 0 && now <= goroutines + 4 && open <= files + 5 && live <= heap + 16 * 1024 * 1024)); then
    break
  fi
  if ((try == 140)); then
    echo "the server did not return: $left peers, $waiting bytes wait, $goroutines goroutines became $now, $files descriptors $open, $heap bytes of heap $live" >&2
    exit 1
  fi
  sleep 1
done
if grep -E 'level=(warning|error)' "$dir/log" | grep -v 'limit of open files'; then
  echo "the server complained" >&2
  exit 1
fi
echo "the server is as it was: $goroutines goroutines, then $now; $files descriptors, then $open; $((heap / 1024)) KiB of heap, then $((live / 1024))"

if [[ -n $document ]]; then
  {
    # shellcheck disable=SC2016 # the marks are Markdown's
    printf 'Measured by `make soak DURATION=%s` with %s peers and %s messages a second, answers not counted:\n\n' "$time" "$peers" "$rate"
    printf '| | Peers | Bytes waiting | Goroutines | Descriptors | Live heap, KiB |\n|---|---:|---:|---:|---:|---:|\n'
    printf '| before | %s |\n| after | %s | %s | %s | %s | %s |\n\n' "$before" "$left" "$waiting" "$now" "$open" "$((live / 1024))"
    sed 's/^/    /; s/ *$//' "$dir/table"
  } >"$dir/figures"
  scripts/figures.sh "$document" soak "$dir/figures"
fi
