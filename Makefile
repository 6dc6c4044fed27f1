# The two commands that set everything up: `make run` and `make test`. `make help` lists the others.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=

.DEFAULT_GOAL := help
.PHONY: help run setup viewer setup-test system-packages test lint format fuzz soak bench clean

help: ## Show what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: setup viewer ## Set everything up and start the server (CONFIG="a.json b.json" to configure it)
	$(BIN)/ithil serve $(CONFIG)

setup: $(VENV)/.installed ## Make the virtual environment with the server in it

viewer: setup ## Fetch the OHIF viewer with npm, if npm is there and the viewer is not
	@$(BIN)/ithil viewer install --if-possible $(CONFIG)

setup-test: $(VENV)/.installed-test system-packages viewer ## The same with all that the tests need

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Ithil needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

system-packages:
	@tests/system-packages

# One more than there are cores, since a test often waits for a server to start.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))
test: setup-test lint ## Install what the tests need (Debian packages too, as root) and run them all
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

lint: setup-test ## Style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-test ## Bring the sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

SECONDS ?= 300
fuzz: setup-test ## Try hostile bytes on every parser for SECONDS each
	$(BIN)/python -m tests.fuzz.fuzz_pdu --seconds $(SECONDS)
	$(BIN)/python -m tests.fuzz.fuzz_scan --seconds $(SECONDS)
	$(BIN)/python -m tests.fuzz.fuzz_multipart --seconds $(SECONDS)

SOAK_SECONDS ?= 600
soak: setup-test ## Store, find, move and abort at random for SOAK_SECONDS, then look for what leaked
	$(BIN)/python -m tests.soak --seconds $(SOAK_SECONDS)

bench: setup-test ## Measure Ithil and Orthanc side by side (BENCH="--quick", "--full", "--only name")
	$(BIN)/python -m benchmarks --write-docs $(BENCH)

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
