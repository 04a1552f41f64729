# `make` lists the recipes. Every recipe that runs code first installs the locks into .venv (scripts/install).

export PYTHON ?= python3.11
BIN := .venv/bin
CODE = $(wildcard components tests benchmarks models docker/grafana)
FAST := tests/unit tests/contract tests/typing
PACKAGES = $(if $(wildcard .venv/uv/bin/uv),.venv/uv/bin/uv pip,$(BIN)/python -m pip --disable-pip-version-check)
SLOW = $(wildcard tests/integration tests/replay tests/e2e tests/chaos)
# The slow tests of `make test`: bus, journal and every process by itself, whole systems that trade on all venues, and
# one under attack. One of each kind, so that a newcomer sees all of it work within minutes; `make prove` has the rest.
SAMPLE = $(wildcard $(addprefix tests/,integration/test_bus_*.py integration/test_journal_*.py \
    integration/test_process_*.py integration/test_*_process.py e2e/test_up.py e2e/test_books.py chaos/test_abuse_flood.py))

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help setup up gate check test prove e2e chaos drill-kill drill-feeds simulate layout screenshot containers dashboard bench audit secrets format lock

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

test: gate ## the proof for a newcomer: the gate, all fast tests, a sample of the slow ones
	@$(BIN)/pytest --durations 5 $(FAST) $(SAMPLE)

prove: setup ## the slow tests that `make test` leaves out
	@$(BIN)/pytest --durations 10 $(SLOW) $(addprefix --deselect=,$(SAMPLE))

e2e: setup ## tests of all processes together
	@$(BIN)/pytest --quiet tests/e2e

chaos: setup ## tests that kill, pause and delay processes and inject faults
	@$(BIN)/pytest --quiet tests/chaos

drill-kill: setup ## kill 20 random processes of a trading system; check that nothing was duplicated or lost
	@$(BIN)/xtrader drill kill $(ARGS)

drill-feeds: setup ## inject faults into crypto feeds for two minutes; compare every published book with the venue's
	@$(BIN)/xtrader drill feeds $(ARGS)

containers: ## build the image, start everything in containers, kill one, verify the journals
	@docker/local/apt_install shellcheck
	@shellcheck .ci/run scripts/* docker/smoke_test docker/healthcheck docker/local/*
	@docker/smoke_test

dashboard: setup ## check rules and dashboard against a real Prometheus that scrapes a running `up`
	@docker/local/apt_install prometheus
	@$(BIN)/pytest --quiet tests/e2e/test_prometheus.py tests/e2e/test_dashboard.py

simulate: setup ## crash all four services at every effect, in one process; more seeds in ARGS="--seed 1000 --crash-points 100000"
	@$(BIN)/xtrader simulate --every 1000 --seed 1
	@$(BIN)/xtrader simulate --crash-points 10000 $(ARGS)

bench: setup ## measure every speed target; prints a table, writes var/bench.json
	@exec $(BIN)/python -m benchmarks $(ARGS)

layout: ## print modules and lines per package; compare with a revision in ARGS="--against REVISION"
	@docs/module_table $(ARGS)

screenshot: setup ## write docs/live_view.svg from a real run
	@docs/update_screenshot

audit: setup ## compare what is installed with the lock, and the lock with what is newer in the index
	@$(BIN)/pytest --quiet tests/contract/test_lock.py
	@$(PACKAGES) check
	@echo "newer in the package index (vulnerabilities are not checked: see CONTRIBUTING.md):"
	@$(PACKAGES) list --outdated --exclude pip --exclude setuptools 2>/dev/null || echo "the index did not answer"

secrets: setup ## search the repository for what looks like a secret
	@$(BIN)/pytest --quiet tests/contract/test_secrets.py

format: setup ## format and fix the code with ruff
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

UV_COMPILE = .venv/uv/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header

lock: setup ## compile the locks again from pyproject.toml: everything, what the programs need, what builds them, uv itself
	@$(UV_COMPILE) pyproject.toml --all-extras --upgrade --output-file requirements.lock
	@$(UV_COMPILE) pyproject.toml --constraints requirements.lock --output-file requirements-runtime.lock
	@printf 'editables\nhatchling\n' | $(UV_COMPILE) - --constraints requirements.lock --output-file requirements-build.lock
	@echo uv | $(UV_COMPILE) - --upgrade --output-file requirements-uv.lock
