# `make` lists the recipes. Whatever runs code first makes .venv what requirements.lock says.

PYTHON ?= python3.11
BIN := .venv/bin
LOCKED := .venv/.locked
INSTALLED := .venv/.installed
CODE = $(wildcard components tests benchmarks models)
SLOW = $(wildcard tests/integration tests/replay tests/e2e tests/chaos)

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help setup up check test e2e chaos bench format lock

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv from the hashed lock; quick when nothing changed
	@:

# A changed lock starts from an empty environment, so that nothing outlives its line. Bytecode is compiled on every core.
$(LOCKED): requirements.lock
	@echo "making .venv from requirements.lock" >&2
	@$(PYTHON) -m venv --clear .venv >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: \
	    --require-hashes --requirement requirements.lock >&2
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >&2
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation \
	    --editable . >&2
	@touch $@

up: setup ## trade in the sandbox; options in ARGS="--headless --for 45 --json"
	@exec $(BIN)/xtrader up $(ARGS)

check: setup ## the fast gate: format, lint, types, imports, fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/pytest --quiet

test: setup check ## everything that proves the project: the gate, then the slow tests
	@$(BIN)/pytest --quiet --durations 5 $(SLOW)

e2e: setup ## the processes together
	@$(BIN)/pytest --quiet tests/e2e

chaos: setup ## kill, pause, delay, lie
	@$(BIN)/pytest --quiet tests/chaos

bench: setup ## measure every promise of speed; prints a table, writes var/bench.json
	@exec $(BIN)/python -m benchmarks $(ARGS)

format: setup ## let ruff put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## compile requirements.lock anew from pyproject.toml
	@$(PYTHON) -m venv var/lock
	@var/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@var/lock/bin/uv pip compile pyproject.toml --all-extras --upgrade --quiet --generate-hashes --python-version 3.11 \
	    --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.lock
