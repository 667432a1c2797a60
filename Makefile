# `make help` lists what there is. Everything lands in .venv, .tools, .samples and .voicekeep.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
# Files of tests that run at once; each brings its servers with it.
AT_ONCE ?= 2
# Silent where nobody watches, a progress bar where somebody does.
QUIET := $(shell test -t 2 || echo --quiet)

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

# --- The environment ---------------------------------------------------------------------------

.PHONY: env
env: .venv/.project temporal samples ## Make .venv, the Temporal server and the sample recordings

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..." >&2; exit 1; }
	@if command -v uv >/dev/null; then uv venv --quiet --python $(PYTHON) .venv; \
	else $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "Install python3-venv and run this again." >&2; exit 1; }; fi

.venv/.packages: requirements.lock | .venv/bin/python
	@echo "installing the locked packages" >&2
	@if command -v uv >/dev/null; then \
	  uv pip install $(QUIET) --python $(BIN)/python --require-hashes -r requirements.lock; \
	else \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	  $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check --require-hashes \
	    -r requirements.lock; \
	fi
	@touch $@

# Built by the locked backend already in .venv: nothing is downloaded for it.
.venv/.project: pyproject.toml LICENSE .venv/.packages
	@if command -v uv >/dev/null; then \
	  uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	    --no-deps -e .; \
	fi
	@touch $@

.PHONY: temporal
temporal: .venv/.project
	@if [ ! -x .tools/temporal ] || [ tools/temporal/go.sum -nt .tools/temporal ]; then \
	  $(BIN)/python tools/provide_temporal.py; fi

.PHONY: samples
samples: $(if $(wildcard tools/samples.py),.samples/.ready)

.samples/.ready: tools/samples.py .venv/.project
	@$(BIN)/python tools/samples.py
	@touch $@

.PHONY: azurite
azurite: .venv/.project ## Install Azurite for the tests
	@$(BIN)/python tools/provide_azurite.py

.PHONY: openai-tests
openai-tests: .venv/.project ## Fetch the published tests of OpenAI's client, for the tests
	@$(BIN)/python tools/provide_openai_tests.py

.PHONY: gateway
gateway: .venv/.project ## Install an OpenAI-compatible server for the slow tests
	@$(BIN)/python tools/provide_gateway.py

.PHONY: whisper
whisper: .venv/.project ## Install what the extra `whisper` adds, for the slow tests
	@$(BIN)/python tools/provide_whisper.py

# --- Use ---------------------------------------------------------------------------------------

.PHONY: run
run: env ## Bring everything up and send one real recording through (ARGS=... for `voicekeep up`)
	@$(BIN)/voicekeep up $(ARGS)

# --- Checks ------------------------------------------------------------------------------------

.PHONY: check
check: env ## Lint, format, types, import rules, lock files: what CI checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_lock.py

.PHONY: test
test: check azurite openai-tests ## check, then every test but the slow ones (FAULT_SEED=n: another tenth of the fault matrix)
	$(BIN)/pytest -n $(AT_ONCE) --dist loadfile -m "not slow and not soak"

.PHONY: test-slow
test-slow: env azurite gateway whisper ## The tests that take minutes
	$(BIN)/pytest -n $(AT_ONCE) --dist loadfile -m "slow and not soak"

.PHONY: soak
soak: env ## The tests that take an hour
	$(BIN)/pytest -m soak

.PHONY: bench
bench: env ## Measure beside the anchors; the table of docs/performance.md
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: compose-check
compose-check: ## Check the compose file with the real compose tool
	@$(PYTHON) tools/build_tools.py docker-compose
	POSTGRES_PASSWORD=x TEMPORAL_POSTGRES_PASSWORD=x TEMPORAL_PAYLOAD_KEYS=x:x \
	  .tools/docker-compose -f docker-compose.temporal.yml config --quiet

# --- Upkeep ------------------------------------------------------------------------------------

.tools/uv/bin/uv:
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: lock
lock: .tools/uv/bin/uv ## Write the lock files anew (ARGS=--upgrade for newer versions)
	@$(COMPILE) --group dev $(ARGS) pyproject.toml -o requirements.lock
	@$(COMPILE) --constraints requirements.lock pyproject.toml -o deploy/requirements.lock
	@$(COMPILE) --constraints requirements.lock --group build -o deploy/build.lock
	@$(COMPILE) --constraints requirements.lock tools/whisper/requirements.in \
	  -o tools/whisper/requirements.lock
	@$(COMPILE) $(ARGS) tools/gateway/requirements.in -o tools/gateway/requirements.lock

COMPILE := .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"

.PHONY: clean
clean: ## Remove caches and builds; .venv, .tools, .samples and .voicekeep stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +
