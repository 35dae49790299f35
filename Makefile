# The only entry: what a target runs is in tests/make/. Everything is built or installed under build/ and target/;
# `make clean` removes both.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

CARGO := tests/make/cargo
# The laboratory's program, told where Envoy and the module are.
LAB = envoy=$$(tests/make/get envoy); ENVOY=$$envoy DUALPATH_WASM="$(CURDIR)/build/dualpath.wasm" exec build/dualpath-lab

.PHONY: help
help: ## this list
	@echo "Dualpath: make TARGET"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "ENVOY=PATH uses that Envoy; DUALPATH_WASM_TOOLCHAIN=rustup|debian chooses the way to wasm;"
	@echo "BREAKER_VECTORS=FILE gives 'make vectors' its cases; ARGS='...' is passed to demo, run, bench, own-code, chaos, soak and report-speed."

# cargo knows best what is up to date, so the recipes always ask it; an unchanged result keeps its time stamp.
.PHONY: toolchain wasm cli lab envoy
toolchain: ## find or install Rust and the way to wasm
	@tests/make/toolchain

wasm: toolchain ## the filter: build/dualpath.wasm
	@tests/make/build module

cli: toolchain ## the operator's tool: build/dualpath
	@tests/make/build cli

lab: toolchain ## the test laboratory: build/dualpath-lab
	@tests/make/build lab

envoy: ## get Envoy 1.40.0 and print its path
	@tests/make/get envoy

.PHONY: demo run bench own-code chaos soak pools load report-speed panels render guide
demo: wasm lab ## a story: servers die, calls go on
	@$(LAB) demo $(ARGS)

run: wasm lab ## the demo's set-up, left running for curl
	@$(LAB) run $(ARGS)

bench: wasm lab ## what the filter costs; also build/bench.json
	@tests/make/build noop-module
	@$(LAB) bench $(ARGS)

own-code: wasm ## what a call costs the module itself, without Envoy; ARGS='OTHER.wasm' too
	@tests/make/own-code $(ARGS)

chaos: wasm lab ## 100 000 calls while servers die, hang and lie (SEED, CALLS)
	@$(LAB) chaos --seed $(or $(SEED),1) --calls $(or $(CALLS),100000) $(ARGS)

soak: wasm lab ## outages and updates under load: does memory stay flat?
	@$(LAB) soak $(ARGS)

pools: wasm lab ## what calls wait for a connection at 100 calls/s
	@$(LAB) pools $(ARGS)

load: $(if $(URL),,wasm lab) ## calls in steps up to 150/s while servers fail; or gently at your sidecar: URL= (TOOL= ADMIN= STEPS=)
	@tests/make/load

report-speed: cli lab ## how long dualpath report takes for a log of 1 GiB, and with how much memory
	@build/dualpath-lab report-speed $(ARGS)

panels: wasm lab ## the pictures of dashboards in the guide, anew: a story before a real Prometheus
	@tests/make/panels

render: cli ## envoy/bootstrap.yaml from envoy/registry.yaml
	build/dualpath render envoy/registry.yaml -o envoy/bootstrap.yaml

guide: toolchain ## what is made from the source: the guide's tables, the JSON Schema, rendered targets
	@DUALPATH_WRITE_GUIDE=1 $(NATIVE_TEST) --quiet --test documentation --test rendered_bootstrap made_

.PHONY: test quick unit e2e page traces manifests targets record-outages lint vectors test-core-wasm reproducible
test: ## every test, in stages, with a summary
	@tests/make/test

quick: toolchain ## the daily loop, under a minute: format, clippy, core, emulated host
	@tests/make/quick

unit: toolchain ## unit tests whose name contains TEST, or all
	@$(NATIVE_TEST) --lib $(TEST)

e2e: wasm cli ## end-to-end tests on the real Envoy: a file or a test by TEST=, or all
	@tests/make/e2e $(TEST)

manifests: cli ## what is rendered for Kubernetes in Helm's and kustomize's hands (minutes the first time)
	@tests/make/manifests

targets: wasm cli ## istiod and Envoy Gateway with what is rendered for them (long the first time); TEST=istio
	@tests/make/targets $(TEST)

page: wasm cli ## the status page in a real browser (SHOTS=FOLDER leaves pictures)
	@tests/status_page/run

traces: wasm cli ## what a collector of OpenTelemetry gets of calls
	@tests/tracing/run

record-outages: wasm cli ## what Envoy's metrics say in each runbook's trouble, anew: what the alerts are tested on
	@DUALPATH_RECORD=$(CURDIR)/tests/alerts/recorded tests/make/e2e runbooks

lint: toolchain ## format, clippy, the walls between core, filter and tools
	@tests/make/lint

vectors: toolchain ## the breaker against the vectors, native (BREAKER_VECTORS) and as wasm
	@$(NATIVE_TEST) --test vectors
	@tests/make/core-in-node vectors

# As `make test` has it, so that nothing is compiled twice.
NATIVE_TEST = $(CARGO) test --locked --workspace --all-features
# Optimised, but without the module's slow link; the core alone.
CORE_TEST = $(CARGO) test --locked --quiet --package dualpath --profile tool --no-default-features --test

.PHONY: sim pictures model fuzz mutants
mutants: toolchain ## change the breaker's code in every small way: does a test notice? (long)
	@tests/make/mutants $(ARGS)

# With the checks of a debug build: what overflows is to be seen.
fuzz: toolchain ## hostile bytes for FUZZ_SECONDS per reader (20); SEED=, TARGET=
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),20) SEED=$(SEED) TARGET=$(TARGET) $(NATIVE_TEST) --quiet --test fuzz

model: toolchain ## every state of the breakers' shared record, large bounds
	@$(CORE_TEST) model -- --large

sim: toolchain ## how the breaker notices an outage, and what that costs; FLEET=1000: a thousand sidecars
	@$(CORE_TEST) simulation -- $(if $(FLEET),--fleet $(FLEET) $(ARGS),--long)

pictures: toolchain ## the guide's pictures, from sim FLEET=1000
	@$(CORE_TEST) simulation -- --fleet 1000 --pictures $(CURDIR)/envoy/guide/pictures

test-core-wasm: toolchain ## the core's unit tests as wasm under Node.js
	@tests/make/core-in-node lib

reproducible: toolchain ## build the filter twice and compare
	@tests/make/reproducible

.PHONY: dist dist-twice
dist: toolchain ## a release's files, in build/dist: module, tool, images, sums (long; Debian)
	@tests/make/dist

dist-twice: toolchain ## make dist twice, compare, and run what was made (longer)
	@tests/make/dist-twice

.PHONY: clean
clean: ## remove what was built and installed
	rm -rf build target
