# Everything is built or installed under build/ and target/; `make clean` removes both.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

CARGO := .make/cargo
# The laboratory's program, told where Envoy and the module are.
LAB = envoy=$$(.make/envoy); ENVOY=$$envoy DUALPATH_WASM="$(CURDIR)/build/dualpath.wasm" exec build/dualpath-lab

.PHONY: help
help: ## this list
	@echo "Dualpath: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "ENVOY=PATH uses that Envoy; DUALPATH_WASM_TOOLCHAIN=rustup|debian chooses the way to wasm;"
	@echo "BREAKER_VECTORS=FILE gives 'make vectors' its cases; ARGS='...' is passed to demo, run, bench, chaos and soak."

# cargo knows best what is up to date, so the recipes always ask it; an unchanged result keeps its time stamp.
.PHONY: toolchain wasm cli lab envoy
toolchain: ## find or install Rust and the way to wasm
	@.make/toolchain

wasm: toolchain ## the filter: build/dualpath.wasm
	@.make/wasm

cli: toolchain ## the operator's tool: build/dualpath
	@.make/native cli dualpath

lab: toolchain ## the test laboratory: build/dualpath-lab
	@.make/native lab dualpath-lab

envoy: ## get Envoy 1.40.0 and print its path
	@.make/envoy

.PHONY: demo run bench chaos soak render guide
demo: wasm lab ## a story: servers die, calls go on
	@$(LAB) demo $(ARGS)

run: wasm lab ## the demo's set-up, left running for curl
	@$(LAB) run $(ARGS)

bench: wasm lab ## what the filter costs; also build/bench.json
	@.make/wasm-noop
	@$(LAB) bench $(ARGS)

chaos: wasm lab ## 100 000 calls while servers die, hang and lie (SEED, CALLS)
	@$(LAB) chaos --seed $(or $(SEED),1) --calls $(or $(CALLS),100000) $(ARGS)

soak: wasm lab ## outages and updates under load: does memory stay flat?
	@$(LAB) soak $(ARGS)

render: cli ## envoy/bootstrap.yaml from envoy/registry.yaml
	build/dualpath render envoy/registry.yaml -o envoy/bootstrap.yaml

guide: toolchain ## the guide's tables that are made from the reader
	@DUALPATH_WRITE_GUIDE=1 $(CARGO) test --locked --quiet --all-features --test documentation made_tables

.PHONY: test lint vectors test-core-wasm reproducible
test: ## every test, in stages, with a summary
	@.make/test

lint: toolchain ## format, clippy, the walls between core, filter and tools
	@.make/lint

vectors: toolchain ## the breaker against the vectors, native (BREAKER_VECTORS) and as wasm
	@$(CARGO) test --locked --all-features --test vectors
	@.make/wasm-tests vectors

# Optimised, but without the module's slow link; the core alone.
CORE_TEST = $(CARGO) test --locked --quiet --profile tool --no-default-features --test

.PHONY: sim model fuzz mutants
mutants: toolchain ## change the breaker's code in every small way: does a test notice? (long)
	@.make/mutants $(ARGS)

# With the checks of a debug build: what overflows is to be seen.
fuzz: toolchain ## hostile bytes for SECONDS per reader (default 20); SEED=, TARGET=
	@SECONDS=$(or $(SECONDS),20) SEED=$(SEED) TARGET=$(TARGET) $(CARGO) test --locked --quiet --all-features --test fuzz

model: toolchain ## every state of the breakers' shared record, large bounds
	@$(CORE_TEST) model -- --large

sim: toolchain ## how fast the breaker notices an outage, its writes, its false alarms
	@$(CORE_TEST) simulation -- --long

test-core-wasm: toolchain ## the core's unit tests as wasm under Node.js
	@.make/wasm-tests lib

reproducible: toolchain ## build the filter twice and compare
	@.make/reproducible

.PHONY: clean
clean: ## remove what was built and installed
	rm -rf build target
