# `make check` is what CI runs and what README calls the tests. Everything happens in VENV; nothing outside the checkout is touched.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.tenure-ready

# Coverage gates in per cent, lines and branches together. They only ever go up; a commit that lowers one says why.
GATE_CORE ?= 98
GATE_ALL ?= 90
# Tests run side by side, two for a cpu: half of their time is waiting for processes. (nproc would believe OMP_NUM_THREADS.)
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? 2 * n : 8)))
# Extra arguments for pytest, e.g. make test PYTEST="-k arrays -x"
PYTEST ?=

export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

CODE := src tests bench $(wildcard examples)
TYPED := src/tenure $(wildcard bench) tests/house tests/docs

.PHONY: check lint test chaos properties bench docs example format clean help

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

check: lint test  ## Format, lint, types, layers, all tests with coverage gates: what CI runs

lint: $(READY)  ## Format, lint, types, layers
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports --config .importlinter

test: $(READY)  ## All tests, then the coverage gates
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov=tenure --cov-report=json:.coverage.json --cov-report= $(PYTEST)
	$(BIN)/python tests/house/coverage_gates.py .coverage.json --core $(GATE_CORE) --all $(GATE_ALL)

chaos: $(READY)  ## The violent tests at full length: a thousand kills (CI runs a few)
	TENURE_CHAOS=full $(BIN)/python -m pytest -m chaos tests/chaos --timeout 7200 $(PYTEST)

properties: $(READY)  ## The property tests with all their examples, and the slow sweeps: an hour and more (CI draws a third)
	TENURE_EXAMPLES=full $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "slow or not slow" tests/property tests/sim --timeout 7200 $(PYTEST)

# What `make bench` runs, in a short form that is over in minutes; `make bench BENCH=` runs it in full, which takes more than an hour.
BENCHES ?= throughput latency idle monitor push cli plan leases reads reads_tcp joining what_if scale
BENCH ?= --quick

bench: $(READY)  ## Every benchmark beside its peers, in short; figures of whole runs go to bench/README.md by hand
	$(BIN)/pip install --quiet -e '.[bench]'
	for name in $(BENCHES); do echo "== $$name"; $(BIN)/python -m bench.$$name $(BENCH) || exit 1; done

docs: $(READY)  ## The documentation as a web site in site/
	$(BIN)/pip install --quiet 'mkdocs<2' 'mkdocs-material<10'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

example: $(READY)  ## Train a digits classifier through Tenure
	$(BIN)/tenure run --name digits -- $(BIN)/python examples/digits.py

format: $(READY)  ## Rewrite the code in the house format
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix-only $(CODE)

clean:  ## Remove what the targets made, the environment included
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* site build dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,moo,opt]'
	touch $@
