# Two commands for everyone: `make demo` and `make test`. Each makes its own environment in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
UNREACHED = 2>.venv/install.log || { echo "The packages could not be installed (.venv/install.log says why): check the network or the registry's address (PIP_INDEX_URL, UV_INDEX_URL), then run make again."; exit 1; }

.PHONY: help install demo test test-thorough lint docs audit lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

install: .venv/installed ## Make the environment in .venv from requirements.lock

demo: .venv/installed ## Run the main job on real portraits into ./demo
	@$(BIN)/mirrorset demo --home demo

test: .venv/installed-dev ## Run the tests
	@$(BIN)/pytest

test-thorough: .venv/installed-dev ## Run them with more of the same, too: more seeds, more sizes, more kills
	@$(BIN)/pytest -m 'thorough or not thorough' --hypothesis-profile=thorough

lint: .venv/installed-dev ## Run every checker that CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-dev ## Build the documentation as a site in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

audit: .venv/installed ## Look the locked packages up among known vulnerabilities
	@$(UV) venv --quiet --allow-existing .venv/audit
	@$(UV) pip install --quiet --python .venv/audit/bin/python pip-audit pyyaml packaging
	@.venv/audit/bin/python .ci/audit.py requirements-dev.lock $(ADVISORIES)

lock: .venv/installed-dev ## Renew the requirements*.lock files
	PATH="$(CURDIR)/$(BIN):$$PATH" .ci/lock

clean: ## Remove the environment and the demo
	rm -rf .venv demo site

$(UV): .ci/uv.txt
	@test -n "$(PYTHON)" || { echo "mirrorset needs Python 3.11 or later: install it, then run make again."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mirrorset needs Python 3.11 or later, $(PYTHON) is older: run make PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make an environment: on Debian, apt-get install python3-venv."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/uv.txt $(UNREACHED)

# --no-deps: the lock is complete, and holds one OpenCV wheel where two packages ask for two.
# --compile-bytecode: a command starts in half the time, also where Python may not write its caches.
.venv/installed: requirements.lock pyproject.toml | $(UV)
	@.ci/system
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements.lock $(UNREACHED)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . $(UNREACHED)
	@$(BIN)/python -m compileall -q flows crawlers annotation curation parity reports faces mirrorset
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements-dev.lock $(UNREACHED)
	@touch $@
