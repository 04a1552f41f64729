# `make` lists the recipes. Whatever runs code first makes .venv what requirements.lock says.

PYTHON ?= python3.11
BIN := .venv/bin
LOCKED := .venv/.locked
INSTALLED := .venv/.installed
CODE = $(wildcard components tests benchmarks models docker/grafana)
SLOW = $(wildcard tests/integration tests/replay tests/e2e tests/chaos)

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help setup up check test e2e chaos drill lies simulate containers dashboard bench audit secrets format lock

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

drill: setup ## kill 20 random processes of a trading system, prove that nothing was doubled or lost
	@$(BIN)/xtrader drill kill $(ARGS)

lies: setup ## break the crypto venues' feeds at random for two minutes, hold every published book against the venue's own
	@$(BIN)/xtrader drill feeds $(ARGS)

containers: ## build the image, bring everything up in containers, kill one, verify the journals
	@docker/local/packages shellcheck
	@shellcheck docker/prove docker/healthy docker/local/*
	@docker/prove

dashboard: setup ## check rules and dashboard against a real Prometheus that scrapes a running `up`
	@docker/local/packages prometheus
	@$(BIN)/pytest --quiet tests/e2e/test_prometheus.py tests/e2e/test_dashboard.py

simulate: setup ## crash all four at every effect, in one process; more seeds in ARGS="--seed 1000 --crash-points 100000"
	@$(BIN)/xtrader simulate --every 1000 --seed 1
	@$(BIN)/xtrader simulate --crash-points 10000 $(ARGS)

bench: setup ## measure every promise of speed; prints a table, writes var/bench.json
	@exec $(BIN)/python -m benchmarks $(ARGS)

audit: setup ## is what is installed what is locked, does it fit together, what is newer in the index
	@$(BIN)/pytest --quiet tests/contract/test_lock.py
	@$(BIN)/python -m pip check
	@echo "newer in the package index (no word on weaknesses: see CONTRIBUTING.md):"
	@$(BIN)/python -m pip list --outdated --disable-pip-version-check --exclude pip --exclude setuptools 2>/dev/null \
	    || echo "the index did not answer"

secrets: setup ## does anything in the repository look like a secret
	@$(BIN)/pytest --quiet tests/contract/test_secrets.py

format: setup ## let ruff put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

UV_COMPILE = var/lock/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header

lock: ## compile the locks anew from pyproject.toml: everything, what the image runs, what builds it
	@$(PYTHON) -m venv var/lock
	@var/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV_COMPILE) pyproject.toml --all-extras --upgrade --output-file requirements.lock
	@$(UV_COMPILE) pyproject.toml --constraints requirements.lock --output-file requirements-runtime.lock
	@echo hatchling | $(UV_COMPILE) - --constraints requirements.lock --output-file requirements-build.lock
