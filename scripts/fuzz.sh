#!/usr/bin/env bash
# Run every fuzz target of the module for a time each.
#
#   scripts/fuzz.sh TIME[/TIME] [DOCUMENT]     as go test -fuzztime takes it; the second for minor targets, see below: 30s/5s
#
# As many targets run at once as there are cores, each with one worker: that keeps the cores busy while others are built,
# replay their corpora, or end. To make an interesting input smaller takes a second at most, not the engine's minute. With a
# DOCUMENT, executions and inputs that were kept go between its markers "fuzz".
#
# Up to Go 1.26 the fuzzing engine itself sometimes fails with "context deadline
# exceeded" when the time is up (golang.org/issue/75804). A run that ends with
# just that, and without a failing input, is run again, twice at most; a target
# that hangs fails each time.
set -euo pipefail
cd "$(dirname "$0")/.."
IFS=/ read -r time less <<<"${1:?usage: scripts/fuzz.sh TIME[/TIME] [DOCUMENT]}"
less=${less:-$time}
document=${2:-}
# Targets for what comes from our own programs, from the kernel, or from the Tor that is ours, for what only our clients read,
# and for parts of what another target reads whole.
minor='^Fuzz(PrivateMessageOpens|Input|Answer|LogLine|ProcStat|Challenge|DirectoryHello|Peerlist|Positions|History|CutLine|NextOffer|DecodeBan|DecodeSample)$'
root=$PWD
dir=$root/build/fuzz
go=${GO:-go}
mkdir -p "$dir"
cache=$("$go" env GOCACHE)/fuzz

targets=$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' /dev/null | sed 's/func //' | sort)

# binary PACKAGE: where its instrumented test binary is
binary() { printf '%s/%s.test' "$dir" "${1//\//-}"; }

# duration TARGET: how long
duration() { if [[ $1 =~ $minor ]]; then echo "$less"; else echo "$time"; fi; }

# fuzz PACKAGE TARGET LOG
fuzz() {
  (cd "$1" && "$(binary "$1")" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$(duration "$2")" -test.parallel 1 -test.fuzzminimizetime 1s \
    -test.fuzzcachedir "$cache/jm-directory-server/$1") >"$3" 2>&1
}

engine_failed() { grep -qx ' *context deadline exceeded' "$1" && ! grep -qE 'Failing input|panic:|_test\.go:[0-9]+:' "$1"; }

# run PACKAGE TARGET: all tries of one target
run() {
  local log=$dir/$2.log try
  printf 'fuzz %s %s\n' "$1" "$2"
  for try in 1 2 3; do
    if fuzz "$1" "$2" "$log"; then
      return
    fi
    if [[ $try == 3 ]] || ! engine_failed "$log"; then
      cat "$log"
      return 1
    fi
  done
}

packages=$(cut -d: -f1 <<<"$targets" | xargs -n1 dirname | sort -u)
running=0
# next COMMAND…: run it in the background once fewer run than there are cores; rest waits for all
next() {
  while ((running >= $(nproc))); do one; done
  "$@" &
  running=$((running + 1))
}
one() {
  wait -n || { wait; exit 1; }
  running=$((running - 1))
}
rest() { while ((running > 0)); do one; done; }

for package in $packages; do
  next "$go" test -c -fuzz . -o "$(binary "$package")" "./$package"
done
rest
while IFS=: read -r file target; do
  next run "$(dirname "$file")" "$target"
done <<<"$targets"
rest
printf '%d fuzz targets, %s each' "$(wc -l <<<"$targets")" "$time"
if [[ $less != "$time" ]]; then printf ', but %s for the %d minor ones' "$less" "$(cut -d: -f2 <<<"$targets" | grep -cE "$minor")"; fi
printf '\n'

if [[ -n $document ]]; then
  figures=$dir/figures
  # shellcheck disable=SC2016 # the marks are Markdown's
  {
    printf 'Measured by `make fuzz FUZZTIME=%s` with %s, on %s cores, each target with one:\n\n' "$time" "$("$go" env GOVERSION)" "$(nproc)"
    printf '| Target | Package | Executions | Inputs kept |\n|---|---|---:|---:|\n'
    while IFS=: read -r file target; do
      # none where the time was not enough for the corpus
      last=$(grep -E 'execs: [0-9]+' "$dir/$target.log" | tail -n 1 || true)
      printf '| `%s` | `%s` | %s | %s |\n' "$target" "$(dirname "$file")" \
        "$(sed -E 's/^$/–/; s/.*execs: ([0-9]+).*/\1/' <<<"$last")" "$(sed -E 's/^$/–/; s/.*\(total: ([0-9]+)\).*/\1/' <<<"$last")"
    done <<<"$targets"
  } >"$figures"
  scripts/figures.sh "$document" fuzz "$figures"
fi
