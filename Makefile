# jm-directory-server: a JoinMarket directory server with its own Tor inside.
# `make` lists the targets. Everything built lies below build/.

GO      ?= go
ARGS    ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# the time that everything built says it is from: that of the commit
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export VERSION SOURCE_DATE_EPOCH
# With the toolchain that go.mod names, which Go fetches if it is older; `make GOTOOLCHAIN=local` builds with what is there.
export GOTOOLCHAIN := auto
# VERSION says it; and git refuses a checkout of another user, which would end the build. No paths of this machine in what is
# built, and everything with the same flags and, where it can be, without cgo, so that nothing is compiled twice.
export GOFLAGS := $(strip -trimpath -buildvcs=false $(GOFLAGS))

server  := build/jm-directory-server
demo    := build/jm-demo
tor     := build/tor/tor

.DEFAULT_GOAL := help
.PHONY: help run build test tested soaked fuzz soak bench lint libtor vuln attack clean demo man deb release unit tor go

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: build ## build what is missing and start the server (ARGS="--network signet")
	@exec $(server) $(ARGS)

build: go tor ## build the server with its Tor, one static file: build/jm-directory-server
	@CGO_ENABLED=0 $(GO) build -tags embedtor -ldflags "-s -w -X main.version=$(VERSION)" -o $(server) ./cmd/jm-directory-server
	@if readelf -lW $(server) | grep -q INTERP; then echo "$(server) is not static" >&2; exit 1; fi

test: export JM_TEST_TOR := $(abspath $(tor))
test: export JM_TEST_BINARY := $(abspath $(server))
test: export JM_REQUIRE_TOR := 1
test: export JM_REQUIRE_TOOLS := 1
test: build ## all tests: units, race detector, private Tor network, three minutes of soak, short fuzzing
	@scripts/test-packages.sh
	@$(MAKE) --no-print-directory -j2 tested soaked
	scripts/fuzz.sh $(or $(FUZZTIME),30s/5s)

# Tests wait for Tor and for each other more than they compute: more packages at once than there are cores, the longest first;
# fewer where clients of private Tor networks have to get circuits. vet is lint's.
tested: go
	CGO_ENABLED=0 $(GO) test -p 3 -vet=off -timeout 10m -tags embedtor ./cmd/jm-directory-server ./server ./...
	$(GO) test -p 4 -vet=off -timeout 15m -race -short ./server ./cmd/jm-directory-server ./...

soaked: go
	@scripts/soak.sh 3m

fuzz: go ## every fuzz target for an hour, minor ones ten minutes (FUZZTIME=5m): figures into docs/reliability.md
	scripts/fuzz.sh $(or $(FUZZTIME),1h/10m) docs/reliability.md

soak: build ## a mix as in real life for an hour (DURATION=3m): figures into docs/reliability.md
	scripts/soak.sh $(or $(DURATION),1h) docs/reliability.md

bench: build ## measure this machine: figures and plots in docs/performance.md (RUNS=5, QUICK=1)
	@scripts/bench.sh

lint: export CGO_ENABLED := 0
lint: go libtor ## gofmt, vet, staticcheck, shellcheck, go.mod
	@bad=$$(git ls-files -co --exclude-standard "*.go" | xargs gofmt -l); if [ -n "$$bad" ]; then echo "gofmt -w:" $$bad >&2; exit 1; fi
	$(GO) build ./...
	$(GO) vet ./...
	@if [ -f onion/embedded/tor.gz ]; then set -x; $(GO) vet -tags embedtor ./...; fi
	$(GO) vet -tags gendocs ./cmd/jm-directory-server
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) mod verify
	@if command -v shellcheck >/dev/null; then set -x; shellcheck scripts/*.sh packaging/deb/p* .ci/run; else echo "shellcheck is not installed: scripts not checked"; fi

# go-libtor compiles a Tor of its own for this, for a minute or two the first time
libtor: export CGO_ENABLED := 1
libtor: go
	CGO_CFLAGS="-DEVENT__HAVE_ARC4RANDOM=1 -DEVENT__HAVE_ARC4RANDOM_BUF=1" $(GO) vet -tags golibtor ./onion

attack: build ## attack a server of its own in every way we know; about ten minutes; figures to docs/security.md
	@GO="$(GO)" scripts/attack.sh

vuln: go ## known vulnerabilities in Go and in the modules that are used
	@GO="$(GO)" scripts/vuln.sh

demo: build ## private Tor network on loopback, the server on it, three peers: no internet needed
	@CGO_ENABLED=0 $(GO) build -o $(demo) ./cmd/jm-demo
	@exec $(demo) --server $(server) --tor $(tor)

man: go ## manual pages and shell completions: build/man
	@rm -rf build/man
	@CGO_ENABLED=0 $(GO) run -tags gendocs -ldflags "-X main.version=$(VERSION)" ./cmd/jm-directory-server build/man

deb: build man ## Debian package: build/deb
	@scripts/deb.sh

release: build man ## all files of a release, for amd64 and arm64: build/release
	@scripts/release.sh

unit: build ## install and unit under a systemd of their own, as root; the machine stays as it is
	@scripts/try-unit.sh

clean: ## remove everything built, Tor included
	rm -rf build onion/embedded

tor:
	@scripts/build-tor.sh

go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install the version named in go.mod or newer and put it on PATH" >&2; exit 1; }
	@$(GO) list -m >/dev/null || { echo "this Go cannot build the module. Since 1.21 Go fetches the version that go.mod names; without the internet, add GOTOOLCHAIN=local, for one from 1.26 on, or install that version" >&2; exit 1; }
