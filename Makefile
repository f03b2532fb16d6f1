# Everything runs in a virtual environment of the project's own, set up when first needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo demo-ports test mutate test-grafana screenshots soak bench lint format lock audit generate clean system-tools

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: demo-ports $(READY) ## Run everything against a simulated vendor API (DEMO_FLAGS=--help for its flags).
	@DEMO_BY_MAKE=1 exec $(BIN)/python -m exporter.demo $(DEMO_FLAGS)

# Before a minute of setting up, not after it; with flags of one's own, the demo says it itself.
demo-ports:
	@test -n "$(DEMO_FLAGS)" || DEMO_BY_MAKE=1 $(PYTHON) -m exporter.demo.ports

test: $(READY) system-tools lint ## Run every check and test (PYTEST_FLAGS=… for pytest's flags).
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(PYTEST_FLAGS)

mutate: $(READY) system-tools ## Change one thing in the rules and panels at a time, and see whether the tests notice (6 minutes).
	$(BIN)/python -m tests.mutation

test-grafana: $(READY) system-tools ## Look at the dashboards in a real Grafana: make test-grafana GRAFANA_HOME=/usr/share/grafana
	@test -d "$(GRAFANA_HOME)" || { echo "Say where Grafana is: make test-grafana GRAFANA_HOME=/usr/share/grafana"; exit 1; }
	GRAFANA_HOME="$(GRAFANA_HOME)" $(BIN)/python -m pytest \
	  tests/dashboards/test_grafana.py tests/provisioning/test_docker_compose_grafana.py tests/bundle/test_check.py \
	  $(PYTEST_FLAGS)

screenshots: $(READY) system-tools ## Take the docs' screenshots of the demo: make screenshots GRAFANA_HOME=/usr/share/grafana
	@test -d "$(GRAFANA_HOME)" || { echo "Say where Grafana is: make screenshots GRAFANA_HOME=/usr/share/grafana"; exit 1; }
	$(BIN)/python -m tests.screenshots "$(GRAFANA_HOME)"

lint: $(READY) ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Put the code into its one format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(READY) ## Hold a load with random faults for minutes, and judge it (DURATION=seconds).
	$(BIN)/python -m benchmarks.soak

bench: $(READY) ## Measure speed, scale and the forecast, for the docs (12 minutes; BENCH=scrape: only this; needs nginx and wrk).
	@DATA="$(DATA)" $(BIN)/python -m benchmarks $(BENCH)

LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

lock: $(READY) ## Choose newer dependencies and lock them, with hashes, in requirements*.lock.
	$(BIN)/$(LOCK) --extra aws pyproject.toml --output-file requirements.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(BIN)/$(LOCK) - --output-file requirements-build.lock

audit: $(READY) ## Look for known weaknesses in the locked dependencies (asks an index over the network).
	@$(BIN)/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock

generate: $(READY) ## Write the generated files anew.
	$(BIN)/python -m exporter.generate
	$(BIN)/python -m dashboards.build

system-tools:
	@tests/install-system-tools

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; name it with: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Setting up $(VENV) (once, about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
