#!/usr/bin/env bash
# Print the software bill of materials of an executable of ours: CycloneDX, JSON.
#
#   VERSION=TEXT SOURCE_DATE_EPOCH=SECONDS scripts/sbom.sh EXECUTABLE TOR_DIR ARCH
#
# The Go modules are read out of the executable by a pinned tool, which go run gets
# and which is in no go.mod. What it cannot see is added: the Tor inside, and what is
# linked into that.
set -euo pipefail
cd "$(dirname "$0")/.."
executable=$1 tor=$2 arch=$3
: "${VERSION:?}" "${SOURCE_DATE_EPOCH:?}"
command -v jq >/dev/null || { echo "sbom: jq is missing: apt-get install -y jq" >&2 && exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOFLAGS='' "${GO:-go}" run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 \
  bin -json -noserial -std -version "$VERSION" "$executable" >"$work/modules.json" 2>"$work/log" || {
  echo "sbom: the modules of $executable cannot be listed; cyclonedx-gomod, which go run gets from the module mirror, says:" >&2
  cat "$work/log" >&2
  exit 1
}
jq --arg time "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" --arg arch "$arch" \
    --arg tor "$(cat "$tor/VERSION")" --arg sum "$(sha256sum "$tor/tor" | cut -d' ' -f1)" \
    --arg executable "$(sha256sum "$executable" | cut -d' ' -f1)" --rawfile libraries "$tor/LIBRARIES" '
    # The licences of the libraries by the name of their source package.
    {glibc: "LGPL-2.1-or-later", libevent: "BSD-3-Clause", openssl: "Apache-2.0", zlib: "Zlib"} as $licences |
    ([$libraries | split("\n")[] | select(. != "") | split(" ") | {
      "bom-ref": "pkg:deb/debian/\(.[2])@\(.[3])", type: "library", name: .[2], version: .[3],
      purl: "pkg:deb/debian/\(.[2])@\(.[3] | @uri)?arch=source",
      licenses: [{license: {id: ($licences[.[2]] // error("no licence is known for \(.[2])"))}}],
      properties: [{name: "linked-from", value: "\(.[0])_\(.[1])_\($arch)"}]
    }]) as $c |
    ([("equix", "hashx") | {"bom-ref": ., type: "library", name: ., licenses: [{license: {id: "LGPL-3.0-only"}}],
      properties: [{name: "part-of", value: "tor \($tor)"}]}] +
    [{"bom-ref": "libgcc", type: "library", name: "libgcc", licenses: [{expression: "GPL-3.0-or-later WITH GCC-exception-3.1"}],
      properties: [{name: "linked-by", value: "the compiler"}]}]) as $parts |
    .metadata.timestamp = $time |
    del(.metadata.tools[].hashes) |
    .metadata.properties = [.metadata.properties[]? | select(.name | startswith("cdx:gomod:binary:hash") | not)] |
    .metadata.component.hashes = [{alg: "SHA-256", content: $executable}] |
    .metadata.component["bom-ref"] as $main |
    .components += [{"bom-ref": "tor", type: "application", name: "tor", version: $tor, purl: "pkg:generic/tor@\($tor)",
      hashes: [{alg: "SHA-256", content: $sum}], licenses: [{license: {id: "GPL-3.0-only"}}]}] + $c + $parts |
    .dependencies = [.dependencies[] | if .ref == $main then .dependsOn += ["tor"] else . end] +
      [{ref: "tor", dependsOn: [($c + $parts)[]["bom-ref"]]}] + [($c + $parts)[] | {ref: .["bom-ref"]}]' "$work/modules.json"
