#!/usr/bin/env bash
# Run every fuzz target of the module for a time each.
#
#   scripts/fuzz.sh TIME[/TIME] [DOCUMENT]     such as 90s, 5m, 1h; the second for minor targets, see below: 30s/5s
#   scripts/fuzz.sh figures DOCUMENT           of a long run so far
#
# As many targets run at once as there are cores, each with one worker: that keeps the cores busy while others are built,
# replay their corpora, or end. To make an interesting input smaller takes a second at most, not the engine's minute.
#
# With a DOCUMENT it is a long run, in turns of five minutes, and may be stopped: the next one goes on with the turns that are
# left, which build/fuzz/turns tells until all have been. After each round the figures go between the document's markers "fuzz".
#
# Up to Go 1.26 the fuzzing engine itself sometimes fails with "context deadline
# exceeded" when the time is up (golang.org/issue/75804). A run that ends with
# just that, and without a failing input, is run again, twice at most; a target
# that hangs fails each time.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: scripts/fuzz.sh TIME[/TIME] [DOCUMENT], or figures DOCUMENT'
# seconds TIME: the whole number that it is
seconds() {
  [[ $1 =~ ^([1-9][0-9]*)([smh])$ ]] || { echo "$usage: $1 is no time such as 90s, 5m, 1h" >&2; exit 2; }
  case ${BASH_REMATCH[2]} in s) echo "${BASH_REMATCH[1]}" ;; m) echo $((BASH_REMATCH[1] * 60)) ;; h) echo $((BASH_REMATCH[1] * 3600)) ;; esac
}
document=${2:-}
if [[ ${1:?$usage} == figures ]]; then
  : "${document:?$usage}"
else
  IFS=/ read -r time less <<<"$1"
  most=$(seconds "$time")
  least=$(seconds "${less:-$time}")
fi
turn=300
# Targets for what comes from our own programs, from the kernel, or from the Tor that is ours, for what only our clients read,
# and for parts of what another target reads whole.
minor='^Fuzz(PrivateMessageOpens|Input|Answer|LogLine|ProcStat|Challenge|DirectoryHello|Peerlist|Positions|ProofResult|History|GuardAnswer|CutLine|NextOffer|DecodeBan|DecodeSample)$'
# What is instrumented: new code of ours, and of the libraries that parse for us, is what makes an input interesting. The whole
# standard library with it, as `go test -fuzz` has it, costs half to nine tenths of the executions.
instrumented=()
for package in jm-directory-server encoding/json github.com/{go-json-experiment/json,BurntSushi/toml,cretz/bine,decred/base58} go.etcd.io/bbolt; do
  instrumented+=("-gcflags=$package/...=-d=libfuzzer")
done
root=$PWD
dir=$root/build/fuzz
go=${GO:-go}
rm -rf "$dir/turns.short"
turns=$dir/turns.short
if [[ -n $document ]]; then turns=$dir/turns; fi
mkdir -p "$turns"
cache=$("$go" env GOCACHE)/fuzz/jm-directory-server

targets=$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' /dev/null | sed 's/func //' | sort)

# Turns and logs go by the name alone: two targets of one name would share one's time. A minor one that is none was renamed.
names=$(cut -d: -f2 <<<"$targets" | sort)
twice=$(uniq -d <<<"$names")
if [[ -n $twice ]]; then
  echo "fuzz targets of the same name: $twice" >&2
  exit 1
fi
gone=$(grep -oE '[A-Za-z]{3,}' <<<"${minor#^Fuzz}" | sed 's/^/Fuzz/' | sort | comm -23 - <(echo "$names"))
if [[ -n $gone ]]; then
  echo "minor fuzz targets that there are not: $gone" >&2
  exit 1
fi

# binary PACKAGE [KIND]: where its test binary is
binary() { printf '%s/%s.%s' "$dir" "${1//\//-}" "${2:-test}"; }

# duration TARGET: for how many seconds it is to run
duration() { if [[ $1 =~ $minor ]]; then echo "$least"; else echo "$most"; fi; }

# sum TARGET COLUMN: of its turns so far; 1 is seconds, 2 executions
sum() { awk -v c="$2" '{ s += $c } END { print s + 0 }' "$turns/$1" 2>/dev/null || echo 0; }

# neediest: the targets, those first that have had the least part of their time
neediest() {
  while IFS=: read -r file target; do
    printf '%d %s:%s\n' "$(($(sum "$target" 1) * 1000 / $(duration "$target")))" "$file" "$target"
  done <<<"$targets" | sort -s -n -k 1,1 | cut -d ' ' -f 2
}

