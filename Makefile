# `make` lists the recipes. Whatever runs code first fills .venv with what the locks say, see scripts/install.

export PYTHON ?= python3.11
BIN := .venv/bin
CODE = $(wildcard components tests benchmarks models docker/grafana)
FAST := tests/unit tests/contract tests/typing
PACKAGES = $(if $(wildcard .venv/uv/bin/uv),.venv/uv/bin/uv pip,$(BIN)/python -m pip --disable-pip-version-check)
SLOW = $(wildcard tests/integration tests/replay tests/e2e tests/chaos)

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help setup up gate check test prove e2e chaos drill lies simulate containers dashboard bench audit secrets format lock

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fill .venv from the hashed locks, print what each step took; quick when nothing changed
	@scripts/install full

up: ## trade in the sandbox; installs no tools for tests; options in ARGS="--headless --for 45 --json"
	@scripts/install runtime
	@exec $(BIN)/xtrader up $(ARGS)

gate: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(CODE)

check: gate ## the fast gate: format, lint, types, imports, fast tests
	@$(BIN)/pytest --quiet

test: gate ## what proves the project to a newcomer: the gate, all fast tests, a sample of the slow ones
	@$(BIN)/pytest --durations 5 $(FAST) $(SAMPLE)

prove: setup ## the slow tests that `make test` leaves out
	@$(BIN)/pytest --durations 10 $(SLOW) $(addprefix --ignore=,$(SAMPLE))

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
	@shellcheck .ci/run scripts/* docker/prove docker/healthy docker/local/*
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
	@$(PACKAGES) check
	@echo "newer in the package index (no word on weaknesses: see CONTRIBUTING.md):"
	@$(PACKAGES) list --outdated --exclude pip --exclude setuptools 2>/dev/null || echo "the index did not answer"

secrets: setup ## does anything in the repository look like a secret
	@$(BIN)/pytest --quiet tests/contract/test_secrets.py

format: setup ## let ruff put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

UV_COMPILE = .venv/uv/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header

lock: setup ## compile the locks anew from pyproject.toml: everything, what the programs need, what builds them, uv itself
	@$(UV_COMPILE) pyproject.toml --all-extras --upgrade --output-file requirements.lock
	@$(UV_COMPILE) pyproject.toml --constraints requirements.lock --output-file requirements-runtime.lock
	@printf 'editables\nhatchling\n' | $(UV_COMPILE) - --constraints requirements.lock --output-file requirements-build.lock
	@echo uv | $(UV_COMPILE) - --upgrade --output-file requirements-uv.lock
