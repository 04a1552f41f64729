# `make` lists the recipes. Everything that runs code first makes .venv what requirements.lock says.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.lock-installed
CODE := $(wildcard components tests benchmarks)

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help setup up check test e2e chaos bench lock clean

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from the hashed lock; nothing to do when nothing changed

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -m venv .venv >&2
	@$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock >&2
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable . >&2
	@touch $@

up: setup ## start the four executables and the sandbox; options in ARGS
	@exec $(BIN)/xtrader up $(ARGS)

check: setup ## the fast gate: format, lint, types, imports, fast tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q
