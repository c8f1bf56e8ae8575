# What a developer and CI type. `make test` needs nothing but Go, make and
# Debian's apt: it installs what is missing, then checks everything.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BINARY   := bin/postern
FUZZTIME ?= 3s
SOAKTIME ?= 5m
# The runs of one check, so that a fault names itself and not its neighbours.
PACKAGES := ./...

export GOTOOLCHAIN := local
# A checkout that belongs to another user has no version that git would tell.
export GOFLAGS     := -mod=readonly -buildvcs=false

.PHONY: help build test setup lint unit fuzz soak bench microbench budget sbom release vulncheck clean

## What make can do, from the lines in here that begin with two #.
help:
	@awk '/^## /{said = substr($$0, 4); next} said != "" && /^[a-z]+:/{sub(/:.*/, ""); printf "  make %-12s %s\n", $$0, said} {said = ""}' Makefile

## Builds bin/postern.
build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BINARY) ./cmd/postern

## Writes what the binary is made of (CycloneDX) to bin/postern.cdx.json.
sbom: build
	go run -C tools ./sbom -version "$(VERSION)" ../bin/postern > bin/postern.cdx.json

# A release: for each platform the binary, its bill of materials and the
# licences that go along, and one file of checksums. From a clean checkout of a
# tag, with the Go release of go.mod, everybody gets the same bytes: compare.
PLATFORMS := linux/amd64 linux/arm64 linux/arm linux/riscv64 darwin/amd64 darwin/arm64 freebsd/amd64
RELEASE   := bin/release

## Builds what is published, for every platform, in bin/release.
release:
	go mod verify
	rm -rf "$(RELEASE)" && mkdir -p "$(RELEASE)"
	for platform in $(PLATFORMS); do \
		name="postern_$(VERSION)_$${platform/\//_}"; \
		GOOS="$${platform%/*}" GOARCH="$${platform#*/}" $(MAKE) --no-print-directory build BINARY="$(RELEASE)/$$name"; \
		go run -C tools ./sbom -version "$(VERSION)" "$(abspath $(RELEASE))/$$name" > "$(RELEASE)/$$name.cdx.json"; \
		go run -C tools ./sbom -texts "$(abspath $(RELEASE))/$$name" > "$(RELEASE)/$$name.licences.txt"; \
	done
	cp LICENSE "$(RELEASE)/"
	cd "$(RELEASE)" && sha256sum -- * > SHA256SUMS

# Known holes in what is linked. Needs the network, for the tool and for the
# list of holes; public CI runs it every night and before a release.
## Looks up known holes in what is linked; needs the network.
vulncheck:
	go run golang.org/x/vuln/cmd/govulncheck@v1.8.0 ./...

# All that has to hold before a commit lands. The house budget is shown with it
# and fails on its own alone, in make budget.
## Checks everything that has to hold before a commit lands: setup, lint, unit, fuzz.
test: setup lint unit fuzz
	-@go run -C tools ./budget "$(CURDIR)"

## Installs what the tests need and the machine lacks: a browser, Node, Django.
setup:
	tools/setup.sh

## Looks at the sources: gofmt, go vet, staticcheck, the tools' own tests.
lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt these:"; echo "$$unformatted"; exit 1; }
	go vet $(PACKAGES)
	go build -C tools -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck $(PACKAGES)
	cd tools && go vet ./... && ../bin/staticcheck ./... && go test ./...
	go mod verify && go -C tools mod verify

## Measures the house budget: short files, short functions, comments, more tests than code.
budget:
	go run -C tools ./budget "$(CURDIR)"

# Nothing is skipped: a server or browser that is missing is a failure here.
## Runs every test but the fuzz targets, with the race detector.
unit:
	go build -C tools -o ../bin/report ./report
	POSTERN_TEST_REQUIRE=all go test -race -timeout 40m -json $(PACKAGES) | bin/report

# What the fuzzer watches: our own packages and the parsers under them. With
# go test -fuzz that is all there is, an SQL database of 150,000 branches too,
# and each is looked at after every input: a tenth of the inputs get their turn.
WATCHED := github.com/posternhq/postern/... go.yaml.in/yaml/v3 encoding/json net/url

# Every fuzz target for $(FUZZTIME). They are found by name, so new ones join.
# A package's are built once, with the fuzzer's instrumentation. When its time is
# over while it minimizes an input, the fuzzer says so as if it were a failure.
## Runs every fuzz target for FUZZTIME (3s) each.
fuzz:
	@mkdir -p bin && grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r dir; do \
		go test -c $(WATCHED:%=-gcflags=%=-d=libfuzzer) -o bin/fuzz.test "$$dir"; \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/^func //'); do \
			said=$$(cd "$$dir" && "$(CURDIR)/bin/fuzz.test" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 100x \
				-test.fuzzcachedir "$$(go env GOCACHE)/fuzz/postern/$$dir" 2>&1) || \
				{ grep -qx ' *context deadline exceeded' <<<"$$said" && ! grep -q 'Failing input' <<<"$$said"; } || { echo "$$said"; exit 1; }; \
			echo "$$target: $$(grep -oE 'execs: [0-9]+|POSTERN_TEST_SOAK.*' <<<"$$said" | tail -1)"; \
		done; \
	done

# What a request costs, beside HAProxy, nginx, Apache and Caddy: installs them,
# takes a quarter of an hour, and writes bench/README.md.
## Measures what a request costs, beside other proxies; writes bench/README.md.
bench: build
	tools/setup.sh bench
	go build -o bin/ ./bench/...
	go test -c -o bin/sqlstore.test ./auth/sqlstore
	taskset -c 1 bin/compare -bin bin -out bench

## Measures what single functions cost.
microbench:
	go test -run '^$$' -bench . -benchmem $(PACKAGES)

## Runs what takes long, for before a release; SOAKTIME (5m) is for each part.
soak: setup
	POSTERN_TEST_SOAK=$(SOAKTIME) $(MAKE) fuzz FUZZTIME=$(SOAKTIME)
	$(MAKE) microbench
	POSTERN_TEST_SOAK=$(SOAKTIME) go test -timeout 60m -run 'TestTheThrottleDoes|TestRefreshKeeps' ./auth -rapid.checks 1000
	POSTERN_TEST_SOAK=$(SOAKTIME) go test -timeout 60m ./policy -run TestEveryDifference -rapid.checks 10000
	POSTERN_TEST_SOAK=$(SOAKTIME) go test -timeout 60m -run TestEveryTokenIsWorth ./gateway -rapid.checks 300 -rapid.steps 60
	POSTERN_TEST_SOAK=$(SOAKTIME) go test -timeout 120m -v -run TestMillionsOfKeys ./auth/sqlstore
	POSTERN_TEST_REQUIRE=all POSTERN_TEST_SOAK=$(SOAKTIME) go test -timeout 60m -v -run '^(TestSoak|TestSlowClients)' ./e2e/
	POSTERN_TEST_REQUIRE=all POSTERN_TEST_SOAK=$(SOAKTIME) go test -race -timeout 240m -count 3 -skip '^(TestSoak|TestSlowClients)' ./e2e/

## Removes bin.
clean:
	rm -rf bin
