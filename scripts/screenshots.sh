#!/usr/bin/env bash
# Make the pictures of the README, docs/images, from a real run: a private Tor network on loopback, the server on it, and
# simulated peers that come, trade and go (cmd/jm-demo, --crowd). Nothing in them is made up, and neither nicks nor
# addresses are shown anywhere.
#
#   make build && scripts/screenshots.sh [MINUTES]     how long it runs before the pictures are taken, default 25
#
# Needs chromium, pngquant and Debian's fonts-inter, which the page is drawn with where it is installed. Environment:
# PORT=9363, of loopback, for the operator's page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
minutes=${1:-25}
admin=127.0.0.1:${PORT:-9363}
server=$PWD/build/jm-directory-server
log=$(mktemp)

die() {
  echo "screenshots: $*" >&2
  exit 1
}
for tool in chromium pngquant; do
  command -v $tool >/dev/null || die "$tool is missing: apt-get install chromium pngquant fonts-inter"
done
[[ -n $(fc-list Inter) ]] || die "the font is missing: apt-get install fonts-inter"
[[ -x $server && -x build/tor/tor ]] || die "run make build first"

CGO_ENABLED=0 go build -trimpath -o build/jm-demo ./cmd/jm-demo
build/jm-demo --server "$server" --tor build/tor/tor --crowd $((minutes + 5))m --admin "$admin" >"$log" 2>&1 &
demo=$!
trap 'kill -INT $demo 2>/dev/null && wait $demo; rm -f "$log"' EXIT

echo "screenshots: the pictures are taken in $minutes minutes"
for ((i = 0; i < minutes * 6; i++)); do
  sleep 10
  kill -0 $demo 2>/dev/null || die "the run ended early: $(tail -n 5 "$log")"
done
"$server" health --admin "$admin" || die "the directory is not well"

mkdir -p docs/images
JM_SCREENSHOT="http://$admin/?span=recent" go test -count=1 -run 'TestScreenshot$' ./server/admin/page
pngquant --force --skip-if-larger --speed 1 --strip --output docs/images/page.png 256 build/page.png
JM_SCREENSHOT="$admin" go test -count=1 -run 'TestScreenshot$' ./cmd/jm-directory-server
cp build/status.svg docs/images/status.svg
for picture in docs/images/*; do
  size=$(stat -c %s "$picture")
  echo "screenshots: $picture $size bytes"
  ((size < 300000)) || die "$picture is too large"
done
if grep -aE '[a-z2-7]{56}|J5[1-9A-HJ-NP-Za-km-z]{14}' docs/images/status.svg; then
  die "a name is in the picture"
fi