# fuzz PACKAGE TARGET SECONDS LOG
fuzz() {
  (cd "$1" && "$(binary "$1")" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$3s" -test.parallel 1 -test.fuzzminimizetime 1s \
    -test.fuzzcachedir "$cache/$1") >"$4" 2>&1
}

engine_failed() { grep -qx ' *context deadline exceeded' "$1" && ! grep -qE 'Failing input|panic:|_test\.go:[0-9]+:' "$1"; }

# last TARGET PATTERN: what the pattern, of sed, finds in the last line of its log with figures; none where the time was not
# enough for the corpus
last() { grep -E 'execs: [0-9]+' "$dir/$1.log" | tail -n 1 | sed -nE "s/.*$2.*/\1/p" || true; }

# run PACKAGE TARGET SECONDS: all tries of one target
run() {
  local log=$dir/$2.log try executions
  printf 'fuzz %s %s\n' "$1" "$2"
  for try in 1 2 3; do
    if fuzz "$1" "$2" "$3" "$log"; then
      if grep 'without coverage guidance' "$log"; then
        return 1
      fi
      # One that is not in the test binary, or skips itself, is no failure to the engine.
      if ! grep -q '^fuzz: elapsed: ' "$log"; then
        cat "$log"
        echo "$1 $2 has not been fuzzed"
        return 1
      fi
      executions=$(last "$2" 'execs: ([0-9]+)')
      printf '%d %d\n' "$3" "${executions:-0}" >>"$turns/$2"
      return
    fi
    if [[ $try == 3 ]] || ! engine_failed "$log"; then
      cat "$log"
      return 1
    fi
  done
}

# replay PACKAGE TARGET INPUTS PROFILE: run its seeds and kept inputs as a test does it, in the copy of the sources
replay() {
  (cd "$dir/copy/$1" && "$(binary "$1" cover)" -test.run "^$2\$/$3" -test.coverprofile "$4") >"$dir/$2.replay" 2>&1 || { cat "$dir/$2.replay"; return 1; }
}

# cover PACKAGE TARGET: how many statements these inputs reach in the functions of this module that they enter, of how many, and
# where the others are. What a target does before its first input, such as making the seeds, does not count: a run without
# inputs has that, too.
cover() {
  local corpus=$dir/copy/$1/testdata/fuzz/$2 reached=$dir/$2.reached
  mkdir -p "$corpus"
  find "$cache/$1/$2" -type f -exec cp -t "$corpus" {} + 2>/dev/null || true
  replay "$1" "$2" . "$reached.with"
  replay "$1" "$2" '^$' "$reached.without"
  {
    "$go" tool cover -func "$reached.with" | sed -nE 's/^([^:]+):([0-9]+):.*/function \1 \2/p'
    sed 's/^/without /' "$reached.without"
    sed 's/^/with /' "$reached.with"
  } | awk -v missed="$dir/$2.missed" '
    $1 == "function" { starts[$2] = starts[$2] " " $3 }
    $1 == "without" { before[$2] = $4 }
    $1 == "with" && NF == 4 {
      split($2, place, ":"); split(place[2], from, "."); n = split(starts[place[1]], lines, " "); start = 0
      for (i = 1; i <= n; i++) if (lines[i] <= from[1] + 0 && lines[i] > start) start = lines[i]
      f = place[1] ":" start; all[f] += $3
      if ($4 > before[$2]) hit[f] += $3; else others[f] = others[f] $2 "\n"
    }
    END {
      printf "" >missed
      for (f in hit) { h += hit[f]; a += all[f]; printf "%s", others[f] >missed }
      printf "%d of %d\n", h, a
    }' >"$reached"
}

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
packages=$(cut -d: -f1 <<<"$targets" | xargs -n1 dirname | sort -u)

# figures: into the document
figures() {
  for package in $packages; do
    next "$go" test -c -covermode atomic -coverpkg ./... -o "$(binary "$package" cover)" "./$package"
  done
  rest
  rm -rf "$dir/copy"
  mkdir "$dir/copy"
  git ls-files -z -co --exclude-standard | xargs -0 cp --parents -t "$dir/copy"
  while IFS=: read -r file target; do
    next cover "$(dirname "$file")" "$target"
  done <<<"$targets"
  rest
  # shellcheck disable=SC2016 # the marks are Markdown's
  {
    printf 'Measured by `make fuzz`, on %s cores, each target with one:\n\n' "$(nproc)"
    printf '| Target | Package | Minutes | Executions | Inputs kept | New in the last turn | Statements reached |\n|---|---|---:|---:|---:|---:|---:|\n'
    while IFS=: read -r file target; do
      printf '| `%s` | `%s` | %s | %s | %s | %s | %s |\n' "$target" "$(dirname "$file")" "$(($(sum "$target" 1) / 60))" "$(sum "$target" 2)" \
        "$(last "$target" '\(total: ([0-9]+)\)' | sed 's/^$/–/')" "$(last "$target" 'new interesting: ([0-9]+)' | sed 's/^$/–/')" \
        "$(cat "$dir/$target.reached")"
    done <<<"$targets"
  } >"$dir/figures"
  scripts/figures.sh "$document" fuzz "$dir/figures"
}

if [[ $1 == figures ]]; then
  figures
  exit
fi
for package in $packages; do
  next "$go" test -c "${instrumented[@]}" -o "$(binary "$package")" "./$package"
done
rest
while :; do
  due=0
  while IFS=: read -r file target; do
    left=$(($(duration "$target") - $(sum "$target" 1)))
    if ((left > 0)); then
      due=1
      next run "$(dirname "$file")" "$target" $((left < turn ? left : turn))
    fi
  done < <(neediest)
  rest
  if ((!due)); then break; fi
  if [[ -n $document ]]; then figures; fi
done
rm -rf "$turns"
printf '%d fuzz targets, %s each' "$(wc -l <<<"$targets")" "$time"
if ((least != most)); then printf ', but %s for the %d minor ones' "$less" "$(cut -d: -f2 <<<"$targets" | grep -cE "$minor")"; fi
printf '\n'
